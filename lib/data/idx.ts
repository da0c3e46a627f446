import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { checkInteger, show } from '../check.js';
import { FileFormatError, OutOfMemoryError } from '../errors.js';
import { checkPath, ioError } from '../io/atomic.js';

/** Element types of IDX files by their code. */
const types = {
  0x08: { dtype: 'uint8', bytes: 1 },
  0x09: { dtype: 'int8', bytes: 1 },
  0x0b: { dtype: 'int16', bytes: 2 },
  0x0c: { dtype: 'int32', bytes: 4 },
  0x0d: { dtype: 'float32', bytes: 4 },
  0x0e: { dtype: 'float64', bytes: 8 },
} as const;

/** The typed array of each element type of an IDX file. */
export interface IdxArrays {
  uint8: Uint8Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  float32: Float32Array;
  float64: Float64Array;
}

/** The contents of an IDX file: `data` is row-major with `shape`. */
export type IdxArray = {
  [K in keyof IdxArrays]: { readonly shape: readonly number[]; readonly dtype: K; readonly data: IdxArrays[K] };
}[keyof IdxArrays];

/** Largest file that is read, uncompressed, unless the caller says otherwise: 1 GiB. */
const DEFAULT_MAX_BYTES = 2 ** 30;

/**
 * Reads an IDX file (the format of the MNIST family), plain or compressed with gzip, whatever its name.
 *
 * @param options.maxBytes longest uncompressed contents that are accepted; default 1 GiB.
 * @throws {FileFormatError} when the bytes are not exactly one IDX array, or longer than `maxBytes`; {@link IoError}.
 */
export async function readIdx(
  path: string,
  { maxBytes = DEFAULT_MAX_BYTES }: { maxBytes?: number } = {},
): Promise<IdxArray> {
  return parseIdx(await readMaybeGzip('readIdx', path, maxBytes), path);
}

/**
 * The array in the bytes of an uncompressed IDX file. Bytes are shared with the result where the element type allows.
 *
 * @param path for messages.
 * @throws {FileFormatError} when the bytes are not exactly one IDX array.
 */
export function parseIdx(bytes: Uint8Array, path = 'the data'): IdxArray {
  const fail = (message: string): FileFormatError => new FileFormatError(`readIdx: ${path} ${message}`, path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) throw fail(`is not an IDX file: expected at least 4 bytes, got ${bytes.length}`);
  const code = bytes[2] as keyof typeof types;
  if (bytes[0] !== 0 || bytes[1] !== 0 || !Object.hasOwn(types, code)) {
    const magic = Buffer.from(bytes.subarray(0, 4)).toString('hex');
    throw fail(
      `is not an IDX file: expected it to begin with 00 00, a type and the number of dimensions, got ${magic}`,
    );
  }
  const ndim = bytes[3]!;
  if (ndim < 1 || ndim > 8) throw fail(`has a bad header: expected 1 to 8 dimensions, got ${ndim}`);
  const start = 4 + 4 * ndim;
  if (bytes.length < start) throw fail(`is truncated: expected a header of ${start} bytes, got ${bytes.length}`);
  const shape: number[] = [];
  for (let i = 0; i < ndim; i++) shape.push(view.getUint32(4 + 4 * i));
  const type = types[code];
  // At most 8 × 2^256: inexact perhaps, but never equal to the length by mistake.
  const expected = shape.reduce((product, size) => product * size, type.bytes);
  const got = bytes.length - start;
  if (expected !== got) {
    const what = got < expected ? 'is truncated' : 'has bytes after its data';
    throw fail(`${what}: expected ${expected} bytes of ${type.dtype} ${show(shape)}, got ${got}`);
  }
  return { shape, dtype: type.dtype, data: read(type.dtype, view, start, got / type.bytes) } as IdxArray;
}

/** Elements as a typed array; more than one byte each are big-endian in the file. */
function read(dtype: keyof IdxArrays, view: DataView, start: number, n: number): IdxArrays[keyof IdxArrays] {
  const { buffer, byteOffset } = view as DataView<ArrayBuffer>;
  switch (dtype) {
    case 'uint8':
      return new Uint8Array(buffer, byteOffset + start, n);
    case 'int8':
      return new Int8Array(buffer, byteOffset + start, n);
    case 'int16':
      return Int16Array.from({ length: n }, (_, i) => view.getInt16(start + 2 * i));
    case 'int32':
      return Int32Array.from({ length: n }, (_, i) => view.getInt32(start + 4 * i));
    case 'float32':
      return Float32Array.from({ length: n }, (_, i) => view.getFloat32(start + 4 * i));
    case 'float64':
      return Float64Array.from({ length: n }, (_, i) => view.getFloat64(start + 8 * i));
  }
}

/**
 * A file's bytes, decompressed when they are gzip's.
 *
 * @throws {FileFormatError} when there are more than `maxBytes` or the compression is broken; {@link IoError}.
 */
export async function readMaybeGzip(fn: string, path: string, maxBytes: number): Promise<Uint8Array> {
  checkPath(fn, 'path', path);
  checkInteger(fn, 'maxBytes', maxBytes, { min: 1 });
  const tooLong = (): FileFormatError =>
    new FileFormatError(`${fn}: expected at most ${maxBytes} bytes in ${path}, got more`, path);
  let bytes: Uint8Array;
  try {
    const { size } = await stat(path);
    // What does not compress becomes a little longer.
    if (size > 1.001 * maxBytes + 1024) throw tooLong();
    bytes = await readFile(path);
  } catch (error) {
    throw ioError(fn, 'read', path, error);
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) {
    if (bytes.length > maxBytes) throw tooLong();
    return bytes;
  }
  const { constants, gunzip } = await import('node:zlib');
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: maxBytes, finishFlush: constants.Z_FINISH });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLong();
    if (code === 'ERR_MEMORY_ALLOCATION_FAILED') throw new OutOfMemoryError(`${fn}: no memory to decompress ${path}`);
    throw new FileFormatError(`${fn}: expected ${path} to be a whole gzip file, got: ${message}`, path);
  }
}
