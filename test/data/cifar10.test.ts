import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { cifar10, readCifar10 } from '../../lib/data/cifar10.js';
import { readTar } from '../../lib/data/tar.js';
import { FileFormatError, IoError, ValueError } from '../../lib/errors.js';
import { temporaryDirectory } from '../io/tmp.js';

/** The first four training images of CIFAR-10. */
const slice = fileURLToPath(new URL('../golden/cifar10-4.bin.gz', import.meta.url));
const bytes = gunzipSync(readFileSync(slice));
const directory = temporaryDirectory();

describe('CIFAR-10', () => {
  it('reads a file, plain or compressed', async () => {
    const plain = join(directory, 'plain.bin');
    writeFileSync(plain, bytes);
    for (const path of [slice, plain]) {
      const [images, labels] = (await readCifar10(path)).tensors;
      expect([images.dtype, images.shape, labels.dtype]).toEqual(['uint8', [4, 3, 32, 32], 'int32']);
      expect([...labels.dataSync()]).toEqual([6, 9, 9, 4]);
      // The red plane of the first image begins with the published 59, 43, 50; the last blue pixel ends its record.
      expect([...images.dataSync().subarray(0, 3)]).toEqual([59, 43, 50]);
      expect(images.dataSync()[3071]).toBe(bytes[3072]);
      expect(images.dataSync()[3072]).toBe(bytes[3074]);
    }
  });

  it('reads the parts of a split in order', async () => {
    const parts = join(directory, 'parts');
    mkdirSync(parts);
    writeFileSync(join(parts, 'data_batch_10.bin.gz'), gzipSync(bytes.subarray(0, 3073)));
    writeFileSync(join(parts, 'data_batch_2.bin'), bytes.subarray(3073, 3 * 3073));
    writeFileSync(join(parts, 'test_batch.bin'), bytes.subarray(3 * 3073));
    const train = await cifar10({ dataDir: parts });
    expect([...train.tensors[1].dataSync()]).toEqual([9, 9, 6]);
    expect((await cifar10({ dataDir: parts, split: 'test' })).length).toBe(1);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /expected .* whole records of 3073 bytes \(CIFAR-10\), got 0 bytes/],
    ['half a record', bytes.subarray(0, 5000), /got 5000 bytes/],
    [
      'a label that is none',
      Uint8Array.from(bytes, (b, i) => (i === 3073 ? 10 : b)),
      /labels 0 to 9 in .*, got 10 at 1/,
    ],
    ['a broken gzip file', gzipSync(bytes).subarray(0, 2000), /whole gzip file/],
    ['more than is allowed', Buffer.alloc(5 * 3073), /at most 12292 bytes/],
    ['a gzip bomb', gzipSync(Buffer.alloc(2 ** 24)), /at most 12292 bytes/],
  ])('refuses %s', async (name, contents, message) => {
    const path = join(directory, `${createHash('md5').update(name).digest('hex')}.bin`);
    writeFileSync(path, contents);
    const error: unknown = await readCifar10(path, { maxImages: 4 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FileFormatError);
    expect((error as Error).message).toMatch(message);
  });

  it('says where files are missing', async () => {
    const empty = join(directory, 'empty');
    mkdirSync(empty);
    await expect(cifar10({ dataDir: empty })).rejects.toThrow(/expected data_batch_1.bin, .* in .*empty, got none/);
    await expect(cifar10({ dataDir: join(empty, 'no') })).rejects.toThrow(IoError);
    await expect(cifar10({ split: 'all' as never })).rejects.toThrow(ValueError);
  });
});

/** A tar archive of one file. */
function tar(name: string, data: Buffer, change: (header: Buffer) => void = () => undefined): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  change(header);
  header.write('        ', 148);
  header.write(
    `${header
      .reduce((a, b) => a + b, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

describe('tar archives', () => {
  it('give their files', () => {
    const archive = Buffer.concat([
      tar('a/one.bin', Buffer.from('12345')),
      tar('a/', Buffer.alloc(0), (h) => void h.write('5', 156)),
      tar('two', Buffer.alloc(512, 7), (h) => void h.write('deep/er', 345)),
      Buffer.alloc(1024),
    ]);
    const files = [...readTar(archive)].map(({ name, data }) => [name, data.length, data[0]]);
    expect(files).toEqual([
      ['a/one.bin', 5, 49],
      ['deep/er/two', 512, 7],
    ]);
  });

  it.each<[string, Buffer]>([
    ['truncated amid a file', tar('x', Buffer.alloc(2000)).subarray(0, 1024)],
    ['truncated amid a header', Buffer.concat([tar('x', Buffer.alloc(512)), Buffer.alloc(100, 1)])],
    ['a wrong checksum', Buffer.concat([Buffer.from('y'), tar('x', Buffer.alloc(0)).subarray(1)])],
    ['a size that is no number', tar('x', Buffer.alloc(0), (h) => void h.write('9zzzzzzzzzz\0', 124))],
    ['no tar at all', Buffer.from('hello')],
  ])('are refused when %s', (_, archive) => {
    expect(() => [...readTar(archive)]).toThrow(FileFormatError);
  });
});
