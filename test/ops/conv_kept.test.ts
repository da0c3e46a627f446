// Convolutions of few positions keep their packed weights between calls; whatever writes to the weights must drop them.
import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

const uniform = (shape: number[], seed: number): Tensor => m.rand(shape, { generator: new m.Generator(seed) }).sub(0.5);

const bytes = (data: m.TypedArray): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** Each way that the kernels take, by its shapes: rows of columns, channels of spots, Winograd's tiles (by channels), a transpose. */
const ways: Record<string, { x: number[]; weight: number[]; conv: (x: Tensor, weight: Tensor) => Tensor }> = {
  rows: { x: [1, 3, 12, 16], weight: [7, 3, 3, 3], conv: (x, w) => m.conv2d(x, w, null, { padding: 1 }) },
  spots: { x: [1, 70, 5, 5], weight: [40, 70, 3, 3], conv: (x, w) => m.conv2d(x, w, null, { stride: 2, padding: 1 }) },
  winograd: { x: [1, 40, 16, 16], weight: [70, 40, 3, 3], conv: (x, w) => m.conv2d(x, w, null, { padding: 1 }) },
  transposed: { x: [1, 5, 9, 9], weight: [5, 6, 3, 3], conv: (x, w) => m.convTranspose2d(x, w, null, { stride: 2 }) },
};

describe('kept weights', () => {
  for (const [name, { x: xShape, weight: weightShape, conv }] of Object.entries(ways)) {
    it(`follow what is written: ${name}`, () => {
      const x = uniform(xShape, 1);
      const weight = uniform(weightShape, 2);
      const once = (w: Tensor): m.TypedArray => conv(x, w.clone()).dataSync();
      const expectEqual = (): void => {
        const want = once(weight);
        for (let i = 0; i < 3; i++) expect(Buffer.compare(bytes(conv(x, weight).dataSync()), bytes(want))).toBe(0);
      };
      m.noGrad(() => {
        expectEqual();
        weight.mul_(2);
        expectEqual();
        weight.select(0, 0).fill_(0);
        expectEqual();
        weight.requiresGrad = true;
      });
      m.sum(conv(x, weight)).backward();
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

  it('go with the weights', async () => {
    const x = uniform([1, 32, 8, 8], 6);
    const measure = async (): Promise<number> => {
      await m.synchronize();
      return m.memory().allocated;
    };
    const before = await measure();
    const weight = uniform([64, 32, 3, 3], 7);
    const use = (): void => m.conv2d(x, weight, null, { padding: 1 }).dispose();
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
  });
});
