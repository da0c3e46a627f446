// Convolutions of few positions and products of few rows keep their packed weights between calls; whatever writes to the weights must
// drop them.
import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

const uniform = (shape: number[], seed: number): Tensor => m.rand(shape, { generator: new m.Generator(seed) }).sub(0.5);

const bytes = (data: m.TypedArray): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/**
 * Each way that the kernels take, by its shapes: rows of columns, channels of spots, Winograd's tiles (by channels), a transpose;
 * products with a ragged last panel, one that would otherwise exchange its operands, one with the weights' rows along its own.
 */
const ways: Record<string, { x: number[]; weight: number[]; use: (x: Tensor, weight: Tensor) => Tensor }> = {
  rows: { x: [1, 3, 12, 16], weight: [7, 3, 3, 3], use: (x, w) => m.conv2d(x, w, null, { padding: 1 }) },
  spots: { x: [1, 70, 5, 5], weight: [40, 70, 3, 3], use: (x, w) => m.conv2d(x, w, null, { stride: 2, padding: 1 }) },
  winograd: { x: [1, 40, 16, 16], weight: [70, 40, 3, 3], use: (x, w) => m.conv2d(x, w, null, { padding: 1 }) },
  transposed: { x: [1, 5, 9, 9], weight: [5, 6, 3, 3], use: (x, w) => m.convTranspose2d(x, w, null, { stride: 2 }) },
  linear: { x: [2, 30, 301], weight: [131, 301], use: (x, w) => m.linear(x, w) },
  turned: { x: [5, 1100], weight: [307, 1100], use: (x, w) => m.linear(x, w).relu() },
  matmul: { x: [70, 130], weight: [130, 128], use: (x, w) => m.matmul(x, w) },
};

describe('kept weights', () => {
  for (const [name, { x: xShape, weight: weightShape, use }] of Object.entries(ways)) {
    it(`follow what is written: ${name}`, () => {
      const x = uniform(xShape, 1);
      const weight = uniform(weightShape, 2);
      const once = (w: Tensor): m.TypedArray => use(x, w.clone()).dataSync();
      const expectEqual = (): void => {
        const want = once(weight);
        for (let i = 0; i < 3; i++) expect(Buffer.compare(bytes(use(x, weight).dataSync()), bytes(want))).toBe(0);
      };
      m.noGrad(() => {
        expectEqual();
        weight.mul_(2);
        expectEqual();
        weight.select(0, 0).fill_(0);
        expectEqual();
        weight.requiresGrad = true;
      });
      m.sum(use(x, weight)).backward();
      new m.SGD([weight], { lr: 0.1 }).step();
      weight.requiresGrad = false;
      m.noGrad(expectEqual);
    });
  }

  it('tell views of one tensor apart', () => {
    const x = uniform([1, 3, 8, 8], 3);
    const both = uniform([2, 4, 3, 3, 3], 4);
    for (let round = 0; round < 3; round++) {
      for (const i of [0, 1]) {
        const view = both.select(0, i);
        expect(m.conv2d(x, view).dataSync()).toEqual(m.conv2d(x, view.clone()).dataSync());
      }
    }
    const wide = both.reshape([4, 6, 3, 3]).slice(0, 0, 2);
    const x6 = uniform([1, 6, 8, 8], 5);
    for (let round = 0; round < 3; round++)
      expect(m.conv2d(x6, wide).dataSync()).toEqual(m.conv2d(x6, wide.clone()).dataSync());
  });

  it('tell columns of one tensor apart, in float64, too', () => {
    const x = uniform([40, 200], 8).to('float64');
    const both = uniform([200, 256], 9).to('float64');
    for (let round = 0; round < 3; round++) {
      for (const view of [both.slice(1, 0, 128), both.slice(1, 128, 256), both.slice(1, 0, 256, 2)]) {
        expect(m.matmul(x, view).dataSync()).toEqual(m.matmul(x, view.clone()).dataSync());
      }
    }
  });

  it.each([
    ['a convolution', [1, 32, 8, 8], [64, 32, 3, 3], (x, w) => m.conv2d(x, w, null, { padding: 1 })],
    ['a linear layer', [64, 256], [512, 256], (x, w) => m.linear(x, w)],
  ] as [string, number[], number[], (x: Tensor, w: Tensor) => Tensor][])(
    'go with the weights of %s',
    async (_, xShape, weightShape, call) => {
      const x = uniform(xShape, 6);
      const measure = async (): Promise<number> => {
        await m.synchronize();
        return m.memory().allocated;
      };
      const before = await measure();
      const weight = uniform(weightShape, 7);
      const use = (): void => call(x, weight).dispose();
      use();
      const unkept = await measure();
      use();
      use();
      const kept = await measure();
      expect(kept).toBeGreaterThan(unkept);
      use();
      expect(await measure()).toBe(kept);
      weight.mul_(2);
      expect(await measure()).toBe(unkept);
      use();
      use();
      weight.dispose();
      expect(await measure()).toBeLessThan(unkept);
      expect(await measure()).toBeGreaterThanOrEqual(before);
    },
  );
});
