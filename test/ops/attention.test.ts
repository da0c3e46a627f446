import { describe, expect, it } from 'vitest';
import {
  attentionWeights,
  dropout as drop,
  fromTypedArray,
  grad,
  gradcheck,
  gradgradcheck,
  Generator,
  matmul,
  memory,
  noGrad,
  ones,
  randn,
  resetPeakMemory,
  scaledDotProductAttention,
  synchronize,
  tensor,
  type AttentionOptions,
  type Tensor,
} from '../../lib/index.js';
import { packedAttention } from '../../lib/ops/attention.js';
import { numelOf } from '../../lib/shape.js';
import { distance, floats, numbers, values } from '../nn/values.js';

type Size = [lead: number[], tq: number, tk: number, d: number, dv: number];

const make = ([lead, tq, tk, d, dv]: Size, dtype: 'float32' | 'float64'): [Tensor, Tensor, Tensor] => {
  const of = (shape: number[], seed: number): Tensor =>
    floats(
      values(
        shape.reduce((a, b) => a * b, 1),
        seed,
        -1.5,
        1.5,
      ),
      shape,
      dtype,
    ).requiresGrad_();
  return [of([...lead, tq, d], 3), of([...lead, tk, d], 5), of([...lead, tk, dv], 9)];
};

/** Scores, softmax and product in plain numbers: one matrix (Tq,D), (Tk,D), (Tk,Dv). */
function reference(
  q: number[][],
  k: number[][],
  v: number[][],
  seen: (i: number, j: number) => number,
  scale: number,
): number[][] {
  return q.map((row, i) => {
    const scores = k.map((key, j) => key.reduce((s, x, c) => s + x * row[c]!, 0) * scale + seen(i, j));
    const top = Math.max(...scores);
    const e = scores.map((s) => (top === -Infinity ? 0 : Math.exp(s - top)));
    const total = e.reduce((a, b) => a + b, 0);
    return v[0]!.map((_, c) => (total === 0 ? 0 : e.reduce((s, p, j) => s + p * v[j]![c]!, 0) / total));
  });
}

const matrix = (x: Tensor): number[][] => {
  const [rows, columns] = x.shape as [number, number];
  const flat = numbers(x.detach().contiguous());
  return Array.from({ length: rows }, (_, i) => flat.slice(i * columns, (i + 1) * columns));
};

const outcome = (fn: (q: Tensor, k: Tensor, v: Tensor) => Tensor, inputs: [Tensor, Tensor, Tensor]): number[][] => {
  const y = fn(...inputs);
  const weight = floats(values(y.numel, 21, -1, 1), [...y.shape], y.dtype);
  return [y, ...grad(y, inputs, { gradOutputs: weight })].map((x) => numbers(x.contiguous()));
};

/** Softmax of the whole matrix of scores. */
const plain =
  (options: AttentionOptions) =>
  (q: Tensor, k: Tensor, v: Tensor): Tensor =>
    matmul(attentionWeights(q, k, options), v);

const plainMasked = (q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor => plain(options)(q, k, v);

const half = (tq: number, tk: number): Tensor =>
  fromTypedArray(Float64Array.from(values(tq * tk, 2, -1, 1)), [tq, tk]).gt(0);

describe('scaledDotProductAttention', () => {
  it.each<[string, number, number, AttentionOptions]>([
    ['plain', 5, 7, {}],
    ['causal', 9, 9, { causal: true }],
    ['causal, more keys', 4, 9, { causal: true }],
    ['scale', 3, 4, { scale: -0.7 }],
    ['one query', 1, 130, {}],
    ['tiles', 101, 203, {}],
    ['tiles, causal', 150, 150, { causal: true }],
  ])('equals plain numbers: %s', (_, tq, tk, options) => {
    const [q, k, v] = make([[], tq, tk, 5, 6], 'float64');
    const seen = (i: number, j: number): number => (options.causal === true && j > i ? -Infinity : 0);
    const want = reference(matrix(q), matrix(k), matrix(v), seen, options.scale ?? 1 / Math.sqrt(5));
    for (const [dtype, tolerance] of [
      ['float64', 1e-12],
      ['float32', 1e-5],
    ] as const) {
      const got = scaledDotProductAttention(q.to(dtype), k.to(dtype), v.to(dtype), options);
      expect(distance(numbers(got.contiguous()), want.flat())).toBeLessThan(tolerance);
    }
  });

  const sizes: [string, Size, AttentionOptions][] = [
    ['heads', [[2, 3], 5, 6, 4, 4], {}],
    ['other width of values', [[2], 6, 5, 3, 7], {}],
    ['causal tiles', [[1, 2], 200, 200, 17, 9], { causal: true }],
    ['more queries', [[3], 150, 20, 8, 8], {}],
    ['few queries', [[2, 2], 2, 70, 24, 40], {}],
    ['many heads', [[4, 5], 60, 50, 16, 16], { causal: true }],
    ['bool mask', [[2, 3], 7, 9, 4, 4], { mask: half(7, 9) }],
    ['bool mask in tiles', [[2], 100, 120, 8, 8], { mask: half(100, 120), causal: true }],
    ['mask by column', [[2, 2], 3, 4, 5, 5], { mask: tensor([true, false, true, true]) }],
    ['five dimensions', [[2, 1, 2], 3, 4, 5, 5], {}],
    ['longer than one group', [[1], 900, 900, 4, 4], { causal: true }],
  ];
  it.each(sizes)('has the values and gradients of the whole matrix of scores: %s', (_, size, options) => {
    for (const [dtype, tolerance] of [
      ['float64', 1e-11],
      ['float32', 2e-4],
    ] as const) {
      const got = outcome((q, k, v) => scaledDotProductAttention(q, k, v, options), make(size, dtype));
      const want = outcome(plain(options), make(size, 'float64'));
      got.forEach((g, i) => expect(distance(g, want[i]!)).toBeLessThan(tolerance));
    }
  });

  it('takes any strides and broadcast leading dimensions', () => {
    const options = { causal: true };
    const strided = (f: typeof plain) => (q: Tensor, k: Tensor, v: Tensor) =>
      f(options)(q.transpose(1, 2), k.transpose(0, 2).transpose(1, 2), v.slice(-1, 0, 6, 2));
    const fused: typeof plain = (o) => (q, k, v) => scaledDotProductAttention(q, k, v, o);
    const inputs = (): [Tensor, Tensor, Tensor] => {
      const of = (shape: number[], seed: number): Tensor =>
        floats(
          values(
            shape.reduce((a, b) => a * b, 1),
            seed,
            -1,
            1,
          ),
          shape,
        ).requiresGrad_();
      return [of([2, 3, 5], 1), of([7, 3, 1], 2), of([2, 7, 6], 3)];
    };
    const got = outcome(strided(fused), inputs());
    const want = outcome(strided(plain), inputs());
    got.forEach((g, i) => expect(distance(g, want[i]!)).toBeLessThan(1e-12));
  });

  it('gives zeros and no NaN where a query sees nothing', () => {
    for (const [tq, tk] of [
      [1, 3],
      [4, 3],
    ] as const) {
      const seen = Array.from({ length: tq }, (_, i) => [i === 2, false, i === 2]);
      const inputs = make([[1], tq, tk, 4, 4], 'float64');
      const got = outcome((q, k, v) => scaledDotProductAttention(q, k, v, { mask: tensor(seen) }), inputs);
      expect(got.flat().every(Number.isFinite)).toBe(true);
      expect(got[0]!.slice(0, 4)).toEqual([0, 0, 0, 0]);
      const added = tensor(
        seen.map((row) => row.map((s) => (s ? 0 : -Infinity))),
        { dtype: 'float64' },
      );
      const other = outcome((q, k, v) => scaledDotProductAttention(q, k, v, { mask: added }), inputs);
      got.forEach((g, i) => expect(distance(g, other[i]!)).toBeLessThan(1e-13));
    }
    const [q, k, v] = make([[2], 3, 0, 4, 4], 'float32');
    expect(numbers(scaledDotProductAttention(q, k, v).contiguous())).toEqual(new Array(24).fill(0));
  });

  it('shows NaN, also through weights of 0', () => {
    const q = tensor([
      [NaN, 1],
      [1, 1],
    ]);
    const got = numbers(scaledDotProductAttention(q, ones([3, 2]), ones([3, 2])).contiguous());
    expect(got.map(Number.isNaN)).toEqual([true, true, false, false]);
  });

  it('has the gradients of central differences, of second order too and of an added mask', () => {
    const inputs = make([[2], 3, 4, 2, 3], 'float64');
    const mask = floats(values(12, 4), [3, 4]).requiresGrad_();
    const masked = (q: Tensor, k: Tensor, v: Tensor, m: Tensor): Tensor =>
      scaledDotProductAttention(q, k, v, { mask: m });
    expect(gradcheck((q, k, v) => scaledDotProductAttention(q, k, v, { causal: true }), inputs)).toBe(true);
    expect(gradgradcheck((q, k, v) => scaledDotProductAttention(q, k, v, { causal: true }), inputs)).toBe(true);
    expect(gradcheck(masked, [...inputs, mask])).toBe(true);
    const dropped = (q: Tensor, k: Tensor, v: Tensor, m: Tensor): Tensor =>
      scaledDotProductAttention(q, k, v, { mask: m, dropout: 0.4, generator: new Generator(2) });
    expect(gradcheck(dropped, [...inputs, mask])).toBe(true);
    expect(gradgradcheck(dropped, [...inputs, mask])).toBe(true);
  });

  it.each<[string, Size, AttentionOptions]>([
    ['heads', [[2, 3], 5, 7, 4, 4], {}],
    ['one query', [[2, 2], 1, 203, 4, 4], {}],
    ['causal tiles', [[1, 2], 101, 203, 5, 6], { causal: true }],
    ['many heads', [[5, 4], 30, 30, 4, 4], { causal: true, mask: half(30, 30) }],
    ['five dimensions', [[2, 1, 2], 3, 4, 5, 5], {}],
  ])('drops the weights that dropout of the whole matrix drops: %s', (_, size, options) => {
    const dropout = 0.3;
    const composition = (q: Tensor, k: Tensor, v: Tensor): Tensor =>
      matmul(drop(attentionWeights(q, k, options), { p: dropout, generator: new Generator(5) }), v);
    for (const [dtype, tolerance] of [
      ['float64', 1e-11],
      ['float32', 2e-4],
    ] as const) {
      const fused = (q: Tensor, k: Tensor, v: Tensor): Tensor =>
        scaledDotProductAttention(q, k, v, { ...options, dropout, generator: new Generator(5) });
      const got = outcome(fused, make(size, dtype));
      const want = outcome(composition, make(size, 'float64'));
      got.forEach((g, i) => expect(distance(g, want[i]!)).toBeLessThan(tolerance));
    }
  });

  it('drops in the given proportion, all or nothing too, and goes on along the generator', () => {
    const generator = new Generator(3);
    const [q, k] = make([[], 40, 50, 3, 3], 'float32');
    const dropped = (dropout: number): Tensor =>
      scaledDotProductAttention(q, k, ones([50, 1]), { dropout, generator }).detach();
    const y = dropped(0.25);
    expect(Math.abs(y.mean().itemSync() - 1)).toBeLessThan(0.05);
    expect(y.sub(1).abs().amax().itemSync()).toBeGreaterThan(0.01);
    expect(generator.getState().offset).toBe(500);
    expect(distance(numbers(dropped(0.25)), numbers(y))).toBeGreaterThan(0.01);
    const inputs = make([[2], 3, 4, 2, 2], 'float32');
    const all = outcome((a, b, c) => scaledDotProductAttention(a, b, c, { dropout: 1 }), inputs);
    expect(all.flat().every((x) => x === 0)).toBe(true);
  });

  it.each([[[3, 4]], [[4]], [[2, 1, 3, 1]], [[3, 1, 4]], [[1, 3, 1, 4]]])(
    'gives an added mask of shape %j its gradient',
    (shape) => {
      const size: Size = [[2, 3], 3, 4, 2, 3];
      const mask = floats(values(numelOf(shape), 4), shape).requiresGrad_();
      const outcomes = [scaledDotProductAttention, plainMasked].map((fn) => {
        const y = fn(...make(size, 'float64'), { mask, causal: true });
        return numbers(grad(y, mask, { gradOutputs: floats(values(y.numel, 21, -1, 1), [...y.shape]) })[0]);
      });
      expect(distance(outcomes[0]!, outcomes[1]!)).toBeLessThan(1e-12);
    },
  );

  it('works on projections side by side', () => {
    for (const causal of [false, true]) {
      const qkv = floats(values(2 * 5 * 24, 3, -1, 1), [2, 5, 24]).requiresGrad_();
      const part = (i: number): Tensor =>
        qkv
          .narrow(2, 8 * i, 8)
          .reshape([2, 5, 2, 4])
          .transpose(1, 2);
      const want = scaledDotProductAttention(part(0), part(1), part(2), { causal }).transpose(1, 2).reshape([2, 5, 8]);
      const got = packedAttention([qkv], 2, { causal });
      const kv = qkv.detach().narrow(2, 8, 16).contiguous().requiresGrad_();
      const query = qkv.detach().narrow(2, 0, 8).requiresGrad_();
      const other = packedAttention([query, kv], 2, { causal });
      const weight = floats(values(80, 8), [2, 5, 8]);
      const [a] = grad(got, qkv, { gradOutputs: weight });
      const [b] = grad(want, qkv, { gradOutputs: weight });
      const [dq, dkv] = grad(other, [query, kv], { gradOutputs: weight }) as [Tensor, Tensor];
      expect(distance(numbers(got), numbers(want.contiguous()))).toBeLessThan(1e-13);
      expect(distance(numbers(other), numbers(want.contiguous()))).toBeLessThan(1e-13);
      expect(distance(numbers(a), numbers(b))).toBeLessThan(1e-13);
      expect(distance(numbers(dq), numbers(b.narrow(2, 0, 8).contiguous()))).toBeLessThan(1e-13);
      expect(distance(numbers(dkv), numbers(b.narrow(2, 8, 16).contiguous()))).toBeLessThan(1e-13);
      expect(gradgradcheck((x) => packedAttention([x], 2, { causal }), [qkv])).toBe(true);
    }
  });

  it.each<[string, AttentionOptions]>([
    ['plain', {}],
    ['with dropout', { dropout: 0.1 }],
    ['with the gradient of a mask by key', { mask: ones([2048]).requiresGrad_() }],
  ])('needs memory linear in the length: %s', async (_, { mask = null, ...options }) => {
    const peak = async (t: number): Promise<number> => {
      const [q, k, v] = [1, 2, 3].map(() => randn([1, 1, t, 8]).requiresGrad_()) as [Tensor, Tensor, Tensor];
      const own = mask?.slice(0, 0, t) ?? null;
      await synchronize();
      resetPeakMemory();
      const start = memory().allocated;
      scaledDotProductAttention(q, k, v, { causal: true, mask: own, ...options })
        .sum()
        .backward();
      await synchronize();
      return memory().peak - start;
    };
    const [short, long] = [await peak(512), await peak(2048)];
    expect(long).toBeLessThan(5 * short + 65536);
    expect(long).toBeLessThan((2048 * 2048 * 4) / 4);
  });

  it('refuses what does not fit, at the call', () => {
    const [q, k, v] = make([[2], 3, 4, 2, 2], 'float32');
    const fn = scaledDotProductAttention;
    expect(() => fn(q, k.slice(-1, 0, 1), v)).toThrow(
      'scaledDotProductAttention: expected key of shape [..., T, 2], got [2, 4, 1]',
    );
    expect(() => fn(q, k, v.slice(1, 0, 3))).toThrow('expected value of shape [..., 4, D], got [2, 3, 2]');
    expect(() => fn(q, k, v.to('float64'))).toThrow('expected query and value of one dtype, got float32 and float64');
    expect(() => fn(q, k, v, { mask: ones([3, 3]) })).toThrow(
      'expected a mask that broadcasts to [2, 3, 4], got [3, 3]',
    );
    expect(() => fn(q, k, v, { mask: ones([3, 4], { dtype: 'int32' }) })).toThrow(
      'expected mask of dtype bool or float32, got int32',
    );
    expect(() => fn(q, k, v, { dropout: 2 })).toThrow('expected dropout to be a number in [0, 1], got 2');
    expect(noGrad(() => fn(q, k, v)).requiresGrad).toBe(false);
  });
});
