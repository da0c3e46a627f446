import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { MyelinError, type Tensor } from '../../lib/index.js';
import { outputsOf, type Row } from './sweep.js';
import { sweepRows } from './sweep_rows.js';

interface Flat {
  dtype: 'float32' | 'int32' | 'bool';
  shape: number[];
  data: (number | string)[];
}
interface Golden {
  name: string;
  kind: string;
  inputs: Flat[];
  outputs: Flat[] | null;
}

// Made by test/golden/specials.py.
const { cases } = JSON.parse(readFileSync(new URL('../golden/specials.json', import.meta.url), 'utf8')) as {
  cases: Golden[];
};
const decode = (v: number | string): number => (v === 'inf' ? Infinity : v === '-inf' ? -Infinity : Number(v));
const rows = new Map(sweepRows.map((row) => [row.name, row]));

const load = ({ dtype, shape, data }: Flat): Tensor =>
  m.fromTypedArray(Float64Array.from(data, decode), shape).to(dtype);

/** They multiply a denormal number, of few bits, or in PyTorch subtract 1 from the exponential of one: near 0 is enough. */
const coarse = ['celu', 'elu', 'mish', 'selu', 'silu'];

/** Throws where a result is not PyTorch's: NaN and infinities in the same places, the rest near. */
function expectSame(got: Tensor, wanted: Flat, { name, pointwise = false }: Row, what: string): void {
  expect(got.shape, `${what}: shape`).toEqual(wanted.shape);
  const data = got.dataSync();
  const reference = wanted.data.map(decode);
  // Elsewhere terms of the size of the greatest may have cancelled; what is huge hides nothing.
  const scale = pointwise ? 0 : Math.max(1, ...reference.filter((x) => Math.abs(x) < 1e6).map(Math.abs));
  const least = coarse.includes(name) ? 2 ** -126 : 2 ** -147;
  reference.forEach((b, i) => {
    const a = data[i]!;
    if (a === b || (a !== a && b !== b)) return;
    if (!(Math.abs(a - b) <= 4e-6 * Math.abs(b) + 2e-6 * scale + least)) {
      expect.fail(`${what}: element ${i} is ${a}, PyTorch gives ${b}`);
    }
  });
}

describe('NaN, infinities, denormals and nothing are what they are in PyTorch', () => {
  it.each([...new Set(cases.map(({ name }) => name))])('%s', (name) => {
    const row = rows.get(name)!;
    for (const { kind, inputs, outputs } of cases.filter((one) => one.name === name)) {
      const { fn } = row.make(kind === 'empty' ? 0 : 5);
      const call = (): Tensor[] => outputsOf(fn(...inputs.map(load)));
      if (outputs === null) {
        expect(call, kind).toThrow(MyelinError);
        continue;
      }
      const got = call();
      // Of some only the first is there: which of equal numbers is meant is open.
      expect(got.length, kind).toBeGreaterThanOrEqual(outputs.length);
      outputs.forEach((y, i) => expectSame(got[i]!, y, row, `${kind}, output ${i}`));
    }
  });
});
