import { afterAll, describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { grad, type Tensor, type TypedArray } from '../../lib/index.js';
import { cases } from './cases.js';
import { elementwise, large, reductions } from './laws.js';

const threads = m.getNumThreads();
afterAll(() => m.setNumThreads(threads));

/** The bits of a tensor; NaN of any kind are one. */
function bits(x: Tensor): string {
  const data = x.dataSync();
  if (!(data instanceof Float32Array) && !(data instanceof Float64Array)) return data.join();
  const clean = data.map((v) => (Number.isNaN(v) ? NaN : v));
  return Buffer.from(clean.buffer, clean.byteOffset, clean.byteLength).toString('base64');
}

/** A result and the gradients of its weighted sum, as bits. */
function outcome(fn: (...x: Tensor[]) => Tensor, inputs: readonly Tensor[]): string[] {
  const leaves = inputs.map((x) => x.detach().requiresGrad_());
  const y = fn(...leaves);
  if (!y.requiresGrad) return [bits(y)];
  const weights = m.arange(y.numel, undefined, 1, { dtype: y.dtype }).mul(0.37).sin().add(0.3).reshape(y.shape);
  const grads = grad(y.mul(weights).sum(), leaves, { allowUnused: true });
  return [bits(y), ...grads.map((g) => (g === null ? 'none' : bits(g)))];
}

const dtypes = ['float32', 'float64'] as const;

/** Numbers that loops treat apart: not a number, infinite, tiny, zero of either sign, large. */
const special = (dtype: 'float32' | 'float64'): number[] => {
  const tiny = dtype === 'float32' ? 2 ** -149 : Number.MIN_VALUE;
  const least = dtype === 'float32' ? 2 ** -126 : 2 ** -1022;
  return [NaN, Infinity, -Infinity, tiny, -tiny, least / 3, -least / 5, 0, -0, 1e30, -1e30, 0.5, -0.75, 2, -3];
};

const values = (n: number, salt: number): number[] =>
  Array.from({ length: n }, (_, i) => 2 * Math.sin(1.3 * i + salt) + 0.1);

/** The same numbers, starting at an odd place of a larger memory. */
const offset = (x: Tensor, by: number): Tensor =>
  m.cat([m.zeros([by], { dtype: x.dtype }), x]).slice(0, by, by + x.numel);

/** The same numbers with gaps between them. */
const spaced = (x: Tensor): Tensor => m.stack([x, x.mul(0)], 1).select(1, 0);

describe('elementwise functions treat each element alone', () => {
  for (const [name, arity, fn] of elementwise) {
    it(name, () => {
      for (const dtype of dtypes) {
        const pool = [...special(dtype), ...values(52, 0)];
        const pool2 = [...values(30, 1), ...special(dtype).reverse(), ...values(22, 2)];
        const whole = [pool, pool2].slice(0, arity).map((v) => m.tensor(v, { dtype }));
        // One element a call: what every longer call must give in its place.
        const alone = fn(...(whole.map((x) => x.reshape([67, 1]).t()) as [Tensor, Tensor]));
        const wanted = alone.dataSync();
        const single = (i: number): TypedArray =>
          fn(...(whole.map((x) => x.slice(0, i, i + 1).contiguous()) as [Tensor, Tensor])).dataSync();
        for (const i of [0, 3, 7, 16, 33, 66]) expect(single(i)[0], `${name} of element ${i}`).toBe(wanted[i]);
        for (let n = 1; n <= 67; n += 2) {
          const part = whole.map((x) => x.slice(0, 0, n).contiguous()) as [Tensor, Tensor];
          const first = bits(alone.reshape([67]).slice(0, 0, n).contiguous());
          expect(bits(fn(...part)), `${n} elements`).toBe(first);
          if (n % 11 !== 1) continue;
          expect(bits(fn(...(part.map((x) => offset(x, 3)) as [Tensor, Tensor]))), `${n} elements at an offset`).toBe(
            first,
          );
          expect(bits(fn(...(part.map(spaced) as [Tensor, Tensor]))), `${n} elements with gaps`).toBe(first);
        }
        const none = whole.map((x) => x.slice(0, 0, 0)) as [Tensor, Tensor];
        expect(fn(...none).shape).toEqual([0]);
        if (arity === 2) {
          const [a, b] = whole as [Tensor, Tensor];
          const column = a.slice(0, 0, 5).reshape([5, 1]);
          const row = b.slice(0, 20, 37);
          const spread = (x: Tensor): Tensor => m.expand(x, [5, 17]).contiguous();
          expect(bits(fn(column, row)), 'broadcast').toBe(bits(fn(spread(column), spread(row))));
        }
      }
    });
  }
});

describe('reductions', () => {
  for (const [name, fn, reference, tolerance] of reductions) {
    it(name, () => {
      for (let n = 1; n <= 67; n += 2) {
        const rows = [values(n, 0), values(n, 5), values(n, 9)];
        for (const dtype of dtypes) {
          const x = m.tensor(rows, { dtype });
          const wanted = rows.map((row) => reference(dtype === 'float32' ? row.map(Math.fround) : row));
          const views = { rows: x, columns: x.t().contiguous().t(), spaced: m.stack([x, x], 2).select(2, 1) };
          for (const [how, view] of Object.entries(views)) {
            const got = Array.from(fn(view, 1).dataSync());
            got.forEach((value, i) => {
              const scale = Math.max(1, Math.abs(wanted[i]!));
              const limit = (dtype === 'float32' ? tolerance : tolerance * 1e-8) * scale;
              expect(Math.abs(value - wanted[i]!), `${n} ${dtype} ${how}`).toBeLessThanOrEqual(limit);
            });
          }
        }
      }
    });
  }
});

const furthest = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]!)), 0);

describe('every gradient case', () => {
  for (const { name, inputs, fn } of cases) {
    it(`${name} does not depend on where its inputs lie`, () => {
      const given = inputs().map((x) => x.detach());
      const run = (x: readonly Tensor[]): number[] => Array.from(fn(...x).dataSync());
      const wanted = run(given);
      const scale = wanted.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
      const moved = run(given.map((x) => offset(x.reshape([-1]), 5).view(x.shape)));
      expect(furthest(moved, wanted), 'offset').toBeLessThanOrEqual(1e-12 * scale);
      const gaps = run(given.map((x) => m.stack([x, x], x.ndim).select(x.ndim, 0)));
      expect(furthest(gaps, wanted), 'gaps').toBeLessThanOrEqual(1e-12 * scale);
    });
  }
});

describe('results are the same bits for any number of threads', () => {
  for (const [name, inputs, fn] of large) {
    it(name, () => {
      const run = (n: number): string[] => {
        m.setNumThreads(n);
        return outcome(fn, inputs());
      };
      const wanted = run(1);
      for (const n of [2, 3]) expect(run(n)).toEqual(wanted);
    });
  }
});
