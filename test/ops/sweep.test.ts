// First: it stands between the library and the native core.
import { opcodesOf } from './trace.js';
import { describe, expect, it } from 'vitest';
import { grad, tensor } from '../../lib/index.js';
import { opNames, type OpName } from '../../lib/native/ops.generated.js';
import { publicFunctions } from './public.js';
import { outputsOf, sweep } from './sweep.js';
import { sweepRows } from './sweep_rows.js';
import { undifferentiatedOps } from './undifferentiated.js';

/** Why an operation has no row. */
const unswept: Readonly<Record<string, string>> = {
  allclose: 'it is isclose and all',
  equal: 'it is eq and all',
  empty: 'what it holds is not defined',
  fromTypedArray: 'every input of a row is made by it',
  getWinograd: 'it is a setting',
  setWinograd: 'it is a setting',
  ones: 'it is full of 1',
  onesLike: 'it is full of 1',
  tensor: 'it makes what fromTypedArray makes',
  zeros: 'it is full of 0',
  zerosLike: 'it is full of 0',
};

describe('the table of sizes and layouts', () => {
  const functions = [...new Set([...publicFunctions.values()].flat())];
  const covered = new Set(sweepRows.map(({ name }) => name.split(/[ ,]/)[0]!));

  it('has a row for every public operation', () => {
    expect(functions.filter((name) => !covered.has(name) && unswept[name] === undefined)).toEqual([]);
    expect(Object.keys(unswept).filter((name) => covered.has(name) || !functions.includes(name))).toEqual([]);
  });

  it('reaches every op of the native core but updates of parameters', () => {
    const reached = new Set<OpName>();
    for (const { make } of sweepRows) {
      const opcodes = opcodesOf(() => {
        const { inputs, fn } = make(5);
        const leaves = inputs.map((x) => (x.dtype === 'float64' ? x.requiresGrad_() : x));
        const outputs = outputsOf(fn(...leaves)).filter((y) => y.requiresGrad);
        const wanted = leaves.filter((x) => x.requiresGrad);
        if (outputs.length > 0)
          grad(
            outputs.map((y) => y.sum()),
            wanted,
            { allowUnused: true },
          );
        // Sends what is left.
        tensor(0).itemSync();
      });
      for (const code of opcodes) reached.add(opNames[code]!);
    }
    const missed = opNames.filter((name) => !reached.has(name));
    const updates = opNames.filter((name) => undifferentiatedOps[name] === 'it updates parameters in place');
    // A second derivative of maxima.
    expect(missed.sort()).toEqual([...updates, 'max_pool_gather'].sort());
  });
});

describe('every operation at every size, layout and number of threads', () => {
  for (const row of sweepRows) sweep(row);
});
