import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { currentOps, parseOps, renderOps } from '../../scripts/generate-ops.mjs';
import { opNames, opSignatures, opcode } from '../../lib/native/ops.generated.js';

describe('ops.generated.ts', () => {
  it('is what native/ops.def says', () => {
    const present = readFileSync(new URL('../../lib/native/ops.generated.ts', import.meta.url), 'utf8');
    expect(present).toBe(currentOps());
  });

  it('numbers the ops in the order of the table', () => {
    expect(Object.keys(opcode)).toEqual(opNames);
    expect(Object.values(opcode)).toEqual(opNames.map((_, index) => index));
    expect(opSignatures.matmul).toEqual({
      inputs: ['a', 'b', 'bias?'],
      outputs: ['out'],
      params: ['activation', 'accumulate'],
    });
  });
});

describe('generate-ops', () => {
  it('reads rows, comments and lists', () => {
    const text = '// a table\n\nOP(cat, "x*", "out", "axis")   // joins\nOP(fill, "", "out", "value")\n';
    expect(parseOps(text)).toEqual([
      { name: 'cat', inputs: ['x*'], outputs: ['out'], params: ['axis'] },
      { name: 'fill', inputs: [], outputs: ['out'], params: ['value'] },
    ]);
    expect(renderOps(parseOps(text))).toContain("  cat: { inputs: ['x*'], outputs: ['out'], params: ['axis'] },");
  });

  it('names the line of a row that it cannot read', () => {
    expect(() => parseOps('OP(a, "x", "out", "")\nOP(b, "x", "out")')).toThrow('native/ops.def:2: expected OP(');
    expect(() => parseOps('OP(a, "x", "out", "")\nOP(a, "x", "out", "")')).toThrow('ops.def:2: a stands there twice');
    expect(() => parseOps('OP(a, "x  y", "out", "")')).toThrow("ops.def:1: expected a name, name? or name*, got ''");
    expect(() => parseOps('OP(a, "x", "out", "p?")')).toThrow("ops.def:1: expected a parameter name, got 'p?'");
  });
});
