import { describe, expect, it } from 'vitest';
import { Mt19937 } from '../../lib/data/mt19937.js';
import { ValueError } from '../../lib/errors.js';

describe('Mt19937', () => {
  it('gives the published numbers for seed 42', () => {
    const bits = new Mt19937(42);
    expect([bits.uint32(), bits.uint32(), bits.uint32()]).toEqual([1608637542, 3421126067, 4083286876]);
    expect(new Mt19937(42).random()).toBeCloseTo(0.3745401188, 10);
    const normals = new Mt19937(42);
    expect(normals.normal()).toBeCloseTo(0.496714153, 9);
    expect(normals.normal()).toBeCloseTo(-0.1382643012, 10);
    const integers = new Mt19937(42);
    expect(Array.from({ length: 5 }, () => integers.integer(47))).toEqual([38, 28, 14, 42, 7]);
    expect([...new Mt19937(42).permutation(10)]).toEqual([8, 1, 5, 0, 7, 2, 9, 4, 3, 6]);
  });

  it('follows the recurrence over several states and for other seeds', () => {
    // The 10,000th output of the authors' default seed, as the C++ standard states it for std::mt19937.
    const rng = new Mt19937(5489);
    for (let i = 1; i < 10_000; i++) rng.uint32();
    expect(rng.uint32()).toBe(4123659995);
    expect(new Mt19937(0).uint32()).toBe(2357136044);
    expect(new Mt19937(2 ** 32 - 1).uint32()).toBe(419326371);
  });

  it('permutes 0 and 1 elements and draws from [0, 0] without numbers', () => {
    const rng = new Mt19937(42);
    expect([...rng.permutation(0), ...rng.permutation(1), rng.integer(0)]).toEqual([0, 0]);
    expect(rng.uint32()).toBe(1608637542);
  });

  it.each([-1, 2 ** 32, 1.5, NaN, '1'])('refuses the seed %s', (seed) => {
    expect(() => new Mt19937(seed as number)).toThrow(ValueError);
  });
});
