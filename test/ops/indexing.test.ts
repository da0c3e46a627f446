import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { IndexOutOfRangeError, ShapeError, ValueError, type Tensor } from '../../lib/index.js';

const ints = (values: m.NestedArray): Tensor => m.tensor(values, { dtype: 'int32' });
const list = (t: Tensor): number[] => Array.from(t.dataSync());
/** Deterministic numbers with repeats and NaN. */
const noisy = (n: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => (i % 97 === 5 ? NaN : Math.round(Math.sin(i * 12.9898) * 500) / 8));

describe('index', () => {
  const x = m.arange(24).reshape([2, 3, 4]);
  const at = (i: number, j: number, k: number): number => 12 * i + 4 * j + k;
  const rows: [string, Tensor, number[], number[]][] = [
    ['integers', x.index(1, -1), [4], [0, 1, 2, 3].map((k) => at(1, 2, k))],
    [
      'a range with a step',
      x.index('...', { start: 1, step: 2 }),
      [2, 3, 2],
      [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23],
    ],
    ['a new axis', x.index(0, null, 0), [1, 4], [0, 1, 2, 3]],
    ['negative bounds', x.index(0, 0, { start: -3, end: -1 }), [2], [1, 2]],
    ['a tensor', x.index(0, ints([2, -3])), [2, 4], [8, 9, 10, 11, 0, 1, 2, 3]],
    ['tensors that broadcast', x.index(ints([[0], [1]]), ints([0, 2]), 3), [2, 2], [3, 11, 15, 23]],
    [
      'tensors apart, whose dimensions come first',
      x.index(ints([0, 1, 1]), {}, ints([0, 1, 3])),
      [3, 3],
      [0, 4, 8, 13, 17, 21, 15, 19, 23],
    ],
    ['tensors together in the middle', x.index({}, ints([2, 0]), ints([1, 1])), [2, 2], [9, 1, 21, 13]],
    ['a mask of one dimension', x.index(1, m.tensor([true, false, true]), 0), [2], [12, 20]],
    ['a mask of all', x.index(x.gt(20)), [3], [21, 22, 23]],
    ['nothing', x.index({ start: 2 }), [0, 3, 4], []],
  ];
  for (const [what, got, shape, values] of rows) {
    it(`by ${what}`, () => {
      expect(got.shape).toEqual(shape);
      expect(list(got)).toEqual(values);
    });
  }

  it('refuses what is outside', async () => {
    expect(() => x.index(2)).toThrow(IndexOutOfRangeError);
    expect(() => x.index(0, 0, 0, 0)).toThrow(ShapeError);
    expect(() => x.index('...', '...')).toThrow(ValueError);
    expect(() => x.index(m.tensor([true]))).toThrow(ShapeError);
    await expect(x.index(ints([0, 2])).data()).rejects.toBeInstanceOf(IndexOutOfRangeError);
    // Outside its own dimension, though inside the memory.
    await expect(x.index(ints([0]), ints([3])).data()).rejects.toBeInstanceOf(IndexOutOfRangeError);
    await expect(m.gather(x, 0, ints([[[2]]])).data()).rejects.toBeInstanceOf(IndexOutOfRangeError);
    await expect(m.take(x, ints([-1])).data()).rejects.toBeInstanceOf(IndexOutOfRangeError);
  });

  it('puts values where it would read them', () => {
    const y = m.zeros([2, 3]).indexPut([{}, ints([2, 0])], m.tensor([5, 7]));
    expect(list(y)).toEqual([7, 0, 5, 7, 0, 5]);
    const z = m.zeros([3]).indexPut([ints([1, 1, -1])], 2, { accumulate: true });
    expect(list(z)).toEqual([0, 4, 2]);
  });
});

describe('order', () => {
  for (const [n, dtype] of [
    [7, 'float32'],
    [67, 'float64'],
    [3000, 'float32'],
    [200_000, 'float64'],
    [150_000, 'int32'],
  ] as const) {
    it(`sorts ${n} of ${dtype}, equals in their order`, () => {
      const values = noisy(n);
      const x = m.fromTypedArray(values, [n], { dtype });
      const data = list(x);
      const key = (i: number): number => (Number.isNaN(data[i]!) ? Infinity : data[i]!);
      for (const descending of [false, true]) {
        const want = data.map((_, i) => i).sort((a, b) => (descending ? key(b) - key(a) : key(a) - key(b)) || a - b);
        const got = m.sort(x, { descending });
        expect(list(got.indices)).toEqual(want);
        expect(list(got.values)).toEqual(want.map((i) => data[i]));
        expect(list(m.topk(x, 5, { largest: descending }).indices)).toEqual(want.slice(0, 5));
      }
    });
  }

  it('of columns of a strided view', () => {
    const x = m.fromTypedArray(noisy(600), [20, 30]).t().slice(1, 0, 20, 2);
    const got = m.sort(x, { dim: 0 }).values;
    const [rows, columns] = x.shape as [number, number];
    const data = list(x);
    for (let c = 0; c < columns; c++) {
      const want = Array.from({ length: rows }, (_, r) => data[r * columns + c]!).sort((a, b) =>
        Number.isNaN(a) ? 1 : Number.isNaN(b) ? -1 : a - b,
      );
      expect(list(got.select(1, c))).toEqual(want);
    }
  });

  it('finds distinct values and counts', () => {
    const { values, inverse, counts } = m.unique(
      ints([
        [3, 1],
        [3, 7],
      ]),
    );
    expect([list(values), list(inverse), list(counts)]).toEqual([
      [1, 3, 7],
      [1, 0, 1, 2],
      [1, 2, 1],
    ]);
    expect(list(m.bincount(ints([1, 3, 1]), { minlength: 5 }))).toEqual([0, 2, 0, 1, 0]);
    expect(list(m.searchsorted(m.tensor([1, 3, 3, 5]), m.tensor([3, 0, 9])))).toEqual([1, 0, 4]);
    expect(list(m.searchsorted(m.tensor([1, 3, 3, 5]), m.tensor([3, 0, 9]), { right: true }))).toEqual([3, 0, 4]);
  });
});

describe('running results', () => {
  for (const shape of [[300_000], [5, 70, 90], [2, 1, 33], [0, 4]]) {
    it(`sum and multiply along ${shape.join(' × ')}`, () => {
      const n = shape.reduce((a, b) => a * b, 1);
      const x = m.fromTypedArray(
        Float64Array.from({ length: n }, (_, i) => 1 + Math.sin(i) / 1000),
        shape,
      );
      for (let dim = 0; dim < shape.length; dim++) {
        const length = shape[dim]!;
        const step = shape.slice(dim + 1).reduce((a, b) => a * b, 1);
        const [sums, products, data] = [list(m.cumsum(x, dim)), list(m.cumprod(x, dim)), list(x)];
        let worst = 0;
        for (let i = 0; i < n; i++) {
          const first = Math.floor(i / step) % length === 0;
          worst = Math.max(worst, Math.abs(sums[i]! - ((first ? 0 : sums[i - step]!) + data[i]!)) / sums[i]!);
          worst = Math.max(worst, Math.abs(products[i]! - (first ? 1 : products[i - step]!) * data[i]!));
        }
        expect(worst).toBeLessThan(1e-12);
      }
    });
  }
});

describe('einsum', () => {
  const a = m.randn([3, 4], { dtype: 'float64', generator: new m.Generator(1) });
  const b = m.randn([4, 5], { dtype: 'float64', generator: new m.Generator(2) });
  const near = (x: Tensor, y: Tensor): void => {
    expect(x.shape).toEqual(y.shape);
    expect(x.sub(y).abs().max().itemSync()).toBeLessThan(1e-12);
  };
  it('multiplies, transposes, sums and takes diagonals', () => {
    near(m.einsum('ij,jk->ik', a, b), a.matmul(b));
    near(m.einsum('ij,jk', a, b), a.matmul(b));
    near(m.einsum('ij->ji', a), a.t());
    near(m.einsum('ij->', a), a.sum());
    near(m.einsum('i,j->ij', a.select(0, 0), a.select(0, 1)), a.select(0, 0).unsqueeze(1).mul(a.select(0, 1)));
    near(m.einsum('ii', a.matmul(a.t())), m.trace(a.matmul(a.t())));
    near(m.einsum('...j,jk->k...', a, b), a.matmul(b).t());
    near(m.einsum('ij,ij->i', a, a), a.square().sum(1));
  });
  it('refuses what does not fit', () => {
    expect(() => m.einsum('ij,jk', a, a)).toThrow(ShapeError);
    expect(() => m.einsum('ij->k', a)).toThrow(ValueError);
    expect(() => m.einsum('ijk', a)).toThrow(ShapeError);
    expect(() => m.einsum('i-j', a)).toThrow(ValueError);
  });
});

describe('spread', () => {
  it('is right where the mean is far larger', () => {
    const n = 10_000;
    const x = m.fromTypedArray(
      Float64Array.from({ length: n }, (_, i) => 1e8 + (i % 2)),
      [n],
    );
    const want = ((n / (n - 1)) * 1) / 4;
    expect(m.var(x).itemSync()).toBeCloseTo(want, 12);
    expect(
      m
        .var(x.reshape([n / 50, 50]), 0, { correction: 0 })
        .select(0, 1)
        .itemSync(),
    ).toBeCloseTo(0, 12);
    expect(
      m
        .var(x.reshape([50, n / 50]).t(), 0, { correction: 0 })
        .select(0, 0)
        .itemSync(),
    ).toBeCloseTo(0.25, 12);
  });
  it('of nothing is as in PyTorch', () => {
    expect(m.var(m.zeros([1])).itemSync()).toBeNaN();
    expect(m.zeros([0]).sum().itemSync()).toBe(0);
    expect(m.zeros([0]).prod().itemSync()).toBe(1);
    expect(m.zeros([0]).mean().itemSync()).toBeNaN();
    expect(m.logsumexp(m.zeros([0])).itemSync()).toBe(-Infinity);
    expect(() => m.max(m.zeros([0]))).toThrow(ShapeError);
    expect(() => m.norm(m.zeros([0]), Infinity)).toThrow(ShapeError);
  });
  it('sums integers as int32', () => {
    expect(m.tensor([true, true, false]).sum().dtype).toBe('int32');
    expect(m.tensor([true, true, false]).sum().itemSync()).toBe(2);
    expect(m.sum(ints([1, 2]), undefined, false, { dtype: 'float64' }).dtype).toBe('float64');
    expect(ints([3, 4]).prod().itemSync()).toBe(12);
  });
});

describe('drawing', () => {
  it('follows its weights', () => {
    const weights = m.tensor([0, 1, 3]);
    const counts = m.bincount(m.multinomial(weights, 20_000, { replacement: true, generator: new m.Generator(4) }));
    const [none, one, three] = list(counts) as [number, number, number];
    expect(none).toBe(0);
    expect(three / one).toBeGreaterThan(2.7);
    expect(three / one).toBeLessThan(3.3);
    const both = m.multinomial(weights.expand([50, 3]), 2, { generator: new m.Generator(5) });
    expect(list(both.sort().values.select(1, 0))).toEqual(new Array(50).fill(1));
    expect(list(m.bernoulli(m.tensor([0, 1, 1, 0])))).toEqual([0, 1, 1, 0]);
    const waits = m.exponential([20_000], { rate: 2, generator: new m.Generator(6) });
    expect(waits.mean().itemSync()).toBeCloseTo(0.5, 1);
    expect(waits.min().itemSync()).toBeGreaterThan(0);
    expect(() => m.multinomial(weights, 4)).toThrow(ValueError);
  });
});
