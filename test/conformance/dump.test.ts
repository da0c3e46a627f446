import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { FileFormatError, IoError } from 'myelin';
import { readDump } from './dump.js';
import { runDump, totals } from './run.js';

const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

// Two float32 [1, -2], their absolute values in float64, an upstream gradient of ones, the gradient [1, -1] in float64.
const data = Buffer.concat([
  Buffer.from(new Float32Array([1, -2]).buffer),
  Buffer.from(new Float64Array([1, 2]).buffer),
  Buffer.from(new Float32Array([1, 1]).buffer),
  Buffer.from(new Float64Array([1, -1]).buffer),
]);
const single = (offset: number) => ({ dtype: 'float32', shape: [2], offset, bytes: 8 });
const double = (offset: number) => ({ dtype: 'float64', shape: [2], offset, bytes: 16 });
const abs = {
  op: 'abs',
  variant: '',
  sample: 0,
  input: { tensor: single(0), index: 0, requires_grad: true },
  args: [],
  kwargs: {},
  outputs: [double(8)],
  upstream: [single(24)],
  grads: [double(32)],
};

let count = 0;
function dumpOf(cases: unknown, more: object = {}, bytes: Buffer = data) {
  const path = join(directory, String(count++));
  const at = mkdtempSync(path);
  writeFileSync(join(at, 'manifest.json'), JSON.stringify({ cases, ...more }));
  writeFileSync(join(at, 'data.bin'), bytes);
  return at;
}

const outcome = (one: object): string => {
  const [verdict] = runDump(readDump(dumpOf([{ ...abs, ...one }])));
  return `${verdict!.status}: ${verdict!.reason ?? ''}`;
};

describe('a dump', () => {
  it('is run against its SHA-256', () => {
    const sha256 = createHash('sha256').update(data).digest('hex');
    expect(totals(runDump(readDump(dumpOf([abs], { sha256 }))))).toBe('1 passed, 0 failed, 0 unsupported');
  });

  it('may be gzipped', () => {
    const at = mkdtempSync(join(directory, 'packed-'));
    writeFileSync(join(at, 'manifest.json.gz'), gzipSync(JSON.stringify({ cases: [abs] })));
    writeFileSync(join(at, 'data.bin.gz'), gzipSync(data));
    expect(totals(runDump(readDump(at)))).toBe('1 passed, 0 failed, 0 unsupported');
    writeFileSync(join(at, 'data.bin.gz'), gzipSync(data).subarray(0, 20));
    expect(() => readDump(at)).toThrow(FileFormatError);
  });

  it('that is not there is an IoError', () => {
    expect(() => readDump(join(directory, 'nowhere'))).toThrow(IoError);
  });

  const broken: [what: string, cases: unknown, message: RegExp][] = [
    ['cases that are no list', {}, /^conformance: cases: expected an array, got \{\}/],
    ['a case that is no object', [3], /cases\[0\]: expected an object, got 3/],
    ['an operation without a name', [{ ...abs, op: 1 }], /cases\[0\]\.op: expected a string, got 1/],
    ['an array past the end', [{ ...abs, outputs: [double(41)] }], /outputs\[0\]: expected an array inside data\.bin/],
    ['a negative offset', [{ ...abs, outputs: [double(-8)] }], /offset: expected a non-negative integer, got -8/],
    ['a fractional size', [{ ...abs, outputs: [{ ...double(8), shape: [0.5] }] }], /shape: expected a non-negative/],
    ['too many bytes', [{ ...abs, outputs: [{ ...double(8), bytes: 24 }] }], /bytes: expected 16 for float64 of \[2\]/],
    [
      'a huge shape',
      [{ ...abs, outputs: [{ ...double(8), shape: [2 ** 30, 2 ** 30, 2] }] }],
      /bytes: expected 18446744073709552000/,
    ],
    ['an unknown dtype', [{ ...abs, outputs: [{ ...double(8), dtype: 'constructor' }] }], /dtype: expected one of/],
    ['an argument of no kind', [{ ...abs, args: [{ value: {} }] }], /args\[0\]: expected a tensor, a list, a value/],
    ['gradients that are no list', [{ ...abs, grads: 3 }], /grads: expected an array, got 3/],
  ];
  for (const [what, cases, message] of broken) {
    it(`with ${what} is refused`, () => {
      const at = dumpOf(cases);
      expect(() => readDump(at)).toThrow(FileFormatError);
      expect(() => readDump(at)).toThrow(message);
    });
  }

  it('of another data.bin, or that is not JSON, is refused', () => {
    expect(() => readDump(dumpOf([abs], { sha256: '00' }))).toThrow(/sha256: expected that of data\.bin/);
    const at = dumpOf([abs]);
    writeFileSync(join(at, 'manifest.json'), '{"cases": [');
    expect(() => readDump(at)).toThrow(/is not JSON/);
  });
});

describe('a case', () => {
  it('fails where an output or a gradient is off', () => {
    expect(outcome({ outputs: [double(32)] })).toMatch(/^failed: output 0: element 1 is 2, expected -1/);
    expect(outcome({ grads: [double(8)] })).toMatch(/^failed: gradient 0: element 1 is -1, expected 2/);
    expect(outcome({ outputs: [{ ...double(8), shape: [1, 2] }] })).toMatch(/shape \[2\], expected \[1, 2\]/);
    expect(outcome({ outputs: [double(8), double(8)] })).toMatch(/^failed: 1 outputs, expected 2/);
    expect(outcome({ outputs: [{ dtype: 'int64', shape: [2], offset: 8, bytes: 16 }] })).toMatch(/dtype float32/);
    expect(outcome({ op: 'sum', outputs: [double(8)] })).toMatch(/^failed: output 0: shape/);
  });

  it('fails where the library throws', () => {
    expect(outcome({ op: 'mm', args: [{ tensor: single(0), index: 1 }] })).toMatch(/^(failed: threw|unsupported)/);
  });

  it('is unsupported, not passed, where something has no counterpart', () => {
    expect(outcome({ op: 'abs_' })).toBe('unsupported: no operation abs_');
    expect(outcome({ op: 'constructor' })).toBe('unsupported: no operation constructor');
    expect(outcome({ kwargs: { out: { value: null } } })).toBe('unsupported: argument out');
    expect(outcome({ args: [{ value: 1 }] })).toBe('unsupported: 2 positional arguments');
    expect(outcome({ op: 'softmax', args: [{ value: 0 }], kwargs: { dtype: { dtype: 'float16' } } })).toBe(
      'unsupported: dtype float16',
    );
  });
});
