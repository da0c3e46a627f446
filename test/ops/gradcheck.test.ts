import { describe, expect, it } from 'vitest';
import { gradcheck, gradgradcheck } from '../../lib/index.js';
import { cases } from './cases.js';

describe('gradients equal central differences', () => {
  for (const { name, inputs, fn } of cases) it(name, () => expect(gradcheck(fn, inputs())).toBe(true));
});

describe('gradients of gradients equal central differences', () => {
  for (const { name, inputs, fn, firstOnly } of cases) {
    if (firstOnly === undefined) it(name, () => expect(gradgradcheck(fn, inputs())).toBe(true));
  }
});
