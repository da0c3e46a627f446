import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FileFormatError, IoError, MyelinError, ValueError } from '../../lib/errors.js';
import { parseIdx, readIdx } from '../../lib/data/idx.js';
import { temporaryDirectory } from '../io/tmp.js';

const directory = temporaryDirectory();

function idx(code: number, shape: number[], data: Uint8Array | number[]): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head.set([0, 0, code, shape.length]);
  shape.forEach((size, i) => head.writeUInt32BE(size, 4 + 4 * i));
  return Buffer.concat([head, Buffer.from(data)]);
}

describe('parseIdx', () => {
  it('reads every element type', () => {
    expect(parseIdx(idx(0x08, [2, 2], [1, 2, 3, 255]))).toEqual({
      shape: [2, 2],
      dtype: 'uint8',
      data: Uint8Array.of(1, 2, 3, 255),
    });
    expect(parseIdx(idx(0x09, [2], [127, 128])).data).toEqual(Int8Array.of(127, -128));
    expect(parseIdx(idx(0x0b, [2], [1, 0, 255, 255])).data).toEqual(Int16Array.of(256, -1));
    expect(parseIdx(idx(0x0c, [1], [0, 1, 0, 2])).data).toEqual(Int32Array.of(65538));
    expect(parseIdx(idx(0x0d, [1], [0xbf, 0xc0, 0, 0])).data).toEqual(Float32Array.of(-1.5));
    expect(parseIdx(idx(0x0e, [1], [0x3f, 0xf8, 0, 0, 0, 0, 0, 0])).data).toEqual(Float64Array.of(1.5));
    expect(parseIdx(idx(0x08, [0, 28, 28], [])).data).toEqual(new Uint8Array(0));
  });

  it.each([
    [Buffer.alloc(0), /expected at least 4 bytes, got 0/],
    [Buffer.from('1234567890'), /begin with 00 00/],
    [idx(0x0a, [1], [0]), /begin with 00 00/],
    [idx(0x08, [], []), /1 to 8 dimensions, got 0/],
    [idx(0x08, [1, 1, 1, 1, 1, 1, 1, 1, 1], [0]), /1 to 8 dimensions, got 9/],
    [idx(0x08, [2], [1]), /truncated: expected 2 bytes of uint8 \[2\], got 1/],
    [idx(0x08, [2], [1, 2, 3]), /after its data: expected 2/],
    [idx(0x08, [2, 2], []).subarray(0, 9), /header of 12 bytes, got 9/],
    [idx(0x0e, Array<number>(8).fill(2 ** 32 - 1), [0]), /truncated/],
    [idx(0x08, [0, 2 ** 32 - 1], [1]), /after its data/],
  ])('refuses what is not exactly one array (%#)', (bytes, message) => {
    expect(() => parseIdx(bytes, 'file')).toThrow(FileFormatError);
    expect(() => parseIdx(bytes, 'file')).toThrow(message);
  });

  it('gives an array or a typed error for any change of a valid file', () => {
    const valid = idx(0x0c, [3, 2], Buffer.alloc(24, 7));
    const change = fc.record({ at: fc.nat(valid.length - 1), value: fc.nat(255), length: fc.nat(2 * valid.length) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), (changes) => {
        let bytes = Buffer.from(valid);
        for (const { at, value, length } of changes) {
          if (at < bytes.length) bytes[at] = value;
          if (value % 5 === 0) bytes = Buffer.concat([bytes, Buffer.alloc(40)]).subarray(0, length);
        }
        try {
          const { shape, data } = parseIdx(bytes);
          expect(data.length).toBe(shape.reduce((a, b) => a * b, 1));
          expect(data.byteLength).toBeLessThan(bytes.length);
        } catch (error) {
          if (!(error instanceof FileFormatError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          parseIdx(bytes);
        } catch (error) {
          if (!(error instanceof FileFormatError)) throw error;
        }
      }),
    );
  });
});

describe('readIdx', () => {
  const valid = idx(0x08, [100, 10], Buffer.alloc(1000, 3));
  const write = (name: string, bytes: Uint8Array): string => {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    return path;
  };

  it('reads plain and compressed files whatever they are called', async () => {
    const expected = parseIdx(valid);
    expect(await readIdx(write('plain', valid))).toEqual(expected);
    expect(await readIdx(write('plain.gz', valid))).toEqual(expected);
    expect(await readIdx(write('packed', gzipSync(valid)))).toEqual(expected);
  });

  it('stops at a limit instead of filling the memory', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    expect(bomb.length).toBeLessThan(100_000);
    await expect(readIdx(write('bomb.gz', bomb), { maxBytes: 1_000_000 })).rejects.toThrow(/at most 1000000 bytes/);
    await expect(readIdx(write('long', valid), { maxBytes: 500 })).rejects.toThrow(/at most 500 bytes/);
    await expect(readIdx(write('long', valid), { maxBytes: 0 })).rejects.toThrow(ValueError);
  });

  it('has typed errors for broken compression and for what is no file', async () => {
    const packed = gzipSync(valid);
    await expect(readIdx(write('cut.gz', packed.subarray(0, -12)))).rejects.toThrow(FileFormatError);
    await expect(readIdx(write('cut.gz', packed.subarray(0, 2)))).rejects.toThrow(FileFormatError);
    const wrong = Buffer.from(packed);
    wrong[wrong.length - 6]! ^= 1;
    await expect(readIdx(write('crc.gz', wrong))).rejects.toThrow(/whole gzip file/);
    await expect(readIdx(join(directory, 'none'))).rejects.toThrow(IoError);
    mkdirSync(join(directory, 'sub'));
    await expect(readIdx(join(directory, 'sub'))).rejects.toThrow(IoError);
  });

  it('never crashes on changed compressed files', async () => {
    const packed = gzipSync(valid);
    await fc.assert(
      fc.asyncProperty(fc.nat(packed.length - 1), fc.nat(255), async (at, value) => {
        const bytes = Buffer.from(packed);
        bytes[at] = value;
        try {
          expect((await readIdx(write('fuzz.gz', bytes), { maxBytes: 10_000 })).data.length).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof MyelinError)) throw error;
        }
      }),
      { numRuns: 150 },
    );
  });
});
