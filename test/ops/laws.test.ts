// Reductions against plain loops; what else holds of every operation is in sweep.test.ts.
import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { reductions } from './laws.js';

const dtypes = ['float32', 'float64'] as const;

const values = (n: number, salt: number): number[] =>
  Array.from({ length: n }, (_, i) => 2 * Math.sin(1.3 * i + salt) + 0.1);

it('a variance of equal numbers is not less than 0 by rounding', () => {
  for (const value of [0.123, 1.1, -0.7, 3e5]) {
    const x = m.full([67], value);
    expect(m.var(x, 0, { correction: 0 }).itemSync()).toBeGreaterThanOrEqual(0);
    expect(
      m
        .std(x.reshape([1, 67]).t().expand([67, 5]), 0)
        .dataSync()
        .every((v) => v >= 0 && v < 1e-9),
    ).toBe(true);
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
