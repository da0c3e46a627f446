import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DisposedError,
  DTypeError,
  FileFormatError,
  IoError,
  MyelinError,
  ShapeError,
  ValueError,
} from '../../lib/errors.js';
import {
  loadFile,
  loadFileWithMetadata,
  loadMetadata,
  type RawTensor,
  readSafetensors,
  readSafetensorsHeader,
  saveFile,
  writeSafetensors,
} from '../../lib/io/safetensors.js';
import { fromTypedArray, tensor, zeros } from '../../lib/ops/create.js';
import type { Tensor } from '../../lib/tensor.js';
import { temporaryDirectory } from './tmp.js';

const reference = fileURLToPath(new URL('../golden/reference.safetensors', import.meta.url));
const directory = temporaryDirectory();
let serial = 0;
const fresh = (): string => join(directory, `${serial++}.safetensors`);

/** A file made of a header's text and data, with the length that belongs to it unless another is given. */
function file(header: string | Uint8Array, data: Uint8Array | number = 0, length?: number | bigint): string {
  const text = typeof header === 'string' ? Buffer.from(header, 'utf8') : header;
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length ?? text.length));
  const path = fresh();
  writeFileSync(path, Buffer.concat([prefix, text, typeof data === 'number' ? Buffer.alloc(data) : data]));
  return path;
}
const entry = (shape: number[], begin: number, end: number, dtype = 'F32'): object => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
const values = async (t: Tensor | undefined): Promise<number[]> => [...(await t!.data())];

describe('a file of the reference implementation', () => {
  it('is read in full', async () => {
    const { tensors, metadata } = await loadFileWithMetadata(reference);
    expect({ ...metadata }).toEqual({ format: 'pt "é"' });
    const got = Object.fromEntries(
      await Promise.all([...tensors].map(async ([name, t]) => [`${name} `, [t.dtype, t.shape, await values(t)]])),
    ) as object;
    expect(got).toEqual({
      'weight ': ['float32', [2, 3], [1.5, -2.25, Math.fround(3e38), 0, -0, 2 ** -149]],
      'bias ': ['float64', [2], [Math.PI, -Infinity]],
      'half ': ['float32', [5], [1, -0.5, 65504, 2 ** -24, Infinity]],
      'long ': ['int32', [3], [-(2 ** 31), 0, 2 ** 31 - 1]],
      'int ': ['int32', [2], [-7, 7]],
      'short ': ['int32', [1], [-300]],
      'byte ': ['uint8', [2, 1], [1, 255]],
      'signed ': ['int32', [2], [-128, 127]],
      'flags ': ['bool', [3], [1, 0, 1]],
      'scalar ': ['float32', [], [2.5]],
      'empty ': ['float32', [0, 3], []],
      '__proto__ ': ['float32', [1], [4]],
      'quote " \\ newline \n tab \t é € 𝄞 \x7f ': ['float32', [1], [5]],
      '\ue000 before the clef in UTF-16, after it in UTF-8 ': ['float32', [1], [6]],
      '𝄞 ': ['float32', [1], [7]],
    });
  });

  it('is written byte for byte the same, whatever the order of the tensors', async () => {
    const { tensors, metadata } = await readSafetensors(reference);
    const expected = readFileSync(reference);
    for (const order of [[...tensors], [...tensors].reverse()]) {
      const path = fresh();
      await writeSafetensors(new Map(order), path, metadata);
      expect(readFileSync(path).equals(expected)).toBe(true);
    }
  });

  it('tells where its tensors lie', async () => {
    const { tensors, metadata } = await readSafetensorsHeader(reference);
    expect(tensors.get('byte')).toEqual({ dtype: 'U8', shape: [2, 1], begin: 1143 - 5, end: 1143 - 3 });
    expect(metadata.format).toBe('pt "é"');
    expect(await loadMetadata(reference)).toEqual(metadata);
  });
});

describe('saveFile and loadFile', () => {
  it('keep every dtype, shape and name', async () => {
    const tensors = new Map<string, Tensor>([
      ['a', fromTypedArray(Float32Array.of(1, -0, NaN, Infinity), [2, 2])],
      ['b.weight', fromTypedArray(Float64Array.of(Math.E), [])],
      ['__proto__', fromTypedArray(Int32Array.of(-1, 2), [2])],
      ['constructor', fromTypedArray(Uint8Array.of(0, 255), [2, 1])],
      ['', fromTypedArray(Uint8Array.of(0, 1, 1), [3], { dtype: 'bool' })],
      ['10', zeros([0, 4])],
    ]);
    const path = fresh();
    await saveFile(tensors, path, { step: '7', __proto__x: 'ä' });
    expect(statSync(path).size % 1).toBe(0);
    const loaded = await loadFileWithMetadata(path);
    expect({ ...loaded.metadata }).toEqual({ step: '7', __proto__x: 'ä' });
    expect([...loaded.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
    for (const [name, t] of tensors) {
      const back = loaded.tensors.get(name)!;
      expect([back.dtype, back.shape]).toEqual([t.dtype, t.shape]);
      expect(await back.data()).toEqual(await t.data());
    }
    expect(readFileSync(path).readBigUInt64LE() % 8n).toBe(0n);
  });

  it('take plain objects, views and nothing at all', async () => {
    const path = fresh();
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    await saveFile({ x: x.t() }, path);
    const back = (await loadFile(path)).get('x')!;
    expect(back.shape).toEqual([3, 2]);
    expect(await values(back)).toEqual([1, 4, 2, 5, 3, 6]);
    await saveFile({}, path);
    expect((await loadFile(path)).size).toBe(0);
    expect(readFileSync(path, 'latin1')).toBe('\b\0\0\0\0\0\0\0{}      ');
  });

  it('save the values at the time of the call', async () => {
    const path = fresh();
    const x = zeros([1000]);
    const saved = saveFile({ x }, path);
    x.fill_(1);
    await saved;
    expect((await values((await loadFile(path)).get('x'))).every((v) => v === 0)).toBe(true);
  });

  it('give equal files for equal tensors', async () => {
    const [a, b] = [fresh(), fresh()];
    await saveFile({ x: tensor([1]), y: tensor([2], { dtype: 'float64' }) }, a, { p: '1', q: '2' });
    await saveFile({ y: tensor([2], { dtype: 'float64' }), x: tensor([1]) }, b, { q: '2', p: '1' });
    expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
  });

  it('leave the old file when something is wrong', async () => {
    const path = join(directory, 'kept.safetensors');
    await saveFile({ x: tensor([1]) }, path);
    const before = readFileSync(path);
    const gone = tensor([1]);
    gone.dispose();
    await expect(saveFile({ x: tensor([2]), gone }, path)).rejects.toThrow(DisposedError);
    await expect(saveFile({ x: 1 as unknown as Tensor }, path)).rejects.toThrow(/expected "x" to be a tensor, got 1/);
    await expect(saveFile(tensor([1]) as never, path)).rejects.toThrow(ValueError);
    await expect(saveFile({ __metadata__: tensor([1]) }, path)).rejects.toThrow(ValueError);
    await expect(saveFile({ '\ud800': tensor([1]) }, path)).rejects.toThrow(/valid text/);
    await expect(saveFile({ x: tensor([2]) }, path, { a: 1 as unknown as string })).rejects.toThrow(/metadata "a"/);
    expect(readFileSync(path).equals(before)).toBe(true);
    await expect(saveFile({ x: tensor([1]) }, join(path, 'below'))).rejects.toThrow(IoError);
    await expect(saveFile({ x: tensor([1]) }, directory)).rejects.toThrow(/^saveFile: cannot write .* is a directory/);
    expect(readdirSync(dirname(path)).filter((name) => name.includes('tmp') || name.includes('kept'))).toEqual([
      basename(path),
    ]);
  });

  it('report a full disk', async () => {
    const link = join(directory, 'full');
    symlinkSync('/dev/full', link);
    await expect(saveFile({ x: tensor([1]) }, link)).rejects.toThrow(IoError);
  });

  it('convert what has no dtype of its own', async () => {
    const raw = (dtype: RawTensor['dtype'], array: ArrayBufferView, n: number): RawTensor => ({
      dtype,
      shape: [n],
      data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
    });
    const path = fresh();
    await writeSafetensors(
      new Map([
        ['bf16', raw('BF16', Uint16Array.of(0x3fc0, 0xc000, 0x7fc0, 0x0001), 4)],
        ['f16', raw('F16', Uint16Array.of(0x3555, 0x8001, 0x7e00, 0xfc00), 4)],
        ['u16', raw('U16', Uint16Array.of(65535), 1)],
        ['u32', raw('U32', Uint32Array.of(2 ** 31 - 1), 1)],
        ['i64', raw('I64', BigInt64Array.of(-5n, 5n), 2)],
        ['u64', raw('U64', BigUint64Array.of(9n), 1)],
      ]),
      path,
    );
    const loaded = await loadFile(path);
    expect(await values(loaded.get('bf16'))).toEqual([1.5, -2, NaN, 2 ** -133]);
    expect(await values(loaded.get('f16'))).toEqual([0.333251953125, -(2 ** -24), NaN, -Infinity]);
    expect(await values(loaded.get('u16'))).toEqual([65535]);
    expect(await values(loaded.get('u32'))).toEqual([2 ** 31 - 1]);
    expect(await values(loaded.get('i64'))).toEqual([-5, 5]);
    expect(await values(loaded.get('u64'))).toEqual([9]);
    for (const [name, bad] of [
      ['i64', raw('I64', BigInt64Array.of(0n, 2n ** 31n), 2)],
      ['u64', raw('U64', BigUint64Array.of(2n ** 63n), 1)],
      ['u32', raw('U32', Uint32Array.of(2 ** 31), 1)],
      ['f8', raw('F8_E4M3', Uint8Array.of(1), 1)],
    ] as const) {
      await writeSafetensors(new Map([[name, bad]]), path);
      await expect(loadFile(path)).rejects.toThrow(DTypeError);
      await expect(loadFile(path)).rejects.toThrow(name);
    }
    await writeSafetensors(new Map([['flag', raw('BOOL', Uint8Array.of(0, 2), 2)]]), path);
    await expect(loadFile(path)).rejects.toThrow(/to hold 0 and 1/);
    await writeSafetensors(new Map([['deep', { dtype: 'U8', shape: Array(9).fill(1), data: Uint8Array.of(1) }]]), path);
    await expect(loadFile(path)).rejects.toThrow(/at most 8 dimensions/);
  });

  it('refuse raw tensors that do not fit', async () => {
    const path = fresh();
    const write = (raw: object): Promise<void> => writeSafetensors(new Map([['x', raw as RawTensor]]), path);
    await expect(write({ dtype: 'F32', shape: [2], data: new Uint8Array(4) })).rejects.toThrow(/expected 8 bytes/);
    await expect(write({ dtype: 'F99', shape: [2], data: new Uint8Array(4) })).rejects.toThrow(ValueError);
    await expect(write({ dtype: 'U8', shape: [-4], data: new Uint8Array(4) })).rejects.toThrow(MyelinError);
    await expect(write({ dtype: 'U8', shape: [-2, -2], data: new Uint8Array(4) })).rejects.toThrow(ShapeError);
    await expect(write({ dtype: 'U8', shape: [4], data: [1, 2, 3, 4] })).rejects.toThrow(ValueError);
    expect(readdirSync(directory)).not.toContain(basename(path));
  });
});

describe('a hostile file', () => {
  const cases: [string, () => string, RegExp][] = [
    ['empty', () => (writeFileSync(join(directory, 'e'), ''), join(directory, 'e')), /at least 8 bytes, got 0/],
    ['a length beyond the file', () => file('{}', 0, 1000), /truncated: expected a header of 1000 bytes, got 2/],
    ['a length beyond the limit', () => file('{}', 0, 100_000_001), /at most 100000000 bytes, got 100000001/],
    ['a length beyond everything', () => file('{}', 0, 2n ** 64n - 1n), /at most 100000000 bytes, got 184/],
    ['no header', () => file(''), /begin with \{/],
    ['a header that begins with space', () => file(' {}'), /begin with \{/],
    ['an array', () => file('[]'), /begin with \{/],
    ['text after the object', () => file('{}x'), /expected JSON/],
    ['no JSON', () => file('{"a":'), /expected JSON/],
    ['bytes that are not UTF-8', () => file(Buffer.from('{"\xff":1}', 'latin1')), /expected UTF-8/],
    ['half a character', () => file('{"\\ud800":{}}'), /not valid text/],
    ['deep nesting', () => file(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`), /expected an object for "a"/],
    [
      'a name twice',
      () =>
        file(
          '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
          2,
        ),
      /"a" stands twice/,
    ],
    [
      'a field twice',
      () => file('{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}', 1),
      /"dtype" stands twice/,
    ],
    ['metadata twice', () => file('{"__metadata__":{"a":"1"},"__metadata__":{"a":"1"}}'), /stands twice/],
    ['metadata that is no object', () => file('{"__metadata__":[]}'), /expected an object of strings/],
    ['metadata that is no text', () => file('{"__metadata__":{"a":1}}'), /expected text for "a"/],
    [
      'an unknown dtype',
      () => file(JSON.stringify({ a: entry([1], 0, 4, 'F33') }), 4),
      /known dtype for tensor "a", got "F33"/,
    ],
    ['a dtype of Object', () => file(JSON.stringify({ a: entry([1], 0, 4, 'constructor') }), 4), /known dtype/],
    ['no shape', () => file('{"a":{"dtype":"U8","data_offsets":[0,1]}}', 1), /expected a shape/],
    ['a negative size', () => file(JSON.stringify({ a: entry([-1, -1], 0, 4) }), 4), /expected a shape/],
    ['a size that is no integer', () => file(JSON.stringify({ a: entry([0.5, 2], 0, 4) }), 4), /expected a shape/],
    ['a huge size', () => file(JSON.stringify({ a: entry([2 ** 53, 0], 0, 0) })), /expected a shape/],
    [
      'a product that overflows',
      () => file(JSON.stringify({ a: entry([2 ** 32, 2 ** 32], 0, 0) })),
      /size that can be counted/,
    ],
    ['one offset', () => file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}', 1), /two data_offsets/],
    ['offsets backwards', () => file(JSON.stringify({ a: entry([1], 4, 0) }), 4), /expected 4 bytes .* got -4/],
    [
      'the wrong size',
      () => file(JSON.stringify({ a: entry([2], 0, 4) }), 4),
      /expected 8 bytes for tensor "a" \(F32 \[2\]\), got 4/,
    ],
    [
      'an overlap',
      () => file(JSON.stringify({ a: entry([2], 0, 8), b: entry([2], 4, 12) }), 12),
      /overlap in its data: expected tensor "b" to begin at 8, got 4/,
    ],
    [
      'a hole',
      () => file(JSON.stringify({ a: entry([1], 0, 4), b: entry([1], 8, 12) }), 12),
      /hole.*begin at 4, got 8/,
    ],
    ['a hole at the start', () => file(JSON.stringify({ a: entry([1], 4, 8) }), 8), /hole/],
    [
      'missing data',
      () => file(JSON.stringify({ a: entry([2 ** 40], 0, 2 ** 42) }), 4),
      /truncated: expected 4398046511104/,
    ],
    [
      'data at the end',
      () => file(JSON.stringify({ a: entry([1], 0, 4) }), 5),
      /after its data: expected 4 bytes of data, got 5/,
    ],
  ];

  it.each(cases)('with %s is refused', async (_, make, message) => {
    const path = make();
    for (const read of [loadFile, readSafetensors, readSafetensorsHeader, loadMetadata]) {
      const error = await (read(path) as Promise<unknown>).then(
        () => expect.fail('expected a rejection'),
        (e: unknown) => e as FileFormatError,
      );
      expect(error).toBeInstanceOf(FileFormatError);
      expect(error.message).toMatch(message);
      expect(error.message).toContain(path);
      expect(error.path).toBe(path);
    }
  });

  it('may have spaces after the header, fields that nobody knows and data in any order of names', async () => {
    const header = JSON.stringify({ 2: { ...entry([1], 4, 8), note: { x: [1] } }, 10: entry([1], 0, 4) });
    const { tensors } = await readSafetensors(file(`${header} \n\t  `, Buffer.from(Float32Array.of(1, 2).buffer)));
    expect([...tensors.keys()]).toEqual(['10', '2']);
  });

  it('that is missing or a directory gives an IoError', async () => {
    await expect(loadFile(join(directory, 'none'))).rejects.toThrow(/^loadFile: cannot read .*ENOENT/);
    await expect(loadFile(directory)).rejects.toThrow(MyelinError);
    await expect(loadFile('')).rejects.toThrow(ValueError);
  });

  it('made from a valid one by any change is read or refused with a typed error', async () => {
    const valid = readFileSync(reference);
    const path = fresh();
    const check = async (bytes: Uint8Array): Promise<void> => {
      writeFileSync(path, bytes);
      try {
        const { tensors } = await readSafetensors(path);
        let total = 0;
        for (const { data } of tensors.values()) total += data.byteLength;
        expect(total).toBeLessThan(bytes.length);
        for (const t of (await loadFile(path)).values()) t.dispose();
      } catch (error) {
        if (!(error instanceof FileFormatError) && !(error instanceof DTypeError)) throw error;
      }
    };
    const change = fc.record({ at: fc.nat(valid.length - 1), value: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const bytes = Buffer.from(valid);
        for (const { at, value } of changes) bytes[at] = value;
        await check(bytes);
      }),
      { numRuns: 400 },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(valid.length), fc.nat(valid.length), async (a, b) => {
        await check(Buffer.concat([valid.subarray(0, a), valid.subarray(b)]));
      }),
      { numRuns: 150 },
    );
    // Numbers in the header replaced by others.
    await fc.assert(
      fc.asyncProperty(
        fc.nat(60),
        fc.oneof(fc.nat(200), fc.maxSafeNat(), fc.integer(), fc.double()),
        async (which, value) => {
          const length = Number(valid.readBigUInt64LE());
          let i = 0;
          const text = valid.toString('utf8', 8, 8 + length).trimEnd();
          const changed = text.replace(/(?<=[[,])\d+/g, (n) => (i++ === which ? String(value) : n));
          writeFileSync(path, '');
          const source = file(changed, valid.subarray(8 + length));
          await check(readFileSync(source));
        },
      ),
      { numRuns: 150 },
    );
  });
});
