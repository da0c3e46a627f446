import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { DTypeError, type DType, type Tensor } from '../../lib/index.js';

// Made by test/golden/torch_api.py.
const golden = JSON.parse(readFileSync(new URL('../golden/torch_api.json', import.meta.url), 'utf8')) as {
  pairs: [fn: string, a: string, b: string | number, dtype: DType | null][];
  single: [fn: string, a: string, dtype: DType | null][];
};

const functions = m as unknown as Record<string, (...x: unknown[]) => unknown>;
const condition = m.tensor([true, false]);
const calls: Readonly<Record<string, (...x: Tensor[]) => unknown>> = {
  where: (a, b) => m.where(condition, a, b),
  cat: (...x) => m.cat(x),
  stack: (...x) => m.stack(x),
  cumsum: (x) => m.cumsum(x, 0),
  cumprod: (x) => m.cumprod(x, 0),
  sort: (x) => m.sort(x).values,
  softmax: (x) => m.softmax(x, 0),
  clamp: (x) => m.clamp(x, 0, 1),
};

const operand = (said: string | number): Tensor | number => {
  if (typeof said === 'number') return said;
  const [dtype, scalar] = said.split(' ');
  return m.ones(scalar === undefined ? [2] : [], { dtype: dtype as DType });
};

/** The dtype that a call gives; null where it refuses the dtypes. */
function dtypeOf(fn: string, said: readonly (string | number)[]): DType | null {
  try {
    return ((calls[fn] ?? functions[fn]!)(...(said.map(operand) as Tensor[])) as Tensor).dtype;
  } catch (error) {
    if (error instanceof DTypeError) return null;
    throw error;
  }
}

/** What takes dtypes that PyTorch refuses: booleans as 0 and 1, integers in what gives floats. */
const wider = ['sub', 'hypot', 'logaddexp', 'mean', 'argmax', 'relu'];
/** What says bool of any dtype, where PyTorch says uint8 of uint8. */
const logical = ['any', 'all'];

describe("operands meet in PyTorch's dtype", () => {
  for (const fn of new Set(golden.pairs.map(([name]) => name))) {
    it(fn, () => {
      const rows = golden.pairs.filter(([name, , , dtype]) => name === fn && (dtype !== null || !wider.includes(fn)));
      const got = rows.map(([, a, b]) => [a, b, dtypeOf(fn, [a, b])]);
      expect(got).toEqual(rows.map(([, a, b, dtype]) => [a, b, dtype]));
    });
  }
});

describe("results have PyTorch's dtype", () => {
  for (const fn of new Set(golden.single.map(([name]) => name))) {
    it(fn, () => {
      const rows = golden.single
        .filter(([name, , dtype]) => name === fn && (dtype !== null || !wider.includes(fn)))
        .filter(([, a]) => !(logical.includes(fn) && a === 'uint8'));
      expect(rows.map(([, a]) => [a, dtypeOf(fn, [a])])).toEqual(rows.map(([, a, dtype]) => [a, dtype]));
    });
  }
});
