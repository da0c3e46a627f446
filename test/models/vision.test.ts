import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { temporaryDirectory } from '../io/tmp.js';
import { distance, numbers } from '../nn/values.js';

interface Run {
  shape: number[];
  lr: number;
  logits: number[];
  gradientNorms: Record<string, number>;
  losses: number[];
  evaluated: number[];
}

const golden = JSON.parse(readFileSync(new URL('../golden/vision.json', import.meta.url), 'utf8')) as Record<
  string,
  Run
>;
const directory = temporaryDirectory();

/** The numbers that test/golden/vision.py makes: 32-bit hashes of their places, exact in both languages. */
function hashed(shape: readonly number[], seed: number, low: number, high: number): m.Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  const numbers = Float32Array.from({ length: count }, (_, i) => {
    let h = (Math.imul(i + 1, 2654435761) + seed * 97531) >>> 0;
    h = (h ^ (h >>> 15)) >>> 0;
    h = Math.imul(h, 73244475) >>> 0;
    h = (h ^ (h >>> 13)) >>> 0;
    return low + ((high - low) * h) / 2 ** 32;
  });
  return m.fromTypedArray(numbers, [...shape]);
}

const make: Readonly<Record<string, () => m.UnaryModule>> = {
  lenet5: () => new m.LeNet5(),
  'mnist1d-cnn': () => new m.Mnist1dCNN(),
  alexnet: () => new m.AlexNet({ classes: 10, width: 1 / 8, dropout: 0 }),
  vgg: () => new m.VGG([8, 'M', 12, 'M', 16, 16, 'M'], { classes: 10, hidden: 32, dropout: 0 }),
  'vgg-bn': () => new m.VGG([8, 'M', 12, 'M', 16, 16, 'M'], { classes: 10, hidden: 32, dropout: 0, batchNorm: true }),
  'resnet-basic': () => new m.ResNet(m.BasicBlock, [1, 2, 1, 1], { classes: 10, width: 8 }),
  'resnet-bottleneck': () => new m.ResNet(m.Bottleneck, [1, 2, 1, 1], { classes: 10, width: 8 }),
  densenet: () => new m.DenseNet({ growth: 8, blocks: [2, 3, 2], stem: 16, classes: 10 }),
  'googlenet-aux': () =>
    new m.GoogLeNet({ classes: 10, width: 1 / 8, auxiliary: true, dropout: 0, auxiliaryDropout: 0 }),
};

/** Parameters by name in the order of Python's `sorted`. */
const sorted = (model: m.Module): [string, m.Parameter][] =>
  model.namedParameters().sort(([a], [b]) => (a < b ? -1 : 1));

/** Every parameter by its place in the sorted list of names, as test/golden/vision.py does. */
function fill(model: m.Module): void {
  m.noGrad(() => {
    sorted(model).forEach(([name, p], seed) => {
      let [low, high] = [-0.1, 0.1];
      if (p.ndim > 1) {
        high = Math.sqrt(3 / (p.numel / p.shape[0]!));
        low = -high;
      } else if (name.endsWith('weight')) [low, high] = [0.5, 1.5];
      p.copy_(hashed(p.shape, seed, low, high));
    });
  });
}

describe('convolutional networks', () => {
  it.each(Object.keys(golden))('%s computes, differentiates and trains as torchvision’s', async (name) => {
    const want = golden[name]!;
    const model = make[name]!();
    expect(sorted(model).map(([parameter]) => parameter)).toEqual(Object.keys(want.gradientNorms));
    fill(model);
    const { shape } = want;
    const x = hashed(shape, 3, -1, 1);
    const y = m.tensor(
      Array.from({ length: shape[0]! }, (_, i) => (i * 3) % 10),
      { dtype: 'int32' },
    );
    const optimizer = new m.SGD(model.parameters(), { lr: want.lr });
    const losses: number[] = [];
    for (let step = 0; step < want.losses.length; step++) {
      const logits = model.forward(x);
      const loss = model instanceof m.GoogLeNet ? m.googlenetLoss(model, logits, y) : m.crossEntropy(logits, y);
      optimizer.zeroGrad();
      loss.backward();
      if (step === 0) {
        expect(distance(numbers(logits), want.logits)).toBeLessThan(1e-4);
        const largest = Math.max(...Object.values(want.gradientNorms));
        for (const [parameter, p] of sorted(model)) {
          const norm = Math.sqrt(numbers(p.grad!).reduce((sum, v) => sum + v * v, 0));
          const off = Math.abs(norm - want.gradientNorms[parameter]!);
          expect(off / (want.gradientNorms[parameter]! + 1e-3 * largest), parameter).toBeLessThan(1e-3);
        }
      }
      optimizer.step();
      losses.push(await loss.item());
    }
    expect(distance(losses, want.losses)).toBeLessThan(5e-4);
    expect(distance(numbers(m.noGrad(() => model.eval().forward(x))), want.evaluated)).toBeLessThan(5e-3);
  });

  it('save and load their state by torchvision’s names', async () => {
    const model = make['resnet-basic']!();
    const path = join(directory, 'resnet.safetensors');
    await m.saveFile(model.stateDict(), path);
    const loaded = await m.loadFile(path);
    const names = [...loaded.keys()];
    expect(names).toContain('layer2.0.downsample.1.running_var');
    expect(names).toContain('layer2.1.conv2.weight');
    expect(names).toContain('bn1.num_batches_tracked');
    const other = make['resnet-basic']!();
    other.loadStateDict(loaded);
    expect(numbers(other.parameters()[0]!)).toEqual(numbers(model.parameters()[0]!));
    const dict: Record<string, m.Tensor> = Object.fromEntries(loaded);
    delete dict['fc.bias'];
    dict['extra'] = m.zeros([1]);
    dict['conv1.weight'] = m.zeros([8, 1, 7, 7]);
    expect(() => other.loadStateDict(dict)).toThrow(
      /missing: fc.bias\n {2}unexpected: extra\n {2}wrong: conv1.weight: expected shape \[8, 3, 7, 7\], got \[8, 1, 7, 7\]/,
    );
  });
});

describe('LeNet-5 as published', () => {
  it('convolves by its table as a dense convolution with zeros would', () => {
    const table = [[0, 2], [1]];
    const sparse = new m.SparseConv2d(3, table, 3);
    const x = m.randn([2, 3, 6, 5]);
    const dense = m.zeros([2, 3, 3, 3]);
    const kernels = sparse.weight.detach();
    [
      [0, 0],
      [0, 2],
      [1, 1],
    ].forEach(([o, i], k) => dense.select(0, o!).select(0, i!).copy_(kernels.select(0, k)));
    const want = m.conv2d(x, dense, sparse.bias.detach());
    expect(distance(numbers(sparse.forward(x)), numbers(want))).toBeLessThan(1e-6);
    expect(() => new m.SparseConv2d(2, [[2]], 3)).toThrow('expected table to hold 0 to 1, got 2');
  });

  it('sums windows, and measures distances to pictures', () => {
    const pool = new m.TrainableSubsampling(1);
    m.noGrad(() => {
      pool.weight.fill_(0.5);
      pool.bias.fill_(3);
    });
    expect(numbers(pool.forward(m.ones([1, 1, 2, 4])))).toEqual([5, 5]);
    const rbf = new m.RBFOutput(m.tensor([[1, -1, 0]]));
    expect(numbers(rbf.forward(m.tensor([[0, 1, 3]])))).toEqual([1 + 4 + 9]);
    expect(rbf.parameters()[0]!.requiresGrad).toBe(false);
    expect(() => rbf.forward(m.ones([1, 2]))).toThrow(m.ShapeError);
    const y = m.tensor([[-1, -4]]);
    const want = 1 + Math.log(Math.exp(-0.1) + Math.exp(-1) + Math.exp(-4));
    expect(m.lenetLoss(y, m.tensor([0], { dtype: 'int32' })).itemSync()).toBeCloseTo(want, 5);
  });
});
