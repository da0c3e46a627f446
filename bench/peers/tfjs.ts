// TensorFlow.js on its WebAssembly backend, with SIMD; under Node it has no threads. node tfjs.js answers requests as serve.ts says.
// Convolutional and sequence networks other than lenet5 take seconds to minutes a training step there and are left out.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { preparedSteps, processFacts, serve, type Prepared } from '../serve.js';
import { KERNEL_BLOCK_MS } from '../statistics.js';
import { intValues, uniValues } from '../values.js';

/** Its tensors and the little of its interface that is used here. */
interface Tensor {
  readonly shape: readonly number[];
  dataSync(): Float32Array;
  dispose(): void;
}
type Shape = readonly number[];
type Padding = number | 'valid';
interface Optimizer {
  applyGradients(gradients: Record<string, Tensor>): void;
}
interface TensorFlow {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  enableProdMode(): void;
  registerKernel(kernel: { kernelName: string; backendName: string; kernelFunc: (call: KernelCall) => Tensor }): void;
  tensor(values: Float32Array | Int32Array, shape: Shape, dtype?: string): Tensor;
  zeros(shape: Shape): Tensor;
  ones(shape: Shape): Tensor;
  variable(initial: Tensor): Tensor;
  tidy<T>(work: () => T): T;
  dispose(what: unknown): void;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  mul(a: Tensor, b: Tensor): Tensor;
  neg(x: Tensor): Tensor;
  mean(x: Tensor, dims?: Shape): Tensor;
  sum(x: Tensor, dim?: number): Tensor;
  relu(x: Tensor): Tensor;
  sigmoid(x: Tensor): Tensor;
  logSoftmax(x: Tensor): Tensor;
  squaredDifference(a: Tensor, b: Tensor): Tensor;
  oneHot(indices: Tensor, depth: number): Tensor;
  cast(x: Tensor, dtype: string): Tensor;
  reshape(x: Tensor, shape: Shape): Tensor;
  transpose(x: Tensor, order: Shape): Tensor;
  pad(x: Tensor, by: readonly Shape[]): Tensor;
  conv2d(x: Tensor, filter: Tensor, stride: number, padding: Padding): Tensor;
  maxPool(x: Tensor, size: number, stride: number, padding: Padding): Tensor;
  batchNorm(x: Tensor, mean: Tensor, variance: Tensor, offset: Tensor, scale: Tensor, eps: number): Tensor;
  variableGrads(loss: () => Tensor): { value: Tensor; grads: Record<string, Tensor> };
  readonly train: {
    sgd(lr: number): Optimizer;
    adam(lr: number, beta1: number, beta2: number, eps: number): Optimizer;
  };
}
interface KernelCall {
  readonly inputs: { readonly x: Tensor; readonly dy: Tensor };
  readonly attrs: { readonly pad: Padding };
}

const manifest = fileURLToPath(new URL('../../peers/package.json', import.meta.url));
const require = createRequire(manifest);
const importStarted = performance.now();
const tf = require('@tensorflow/tfjs-core') as TensorFlow;
const wasm = require('@tensorflow/tfjs-backend-wasm') as { setWasmPaths(path: string): void };
// Loading the layers is what registers the gradients.
require('@tensorflow/tfjs-layers');
wasm.setWasmPaths(join(dirname(manifest), 'node_modules/@tensorflow/tfjs-backend-wasm/wasm-out/'));
tf.enableProdMode();
await tf.setBackend('wasm');
await tf.ready();
const facts = processFacts(performance.now() - importStarted);

// The backend cannot differentiate a convolution by its filter. For stride 1 that is a convolution, too: of x with channels and
// batch exchanged, by the gradient as the filter.
tf.registerKernel({
  kernelName: 'Conv2DBackpropFilter',
  backendName: 'wasm',
  kernelFunc: ({ inputs: { x, dy }, attrs: { pad } }) =>
    tf.tidy(() => {
      const border = typeof pad === 'number' ? [pad, pad] : [0, 0];
      const padded = tf.pad(x, [[0, 0], border, border, [0, 0]]);
      const filter = tf.conv2d(tf.transpose(padded, [3, 1, 2, 0]), tf.transpose(dy, [1, 2, 0, 3]), 1, 'valid');
      return tf.transpose(filter, [1, 2, 0, 3]);
    }),
});

const uni = (name: string, shape: Shape, low: number, high: number): Tensor =>
  tf.tensor(uniValues(name, shape, low, high), shape);
const classes = (name: string, rows: number, k: number): Tensor =>
  tf.tidy(() => tf.cast(tf.oneHot(tf.tensor(intValues(name, [rows], k), [rows], 'int32'), k), 'float32'));
/** Pictures (N,H,W,C) of what others store as (N,C,H,W). */
const pictures = ([n, c, h, w]: readonly [number, number, number, number], low: number, high: number): Tensor =>
  tf.tidy(() => tf.transpose(uni('x', [n, c, h, w], low, high), [0, 2, 3, 1]));

const bound = (fanIn: number): number => Math.sqrt(3 / fanIn);

/** A fully connected layer with weights of PyTorch's layout, transposed. */
function linear(name: string, inputs: number, outputs: number): (x: Tensor) => Tensor {
  const weight = tf.variable(
    tf.tidy(() => tf.transpose(uni(`${name}.weight`, [outputs, inputs], -bound(inputs), bound(inputs)), [1, 0])),
  );
  const bias = tf.variable(tf.zeros([outputs]));
  return (x) => tf.add(tf.matMul(x, weight), bias);
}

function conv(
  name: string,
  inputs: number,
  outputs: number,
  kernel: number,
  stride: number,
  padding: Padding,
  biased = true,
) {
  const limit = bound(inputs * kernel * kernel);
  const shape = [outputs, inputs, kernel, kernel];
  const weight = tf.variable(tf.tidy(() => tf.transpose(uni(`${name}.weight`, shape, -limit, limit), [2, 3, 1, 0])));
  const bias = biased ? tf.variable(tf.zeros([outputs])) : undefined;
  return (x: Tensor): Tensor => {
    const y = tf.conv2d(x, weight, stride, padding);
    return bias === undefined ? y : tf.add(y, bias);
  };
}

/** Layers of those sizes with ReLU between them. */
function mlp(...sizes: readonly number[]): (x: Tensor) => Tensor {
  const layers = sizes.slice(1).map((size, i) => linear(`fc.${i}`, sizes[i] ?? 0, size));
  return (x) => layers.reduce((h, layer, i) => (i + 1 < layers.length ? tf.relu(layer(h)) : layer(h)), x);
}

function autoencoder(): (x: Tensor) => Tensor {
  const [fc1, fc2] = [linear('fc1', 784, 256), linear('fc2', 256, 32)];
  const [fc3, fc4] = [linear('fc3', 32, 256), linear('fc4', 256, 784)];
  return (x) => tf.sigmoid(fc4(tf.relu(fc3(fc2(tf.relu(fc1(x)))))));
}

function lenet5(): (x: Tensor) => Tensor {
  const convs = [conv('conv1', 1, 6, 5, 1, 2), conv('conv2', 6, 16, 5, 1, 'valid')];
  const [fc1, fc2, fc3] = [linear('fc1', 400, 120), linear('fc2', 120, 84), linear('fc3', 84, 10)];
  return (x) => {
    for (const layer of convs) x = tf.maxPool(tf.relu(layer(x)), 2, 2, 'valid');
    const flat = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [-1, 400]);
    return fc3(tf.relu(fc2(tf.relu(fc1(flat)))));
  };
}

/** ResNet-18 for pictures of 32×32, by running statistics 0 and 1. */
function resnet18(): (x: Tensor) => Tensor {
  const norm = (width: number): ((x: Tensor) => Tensor) => {
    const [mean, variance, offset, scale] = [tf.zeros([width]), tf.ones([width]), tf.zeros([width]), tf.ones([width])];
    return (x) => tf.batchNorm(x, mean, variance, offset, scale, 1e-5);
  };
  const convNorm = (name: string, inputs: number, outputs: number, kernel: number, stride: number) => {
    const [layer, after] = [
      conv(name, inputs, outputs, kernel, stride, kernel === 3 ? 1 : 'valid', false),
      norm(outputs),
    ];
    return (x: Tensor): Tensor => after(layer(x));
  };
  const block = (name: string, inputs: number, width: number, stride: number) => {
    const first = convNorm(`${name}.conv1`, inputs, width, 3, stride);
    const second = convNorm(`${name}.conv2`, width, width, 3, 1);
    const shortcut = inputs === width ? undefined : convNorm(`${name}.downsample.0`, inputs, width, 1, stride);
    return (x: Tensor): Tensor => tf.relu(tf.add(second(tf.relu(first(x))), shortcut?.(x) ?? x));
  };
  const widths = [64, 64, 128, 256, 512];
  const stem = convNorm('conv1', 3, 64, 3, 1);
  const blocks = widths.slice(1).flatMap((width, i) => {
    const inputs = widths[i] ?? 0;
    return [
      block(`layer${i + 1}.0`, inputs, width, inputs === width ? 1 : 2),
      block(`layer${i + 1}.1`, width, width, 1),
    ];
  });
  const fc = linear('fc', 512, 10);
  return (x) =>
    fc(
      tf.mean(
        blocks.reduce((h, each) => each(h), tf.relu(stem(x))),
        [1, 2],
      ),
    );
}

const crossEntropy = (logits: Tensor, target: Tensor): Tensor =>
  tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logits), target), -1)));
const mse = (y: Tensor, target: Tensor): Tensor => tf.mean(tf.squaredDifference(y, target));

type Step = () => Promise<number>;

function training(loss: () => Tensor, optimizer: Optimizer): Step {
  return () => {
    const { value, grads } = tf.variableGrads(loss);
    optimizer.applyGradients(grads);
    const [number = NaN] = value.dataSync();
    tf.dispose([value, grads]);
    return Promise.resolve(number);
  };
}

const inference =
  (output: () => Tensor): Step =>
  () =>
    Promise.resolve(tf.tidy(() => output().dataSync()[0] ?? NaN));

const adam = (): Optimizer => tf.train.adam(1e-3, 0.9, 0.999, 1e-8);

function digits(rows: number): Step {
  const [model, x, y] = [mlp(784, 200, 200, 10), uni('x', [rows, 784], 0, 1), classes('y', rows, 10)];
  return training(() => crossEntropy(model(x), y), tf.train.sgd(0.1));
}

const workloads: Readonly<Record<string, () => Step>> = {
  'mlp-mnist': () => digits(64),
  'mlp-mnist-b1024': () => digits(1024),
  'mlp-mnist1d': () => {
    const [model, x, y] = [mlp(40, 100, 100, 10), uni('x', [100, 40], -1, 1), classes('y', 100, 10)];
    return training(() => crossEntropy(model(x), y), tf.train.sgd(0.1));
  },
  'shallow-1d': () => {
    const [model, x, y] = [mlp(1, 3, 1), uni('x', [32, 1], -1, 1), uni('y', [32, 1], -1, 1)];
    return training(() => mse(model(x), y), tf.train.sgd(0.05));
  },
  autoencoder: () => {
    const [model, x] = [autoencoder(), uni('x', [128, 784], 0, 1)];
    return training(() => mse(model(x), x), adam());
  },
  lenet5: () => {
    const [model, x, y] = [lenet5(), pictures([64, 1, 28, 28], 0, 1), classes('y', 64, 10)];
    return training(() => crossEntropy(model(x), y), adam());
  },
  'infer-mlp-b1': () => {
    const [model, x] = [mlp(784, 200, 200, 10), uni('x', [1, 784], 0, 1)];
    return inference(() => model(x));
  },
  'infer-resnet18-b1': () => {
    const [model, x] = [resnet18(), pictures([1, 3, 32, 32], -1, 1)];
    return inference(() => model(x));
  },
};

const kernels: Readonly<Record<string, () => () => void>> = {
  'op-add-1-dispose': () => {
    const [a, b] = [tf.ones([1]), tf.ones([1])];
    return () => tf.add(a, b).dispose();
  },
};

function kernel(name: string): (() => void) | undefined {
  const match = /^gemm-(nn|nt|tn)-(\d+)x(\d+)x(\d+)$/.exec(name);
  if (match === null) return kernels[name]?.();
  const [m = 0, n = 0, k = 0] = match.slice(2).map(Number);
  const [ta, tb] = [match[1] === 'tn', match[1] === 'nt'];
  const [a, b] = [tf.ones(ta ? [k, m] : [m, k]), tf.ones(tb ? [n, k] : [k, n])];
  return () => tf.matMul(a, b, ta, tb).dispose();
}

async function prepare(name: string): Promise<Prepared | undefined> {
  const call = kernel(name);
  if (call !== undefined) {
    const run = (calls: number): Promise<void> => {
      for (let i = 0; i < calls; i++) call();
      return Promise.resolve();
    };
    return { run, blockMs: KERNEL_BLOCK_MS, facts: {} };
  }
  const begun = performance.now();
  const step = workloads[name]?.();
  if (step === undefined) return undefined;
  return preparedSteps(step, name.startsWith('infer-') ? 'inference' : 'training', begun);
}

await serve('tfjs-wasm', facts, prepare);
