import { afterEach, describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { IndexOutOfRangeError, OutOfMemoryError } from '../../lib/index.js';

afterEach(() => {
  m.setMemoryLimit(Infinity);
});

describe('reading', () => {
  it('sees everything that came before, in order', async () => {
    const x = m.zeros([4]);
    const reads: Promise<number>[] = [];
    for (let i = 0; i < 100; i++) {
      m.noGrad(() => x.add_(1));
      reads.push(x.select(0, 2).item());
    }
    expect(await Promise.all(reads)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
  });

  it('gives the same answers with and without waiting', async () => {
    const x = m.arange(12, undefined, 1, { dtype: 'float32' }).reshape([3, 4]).t();
    expect(await x.data()).toEqual(x.dataSync());
    expect(await x.toArray()).toEqual([
      [0, 4, 8],
      [1, 5, 9],
      [2, 6, 10],
      [3, 7, 11],
    ]);
    expect(await m.tensor([true, false]).toArray()).toEqual([true, false]);
    expect(await m.tensor(3).item()).toBe(3);
    await expect(x.item()).rejects.toThrow(/one element/);
  });

  it('goes on while heavy work is under way', async () => {
    const a = m.randn([700, 700]);
    let y = a;
    for (let i = 0; i < 20; i++) y = m.matmul(a, y).mul(1e-3);
    const small = m.ones([2]).add(1);
    const [first, second] = await Promise.all([y.sum().item(), small.sum().item()]);
    expect(Number.isFinite(first)).toBe(true);
    expect(second).toBe(4);
  });

  it('keeps more commands than fit a segment in order', () => {
    let x = m.zeros([1]);
    for (let i = 0; i < 20_000; i++) x = x.add(1);
    expect(x.itemSync()).toBe(20_000);
  });
});

describe('errors while running', () => {
  it('reject what depends on them, name the op, and nothing else', async () => {
    const table = m.ones([3, 2]);
    const bad = table.indexSelect(0, m.tensor([0, 3], { dtype: 'int32' }));
    const later = bad.mul(2).sum();
    await expect(later.item()).rejects.toThrow(IndexOutOfRangeError);
    await expect(bad.data()).rejects.toThrow(/^indexSelect: /);
    expect(() => later.itemSync()).toThrow(IndexOutOfRangeError);
    expect(table.sum().itemSync()).toBe(6);
  });

  it('leave in-place targets as they were', async () => {
    const x = m.ones([3]);
    const bad = m.ones([3]).indexSelect(0, m.tensor([5, 0, 0], { dtype: 'int32' }));
    x.add_(bad);
    await expect(m.synchronize()).rejects.toThrow(/^indexSelect: /);
    expect(Array.from(x.dataSync())).toEqual([1, 1, 1]);
    await m.synchronize();
  });

  it('report memory that cannot be had, and go on', async () => {
    const small = m.ones([10]);
    const huge = m.zeros([2 ** 40]);
    await expect(huge.sum().item()).rejects.toThrow(OutOfMemoryError);
    m.setMemoryLimit(m.memory().allocated + 2 ** 20);
    const over = m.zeros([2 ** 20]).add(1);
    await expect(over.item().catch(() => over.data())).rejects.toThrow(OutOfMemoryError);
    expect(() => m.fromTypedArray(new Float32Array(2 ** 20), [2 ** 20])).toThrow(OutOfMemoryError);
    expect(small.add(1).sum().itemSync()).toBe(20);
    m.setMemoryLimit(Infinity);
    expect(
      m
        .zeros([2 ** 20])
        .sum()
        .itemSync(),
    ).toBe(0);
  });
});

describe('threads', () => {
  it('do not change results by a bit', () => {
    const run = (threads: number): Uint8Array => {
      m.setNumThreads(threads);
      m.manualSeed(7);
      const x = m.randn([257, 300]);
      const w = m.randn([300, 131], { requiresGrad: true });
      const y = m.crossEntropy(x.matmul(w).tanh(), m.randint(0, 131, [257]));
      y.backward();
      const parts = [y, w.grad!, x.sum(0), x.softmax(1), x.mean()].map((t) => new Uint8Array(t.dataSync().buffer));
      return Uint8Array.from(parts.flatMap((p) => [...p]));
    };
    const before = m.getNumThreads();
    const one = run(1);
    for (const threads of [2, 3, 8]) expect(run(threads)).toEqual(one);
    m.setNumThreads(before);
    expect(() => m.setNumThreads(0)).toThrow(/integer in \[1, 1024\], got 0/);
  });
});
