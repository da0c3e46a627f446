import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

interface Flat {
  shape: number[];
  data: number[];
}
interface Golden {
  name: 'conv1d' | 'conv2d' | 'convTranspose1d' | 'convTranspose2d';
  options: m.ConvOptions & m.ConvTransposeOptions;
  inputs: number[][];
  output: Flat;
  grads: Flat[];
}

const golden = JSON.parse(readFileSync(new URL('../golden/conv.json', import.meta.url), 'utf8')) as { cases: Golden[] };

/** The inputs of test/golden/conv.py. */
const spread = (shape: number[], salt: number, dtype: m.DType = 'float64'): Tensor => {
  const n = shape.reduce((a, b) => a * b, 1);
  const values = Float64Array.from({ length: n }, (_, i) => 2 * Math.sin(1.3 * i * i + 0.7 * i + salt));
  return m.fromTypedArray(values, shape, { dtype, requiresGrad: true });
};

function expectClose(actual: Tensor, wanted: Flat, tolerance: number, what: string): void {
  expect(actual.shape, what).toEqual(wanted.shape);
  const data = actual.dataSync();
  const norm = Math.hypot(...wanted.data);
  const error = Math.hypot(...wanted.data.map((v, i) => v - (data[i] as number)));
  expect(error, what).toBeLessThanOrEqual(tolerance * (norm + 1));
}

for (const dtype of ['float64', 'float32'] as const) {
  describe(`values and gradients of PyTorch, ${dtype}`, () => {
    golden.cases.forEach(({ name, options, inputs, output, grads }, n) => {
      it(`${name} #${n} ${JSON.stringify(options)}`, () => {
        const leaves = inputs.map((shape, i) => spread(shape, [0, 0.3, 0.9][i]!, dtype));
        const out = m[name](leaves[0]!, leaves[1]!, leaves[2] ?? null, options);
        const tolerance = dtype === 'float32' ? 1e-6 : 1e-13;
        expectClose(out, output, tolerance, 'output');
        const w = Float64Array.from({ length: out.numel }, (_, i) => Math.cos(i));
        out.backward(m.fromTypedArray(w, out.shape, { dtype }));
        grads.forEach((g, i) => expectClose(leaves[i]!.grad!, g, tolerance, `gradient ${i}`));
      });
    });
  });
}

describe('convolutions', () => {
  const x = spread([2, 3, 6, 7], 0).detach();
  const weight = spread([4, 3, 3, 3], 0.3).detach();
  const bias = spread([4], 0.9).detach();

  it('take views with strides', () => {
    const turned = x.transpose(2, 3).contiguous().transpose(2, 3);
    const flipped = weight.transpose(0, 1).contiguous().transpose(0, 1);
    const got = m.conv2d(turned, flipped, bias, { padding: 1 });
    expect(got.dataSync()).toEqual(m.conv2d(x, weight, bias, { padding: 1 }).dataSync());
  });

  it.each(['none', 'relu', 'tanh', 'sigmoid', 'gelu', 'gelu_tanh'] as const)('fuse %s', (activation) => {
    const plain = m.conv2d(x, weight, bias);
    const wanted = {
      none: () => plain,
      relu: () => m.relu(plain),
      tanh: () => m.tanh(plain),
      sigmoid: () => m.sigmoid(plain),
      gelu: () => m.gelu(plain),
      gelu_tanh: () => m.gelu(plain, { approximate: 'tanh' }),
    }[activation]();
    const flat = { shape: [...wanted.shape], data: [...wanted.dataSync()] as number[] };
    expectClose(m.conv2d(x, weight, bias, { activation }), flat, 1e-14, 'fused');
    const leaf = x.clone().requiresGrad_();
    const recorded = m.conv2d(leaf, weight, bias, { activation });
    expectClose(recorded, flat, 1e-14, 'recorded');
    expect(recorded.requiresGrad).toBe(true);
  });

  it('agree within rounding with and without Winograd', () => {
    const image = m.randn([4, 32, 12, 12], { generator: new m.Generator(1), requiresGrad: true });
    const kernel = m.randn([32, 32, 3, 3], { generator: new m.Generator(2), requiresGrad: true });
    const run = (value: boolean): Tensor[] => {
      m.setWinograd(value);
      const y = m.conv2d(image, kernel, null, { padding: 1 });
      return [y, ...m.grad(y, [image, kernel], { gradOutputs: m.ones([...y.shape]) })];
    };
    expect(m.getWinograd()).toBe(true);
    const fast = run(true);
    const plain = run(false);
    m.setWinograd(true);
    expect(fast[0]!.dataSync()).not.toEqual(plain[0]!.dataSync());
    fast.forEach((t, i) => {
      const want = plain[i]!;
      const error = t.sub(want).square().sum().itemSync() / want.square().sum().itemSync();
      expect(Math.sqrt(error)).toBeLessThan(1.5e-6);
    });
  });

  it('give zeros and the bias for no images and no channels', () => {
    expect(m.conv2d(m.zeros([0, 3, 6, 7]), m.ones([4, 3, 3, 3])).shape).toEqual([0, 4, 4, 5]);
    const none = m.zeros([2, 0, 5, 5], { requiresGrad: true });
    const kernel = m.ones([1, 0, 3, 3], { requiresGrad: true });
    const y = m.conv2d(none, kernel, m.tensor([3]));
    expect([...y.dataSync()]).toEqual(new Array(18).fill(3));
    y.sum().backward();
    expect(kernel.grad!.shape).toEqual([1, 0, 3, 3]);
  });

  it('give what the transpose of a 1-D convolution must', () => {
    // ⟨conv(a), b⟩ = ⟨a, convTranspose(b)⟩
    const a = spread([1, 3, 11], 0.1).detach();
    const w = spread([4, 3, 4], 0.2).detach();
    const options = { stride: 2, padding: 1 };
    const y = m.conv1d(a, w, null, options);
    const b = spread([...y.shape], 0.4).detach();
    const back = m.convTranspose1d(b, w, null, { ...options, outputPadding: 1 });
    expect(y.mul(b).sum().itemSync()).toBeCloseTo(a.mul(back).sum().itemSync(), 10);
  });
});

describe('convolution in the mathematical sense', () => {
  it('turns the kernel round', () => {
    const y = m.convolve1d(m.tensor([1, 2, 3, 4]), m.tensor([1, 10, 100]));
    expect([...y.dataSync()]).toEqual([1, 12, 123, 234, 340, 400]);
    const image = m.tensor([
      [1, 2],
      [3, 4],
    ]);
    expect([...m.convolve2d(image, m.tensor([[1, 10]])).dataSync()]).toEqual([1, 12, 20, 3, 34, 40]);
  });

  it.each(['full', 'same', 'valid'] as const)('is the product with its Toeplitz matrix, mode %s', (mode) => {
    const x = spread([7], 0).detach();
    const kernel = spread([4], 0.5).detach();
    const matrix = m.convolutionMatrix(kernel, [7], { mode });
    const y = m.convolve1d(x, kernel, { mode });
    expect(y.shape).toEqual([{ full: 10, same: 7, valid: 4 }[mode]]);
    const product = matrix.matmul(x).dataSync();
    y.dataSync().forEach((v, i) => expect(product[i]).toBeCloseTo(v, 12));
    const first = { full: 0, same: 1, valid: 3 }[mode];
    const k = kernel.dataSync();
    matrix.dataSync().forEach((v, at) => {
      const lag = first + Math.floor(at / 7) - (at % 7);
      expect(v).toBe(k[lag] ?? 0);
    });
  });

  it.each(['full', 'same', 'valid'] as const)('likewise on images, mode %s', (mode) => {
    const x = spread([5, 4], 0).detach();
    const kernel = spread([3, 2], 0.5).detach();
    const y = m.convolve2d(x, kernel, { mode });
    const product = m
      .convolutionMatrix(kernel, [5, 4], { mode })
      .matmul(x.reshape([20]))
      .dataSync();
    expect(product.length).toBe(y.numel);
    y.dataSync().forEach((v, i) => expect(product[i]).toBeCloseTo(v, 12));
  });

  it('is correlation with the turned kernel', () => {
    const x = spread([1, 1, 6, 5], 0).detach();
    const kernel = [1, -2, 3, 0.5, 7, -1];
    const w = (values: number[]): Tensor => m.tensor(values, { dtype: 'float64' });
    const correlated = m.conv2d(x, w([...kernel].reverse()).reshape([1, 1, 3, 2]));
    const convolved = m.convolve2d(x.reshape([6, 5]), w(kernel).reshape([3, 2]), { mode: 'valid' });
    expect(convolved.shape).toEqual(correlated.shape.slice(2));
    const wanted = correlated.dataSync();
    convolved.dataSync().forEach((v, i) => expect(v).toBeCloseTo(wanted[i] as number, 12));
  });
});
