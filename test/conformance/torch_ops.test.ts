import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readDump } from './dump.js';
import { complaints, operations, runDump } from './run.js';

const dump = readDump(fileURLToPath(new URL('../golden/torch-ops', import.meta.url)));
const names = [...new Set(dump.cases.map(({ op }) => op))];

describe("PyTorch's samples of its own operations", () => {
  it('are 1,539 of 166 operations, all of which have a counterpart', () => {
    expect([dump.cases.length, names.length]).toEqual([1539, 166]);
    expect(names.filter((name) => !Object.hasOwn(operations, name))).toEqual([]);
  });

  for (const name of names) {
    it(name, () => {
      expect(complaints(runDump(dump, [name]))).toEqual([]);
      expect(complaints(runDump(dump, [name], { methods: true }))).toEqual([]);
    });
  }
});

describe('the same in float64', () => {
  // PyTorch multiplies with a sixth rounded to float32 there, also in float64.
  const rounded = 'nn.functional.hardsigmoid';
  it('agree to a millionth of the tolerances', () => {
    const others = names.filter((name) => name !== rounded);
    expect(complaints(runDump(dump, others, { dtype: 'float64' }))).toEqual([]);
  });
});
