// First: it stands between the library and the native core.
import { opcodesOf } from './trace.js';
import { describe, expect, it } from 'vitest';
import { grad, tensor } from '../../lib/index.js';
import { opNames, type OpName } from '../../lib/native/ops.generated.js';
import { cases } from './cases.js';
import { publicFunctions } from './public.js';
import { undifferentiatedFunctions, undifferentiatedOps } from './undifferentiated.js';

/** Runs a case with its gradient and that gradient's gradient, as the two checks do. */
function run({ inputs, fn, firstOnly }: (typeof cases)[number]): void {
  const given = inputs();
  const wanted = given.filter((x) => x.requiresGrad);
  const y = fn(...given).sum();
  grad(y, wanted, { allowUnused: true, retainGraph: true });
  if (firstOnly === undefined) {
    const first = grad(y, wanted, { createGraph: true, allowUnused: true }).filter((g) => g?.requiresGrad === true);
    if (first.length > 0)
      grad(
        first.map((g) => g!.sum()),
        wanted,
        { allowUnused: true },
      );
  }
  // Sends what is left.
  tensor(0).itemSync();
}

const reached = new Set<OpName>();
for (const one of cases) for (const op of opcodesOf(() => run(one))) reached.add(opNames[op]!);

describe('every op of the native core', () => {
  for (const op of opNames) {
    const reason = undifferentiatedOps[op];
    it(`${op} ${reason === undefined ? 'is reached by a gradient case' : `has none: ${reason}`}`, () => {
      expect(reached.has(op)).toBe(reason === undefined);
    });
  }

  it('that has a reason is in the table', () => {
    const names: readonly string[] = opNames;
    expect(Object.keys(undifferentiatedOps).filter((name) => !names.includes(name))).toEqual([]);
  });
});

/** The public functions of lib/ops. */
const functions = [...new Set([...publicFunctions.values()].flat())].sort();

describe('every public operation', () => {
  const covered = new Set(cases.map(({ name }) => name.split(' ')[0]!));
  it('is found', () => expect(functions.length).toBeGreaterThan(100));
  for (const name of functions) {
    const reason = undifferentiatedFunctions[name];
    it(`${name} ${reason === undefined ? 'has gradient cases' : `has none: ${reason}`}`, () => {
      expect(covered.has(name)).toBe(reason === undefined);
    });
  }

  it('that has a reason is public', () => {
    expect(Object.keys(undifferentiatedFunctions).filter((name) => !functions.includes(name))).toEqual([]);
  });

  it('is differentiable twice in 95 of 100 cases', () => {
    const once = cases.filter(({ firstOnly }) => firstOnly !== undefined);
    expect(once.length / cases.length).toBeLessThan(0.05);
    const whole = functions.filter((name) => undifferentiatedFunctions[name] === undefined);
    const only = whole.filter((name) => {
      const own = cases.filter((one) => one.name.split(' ')[0] === name);
      return own.length > 0 && own.every(({ firstOnly }) => firstOnly !== undefined);
    });
    expect(only.length / whole.length).toBeLessThan(0.05);
  });
});

describe('second derivatives left out', () => {
  it('have their reasons', () => {
    for (const { name, firstOnly } of cases) {
      if (firstOnly !== undefined) expect(firstOnly.length, name).toBeGreaterThan(10);
    }
  });
});
