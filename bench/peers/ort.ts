// onnxruntime-node on the inference workloads: node ort.js THREADS answers requests as serve.ts says.
import { createRequire } from 'node:module';
import { preparedSteps, processFacts, serve, type Prepared } from '../serve.js';
import { uniValues } from '../values.js';
import { Graph } from './onnx.js';

interface OrtTensor {
  readonly data: Float32Array;
}
interface Session {
  run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
}
interface Ort {
  readonly Tensor: new (type: string, data: Float32Array, shape: readonly number[]) => OrtTensor;
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
}

const require = createRequire(new URL('../../peers/package.json', import.meta.url));
const importStarted = performance.now();
const ort = require('onnxruntime-node') as Ort;
const facts = processFacts(performance.now() - importStarted);
const threads = Number(process.argv[2] ?? '1');

/** Weights by their name's sequence in ±√(3 / fan-in), as everywhere in the bench. */
function matrix(graph: Graph, name: string, shape: readonly number[]): string {
  const limit = Math.sqrt(3 / shape.slice(1).reduce((a, b) => a * b, 1));
  return graph.weight(name, uniValues(name, shape, -limit, limit), shape);
}

function linear(graph: Graph, name: string, x: string, inputs: number, outputs: number, output?: string): string {
  const weight = matrix(graph, `${name}.weight`, [outputs, inputs]);
  const bias = graph.weight(`${name}.bias`, new Float32Array(outputs), [outputs]);
  return graph.node('Gemm', [x, weight, bias], { transB: 1 }, output);
}

function mlp(): Uint8Array {
  const graph = new Graph();
  const first = graph.node('Relu', [linear(graph, 'fc.0', 'x', 784, 200)]);
  const second = graph.node('Relu', [linear(graph, 'fc.1', first, 200, 200)]);
  linear(graph, 'fc.2', second, 200, 10, 'y');
  return graph.model([1, 784], [1, 10]);
}

function resnet18(): Uint8Array {
  const graph = new Graph();
  const conv = (name: string, x: string, inputs: number, width: number, kernel: number, stride: number): string => {
    const weight = matrix(graph, `${name}.weight`, [width, inputs, kernel, kernel]);
    const pad = kernel === 3 ? 1 : 0;
    const sizes = { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad] };
    const y = graph.node('Conv', [x, weight], sizes);
    const statistics = (['gain', 'offset', 'mean', 'variance'] as const).map((each, i) =>
      graph.weight(`${name}.${each}`, new Float32Array(width).fill(i === 0 || i === 3 ? 1 : 0), [width]),
    );
    return graph.node('BatchNormalization', [y, ...statistics], { epsilon: 1e-5 });
  };
  let x = graph.node('Relu', [conv('conv1', 'x', 3, 64, 3, 1)]);
  let channels = 64;
  for (const [stage, width] of [64, 128, 256, 512].entries()) {
    for (const block of [0, 1]) {
      const name = `layer${stage + 1}.${block}`;
      const stride = channels === width ? 1 : 2;
      const first = graph.node('Relu', [conv(`${name}.conv1`, x, channels, width, 3, stride)]);
      const second = conv(`${name}.conv2`, first, width, width, 3, 1);
      const shortcut = stride === 1 ? x : conv(`${name}.downsample.0`, x, channels, width, 1, stride);
      x = graph.node('Relu', [graph.node('Add', [second, shortcut])]);
      channels = width;
    }
  }
  const pooled = graph.node('Flatten', [graph.node('GlobalAveragePool', [x])]);
  linear(graph, 'fc', pooled, 512, 10, 'y');
  return graph.model([1, 3, 32, 32], [1, 10]);
}

interface Model {
  readonly make: () => Uint8Array;
  readonly input: readonly number[];
  readonly range: readonly [number, number];
}

const models: Readonly<Record<string, Model>> = {
  'infer-mlp-b1': { make: mlp, input: [1, 784], range: [0, 1] },
  'infer-resnet18-b1': { make: resnet18, input: [1, 3, 32, 32], range: [-1, 1] },
};

async function prepare(name: string): Promise<Prepared | undefined> {
  const model = models[name];
  if (model === undefined) return undefined;
  const begun = performance.now();
  const session = await ort.InferenceSession.create(model.make(), {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
  const x = new ort.Tensor('float32', uniValues('x', model.input, ...model.range), model.input);
  const step = async (): Promise<number> => (await session.run({ x }))['y']?.data[0] ?? NaN;
  return preparedSteps(step, 'inference', begun);
}

await serve('ort-node', facts, prepare);
