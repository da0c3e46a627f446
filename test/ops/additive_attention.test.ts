import { describe, expect, it } from 'vitest';
import { AdditiveAttention, gradcheck, gradgradcheck, softmax, tanh, tensor, type Tensor } from '../../lib/index.js';
import { additiveScores, weightedSum } from '../../lib/ops/attention.js';
import { distance, floats, numbers, values } from '../nn/values.js';

const of = (shape: number[], seed: number, dtype: 'float32' | 'float64' = 'float64'): Tensor =>
  floats(
    values(
      shape.reduce((a, b) => a * b, 1),
      seed,
      -1,
      1,
    ),
    shape,
    dtype,
  ).requiresGrad_();

describe('additiveScores', () => {
  it.each([
    [3, 2, 5],
    [20, 4, 33],
    [1, 1, 1],
  ])('is v · tanh(query + key) for %i keys of %i rows, %i wide', (s, b, a) => {
    for (const [dtype, tolerance] of [
      ['float64', 1e-12],
      ['float32', 1e-5],
    ] as const) {
      const [query, keys, v] = [of([b, a], 1, dtype), of([s, b, a], 2, dtype), of([a], 3, dtype)];
      const got = additiveScores(query, keys, v);
      const want = tanh(keys.add(query)).mul(v).sum(-1);
      expect(distance(numbers(got), numbers(want))).toBeLessThan(tolerance);
    }
  });

  it('has the gradients of central differences, also of second order, and of operands with strides', () => {
    const inputs = [of([2, 3], 1), of([4, 2, 3], 2), of([3], 3)];
    const scores = (q: Tensor, k: Tensor, v: Tensor): Tensor => additiveScores(q, k, v);
    expect(gradcheck(scores as never, inputs)).toBe(true);
    expect(gradgradcheck(scores as never, inputs)).toBe(true);
    const turned = (q: Tensor, k: Tensor, v: Tensor): Tensor => additiveScores(q.t(), k.transpose(0, 1), v);
    expect(gradcheck(turned as never, [of([3, 2], 1), of([2, 4, 3], 2), of([3], 3)])).toBe(true);
  });

  it('refuses what does not fit, at the call', () => {
    const [query, keys, v] = [of([2, 3], 1), of([4, 2, 3], 2), of([3], 3)];
    expect(() => additiveScores(v, keys, v)).toThrow('additiveScores: expected query of shape [2, 3], got [3]');
    expect(() => additiveScores(query, query, v)).toThrow('expected keys of shape [S, B, A], got [2, 3]');
    expect(() => additiveScores(query, keys, query)).toThrow('expected v of shape [3], got [2, 3]');
    expect(() => weightedSum(query, keys)).toThrow(
      'weightedSum: expected memory of shape [S, B, M] and weights of shape [S, B], got [4, 2, 3] and [2, 3]',
    );
  });
});

describe('additive attention', () => {
  it('sums up gradients of keys and memory over steps, as separate operations do', () => {
    const attention = new AdditiveAttention(3, 4, 5, { dtype: 'float64' });
    const memory = of([6, 2, 4], 1);
    const queries = [of([2, 3], 2), of([2, 3], 3), of([2, 3], 4)];
    const parameters = attention.parameters();
    const plain = (q: Tensor, m: Tensor): Tensor => {
      const scores = attention.v.forward(tanh(attention.w2.forward(m).add(attention.w1.forward(q)))).squeeze(2);
      return softmax(scores, 0).unsqueeze(2).mul(m).sum(0);
    };
    const gradients = (step: (q: Tensor, m: Tensor) => Tensor): number[][] => {
      const leaves = [...parameters, memory, ...queries];
      for (const leaf of leaves) leaf.grad = null;
      queries
        .map((q) => step(q, memory).square().sum())
        .reduce((a, b) => a.add(b))
        .backward();
      return leaves.map((leaf) => numbers(leaf.grad!));
    };
    const want = gradients(plain);
    let keys: Tensor;
    const got = gradients((q, m) => {
      if (q === queries[0]) keys = attention.keys(m);
      return attention.forward(q, m, keys)[0];
    });
    got.forEach((g, i) => expect(distance(g, want[i]!)).toBeLessThan(1e-12));
    const both = (q: Tensor, m: Tensor): Tensor => attention.forward(q, m)[0].add(attention.forward(q, m)[1].sum());
    expect(gradcheck(both as never, [queries[0]!, memory])).toBe(true);
  });

  it('gives no weight to what a mask hides', () => {
    const attention = new AdditiveAttention(3, 4, 5);
    const [query, memory] = [of([2, 3], 1, 'float32'), of([3, 2, 4], 2, 'float32')];
    const mask = tensor([
      [true, true],
      [false, true],
      [true, false],
    ]);
    const [, weights] = attention.forward(query, memory, attention.keys(memory), mask);
    const shown = numbers(weights);
    expect([shown[2], shown[5]]).toEqual([0, 0]);
    expect(shown[0]! + shown[4]!).toBeCloseTo(1, 6);
  });
});
