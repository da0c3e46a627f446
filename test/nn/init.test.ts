import { describe, expect, it } from 'vitest';
import * as init from '../../lib/nn/init.js';
import { DTypeError, ShapeError, ValueError } from '../../lib/errors.js';
import { empty } from '../../lib/ops/create.js';
import { Generator, manualSeed } from '../../lib/random.js';
import { Parameter } from '../../lib/nn/parameter.js';
import { numbers } from './values.js';

const mean = (list: readonly number[]): number => list.reduce((sum, x) => sum + x, 0) / list.length;
const deviation = (list: readonly number[]): number => {
  const centre = mean(list);
  return Math.sqrt(mean(list.map((x) => (x - centre) ** 2)));
};

describe('initialisers', () => {
  it('knows the gains', () => {
    expect(init.calculateGain('linear')).toBe(1);
    expect(init.calculateGain('sigmoid')).toBe(1);
    expect(init.calculateGain('tanh')).toBe(5 / 3);
    expect(init.calculateGain('relu')).toBe(Math.SQRT2);
    expect(init.calculateGain('leaky_relu', 0.2)).toBeCloseTo(Math.sqrt(2 / 1.04), 15);
    expect(init.calculateGain('selu')).toBe(0.75);
    expect(() => init.calculateGain('gelu' as never)).toThrow(ValueError);
  });

  it('fills with constants and the identity', () => {
    const t = empty([2, 3]);
    expect(numbers(init.constant_(t, 3))).toEqual([3, 3, 3, 3, 3, 3]);
    expect(numbers(init.ones_(t))).toEqual([1, 1, 1, 1, 1, 1]);
    expect(numbers(init.zeros_(t))).toEqual([0, 0, 0, 0, 0, 0]);
    expect(numbers(init.eye_(t))).toEqual([1, 0, 0, 0, 1, 0]);
    expect(() => init.eye_(empty([2]))).toThrow(ShapeError);
  });

  it.each([
    ['xavierUniform_', (t: Parameter) => init.xavierUniform_(t, { gain: 2 }), 2 * Math.sqrt(2 / 300), true],
    ['xavierNormal_', (t: Parameter) => init.xavierNormal_(t, { gain: 2 }), 2 * Math.sqrt(2 / 300), false],
    ['kaimingUniform_', (t: Parameter) => init.kaimingUniform_(t, { nonlinearity: 'relu' }), Math.sqrt(2 / 200), true],
    ['kaimingNormal_', (t: Parameter) => init.kaimingNormal_(t, { mode: 'fanOut' }), Math.sqrt(2 / 100), false],
    ['uniform_', (t: Parameter) => init.uniform_(t, -1, 1), 1 / Math.sqrt(3), true],
    ['normal_', (t: Parameter) => init.normal_(t, 0, 0.3), 0.3, false],
  ])('%s has the right spread', (_, fill, std, uniform) => {
    const t = new Parameter(empty([100, 200]));
    expect(fill(t)).toBe(t);
    expect(t.requiresGrad).toBe(true);
    const all = numbers(t);
    expect(Math.abs(mean(all))).toBeLessThan(0.03 * std);
    expect(deviation(all) / std).toBeCloseTo(1, 1);
    const highest = Math.max(...all.map(Math.abs));
    if (uniform) expect(highest).toBeLessThanOrEqual(std * Math.sqrt(3) * (1 + 1e-6));
    else expect(highest).toBeGreaterThan(3 * std);
  });

  it('takes kernels into the fan', () => {
    const t = empty([8, 4, 3, 3]);
    const bound = Math.sqrt(6 / (9 * 12));
    const all = numbers(init.xavierUniform_(t)).map(Math.abs);
    expect(Math.max(...all)).toBeLessThanOrEqual(bound * (1 + 1e-6));
    expect(Math.max(...all)).toBeGreaterThan(0.9 * bound);
  });

  it('truncates normals', () => {
    const inner = numbers(init.truncNormal_(empty([20_000], { dtype: 'float64' }), { std: 1, low: -1, high: 1 }));
    expect(Math.max(...inner.map(Math.abs))).toBeLessThanOrEqual(1);
    expect(deviation(inner)).toBeCloseTo(Math.sqrt(0.29112), 2);
    const wide = numbers(init.truncNormal_(empty([20_000]), { std: 0.02 }));
    expect(deviation(wide)).toBeCloseTo(0.02, 3);
    const tail = numbers(init.truncNormal_(empty([5_000], { dtype: 'float64' }), { low: 3, high: Infinity }));
    expect(Math.min(...tail)).toBeGreaterThanOrEqual(3);
    expect(mean(tail)).toBeCloseTo(3.2831, 1);
    const shifted = numbers(init.truncNormal_(empty([5_000]), { mean: 5, std: 2, low: 4, high: 8 }));
    expect(Math.min(...shifted)).toBeGreaterThanOrEqual(4);
    expect(Math.max(...shifted)).toBeLessThanOrEqual(8);
    expect(numbers(init.truncNormal_(empty([3]), { low: 0.5, high: 0.5 }))).toEqual([0.5, 0.5, 0.5]);
    expect(() => init.truncNormal_(empty([3]), { low: 1, high: 0 })).toThrow(ValueError);
    expect(() => init.truncNormal_(empty([3]), { std: 0 })).toThrow(ValueError);
  });

  it.each([
    [[4, 4], 1],
    [[3, 7], 2],
    [[7, 3], 1],
    [[4, 2, 3], 1],
    [[1, 1], 1],
  ])('makes orthogonal matrices of shape %j', (shape, gain) => {
    const q = numbers(init.orthogonal_(empty(shape, { dtype: 'float64' }), { gain }));
    const rows = shape[0]!;
    const columns = q.length / rows;
    const n = Math.min(rows, columns);
    const at = (i: number, k: number): number => (rows <= columns ? q[i * columns + k]! : q[k * columns + i]!);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let dot = 0;
        for (let k = 0; k < Math.max(rows, columns); k++) dot += at(i, k) * at(j, k);
        expect(dot).toBeCloseTo(i === j ? gain * gain : 0, 12);
      }
    }
  });

  it('draws orthogonal matrices without a preferred sign', () => {
    const signs = Array.from({ length: 200 }, () => Math.sign(numbers(init.orthogonal_(empty([2, 2])))[0]!));
    expect(Math.abs(mean(signs))).toBeLessThan(0.3);
  });

  it('makes sparse columns', () => {
    const values = numbers(init.sparse_(empty([10, 4]), 0.25, { std: 2 }));
    for (let column = 0; column < 4; column++) {
      const zeros = Array.from({ length: 10 }, (_, i) => values[i * 4 + column]!).filter((x) => x === 0);
      expect(zeros).toHaveLength(3);
    }
    expect(() => init.sparse_(empty([2, 2, 2]), 0.5)).toThrow(ShapeError);
    expect(() => init.sparse_(empty([2, 2]), 2)).toThrow(ValueError);
  });

  it('repeats with the seed', () => {
    const draw = (): number[] => numbers(init.orthogonal_(init.normal_(empty([3, 3]))));
    manualSeed(5);
    const first = draw();
    manualSeed(5);
    expect(draw()).toEqual(first);
    expect(draw()).not.toEqual(first);
    const own = (): number[] => numbers(init.truncNormal_(empty([5]), { generator: new Generator(3) }));
    expect(own()).toEqual(own());
  });

  it('refuses what it cannot fill', () => {
    expect(() => init.normal_(empty([2], { dtype: 'int32' }))).toThrow(DTypeError);
    expect(() => init.uniform_(3 as never)).toThrow(ValueError);
    expect(() => init.uniform_(empty([1]), 1, 0)).toThrow(ValueError);
    expect(() => init.kaimingUniform_(empty([3]))).toThrow('expected 2 dimensions or more, got shape [3]');
    expect(() => init.kaimingUniform_(empty([3, 3]), { mode: 'fan' as never })).toThrow(ValueError);
  });
});
