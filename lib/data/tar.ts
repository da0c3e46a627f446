import { FileFormatError } from '../errors.js';

/** A file in an archive; `data` is a view of the archive's bytes. */
export interface TarEntry {
  readonly name: string;
  readonly data: Uint8Array;
}

const BLOCK = 512;

/**
 * The plain files of an uncompressed tar archive (ustar), in order. Directories, links and extended headers are passed over.
 *
 * @param path for messages.
 * @throws {FileFormatError} when a header's checksum or size is wrong, or the archive ends amid a file.
 */
export function* readTar(bytes: Uint8Array, path = 'the data'): Generator<TarEntry, void, undefined> {
  let at = 0;
  const fail = (what: string): FileFormatError => new FileFormatError(`readTar: ${path} ${what} at byte ${at}`, path);
  const text = (start: number, length: number): string => {
    const field = bytes.subarray(start, start + length);
    const end = field.indexOf(0);
    return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString('utf8');
  };
  const octal = (start: number, length: number, what: string): number => {
    const digits = text(start, length).trim();
    if (!/^[0-7]+$/.test(digits)) throw fail(`has a bad ${what} in a header`);
    return parseInt(digits, 8);
  };
  while (at + BLOCK <= bytes.length) {
    const header = bytes.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return;
    let sum = 0;
    // The checksum counts its own field as spaces.
    for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : header[i]!;
    if (octal(at + 148, 8, 'checksum') !== sum) throw fail('has a header with a wrong checksum');
    const size = octal(at + 124, 12, 'size');
    const start = at + BLOCK;
    if (size > bytes.length - start) throw fail('is truncated: the file that begins');
    const kind = header[156];
    if (kind === 0 || kind === 0x30) {
      const prefix = text(at + 257, 5) === 'ustar' ? text(at + 345, 155) : '';
      const name = text(at, 100);
      yield { name: prefix === '' ? name : `${prefix}/${name}`, data: bytes.subarray(start, start + size) };
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  if (at < bytes.length || at === 0) throw fail('is truncated: expected a header');
}
