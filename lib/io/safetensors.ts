import { type FileHandle, open } from 'node:fs/promises';
import { show } from '../check.js';
import { type DType, type TypedArray } from '../dtype.js';
import { DTypeError, FileFormatError, OutOfMemoryError, ValueError } from '../errors.js';
import { numelOf } from '../shape.js';
import { fromTypedArray } from '../ops/create.js';
import { Tensor } from '../tensor.js';
import { checkPath, ioError, writeAtomic } from './atomic.js';
import { encodeHeader, type HeaderEntry, MAX_HEADER_BYTES, parseHeader } from './safetensors-header.js';
import { itemBytes, type SafetensorsDType } from './safetensors-header.js';

export type { SafetensorsDType } from './safetensors-header.js';

/** One tensor of a safetensors file as it is stored: row-major, little-endian. */
export interface RawTensor {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** The bytes; a `Uint8Array` that starts at a multiple of 8 in a buffer of its own when it was read from a file. */
  readonly data: Uint8Array;
}

/** What a header says of a tensor; `begin` and `end` count bytes from the start of the file. */
export interface TensorInfo {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Free text of a file's `__metadata__`, by name; an object without prototype, so any name is possible. */
export type Metadata = Record<string, string>;

/** Tensors by name, as `stateDict()` gives them or as a plain object. */
export type NamedTensors = ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>;

// ------------------------------------------------------------------------------------------------- files of bytes

/**
 * Reads and checks only the header of a safetensors file: names, dtypes, shapes and places of the tensors, in the order
 * of the data.
 *
 * @throws {FileFormatError} when the file is not exactly what the format asks for; {@link IoError}.
 */
export async function readSafetensorsHeader(
  path: string,
): Promise<{ tensors: Map<string, TensorInfo>; metadata: Metadata }> {
  return withFile('readSafetensorsHeader', path, (handle) => header('readSafetensorsHeader', handle, path));
}

/**
 * Reads a safetensors file without converting anything. Checked before memory is taken for the data: the header's
 * length (at most 100 MB and within the file), UTF-8, JSON without duplicate names, dtypes, sizes against shapes,
 * offsets without overlap or hole, and the length of the file.
 *
 * @throws {FileFormatError} naming the file and what is wrong with it; {@link IoError}; {@link OutOfMemoryError}.
 */
export async function readSafetensors(path: string): Promise<{ tensors: Map<string, RawTensor>; metadata: Metadata }> {
  return readRaw('readSafetensors', path);
}

/**
 * Writes tensors given as bytes. The same tensors and metadata give the same file, byte for byte, whatever the order of
 * the map: as in the reference implementation the data is sorted by dtype, widest first, then by name. The file
 * is replaced in one step or, on any error, left as it was.
 *
 * @throws {ValueError} for a bad name, dtype, shape or length; {@link IoError}.
 */
export async function writeSafetensors(
  tensors: ReadonlyMap<string, RawTensor>,
  path: string,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const fn = 'writeSafetensors';
  checkPath(fn, 'path', path);
  const entries: HeaderEntry[] = [];
  for (const [name, { dtype, shape, data }] of tensors) {
    const bytes = numelOf(shape) * (itemBytes[dtype] ?? NaN);
    if (!(data instanceof Uint8Array) || data.byteLength !== bytes) {
      const got = data instanceof Uint8Array ? `${data.byteLength}` : show(data);
      throw new ValueError(`${fn}: expected ${bytes} bytes for tensor ${show(name)}, got ${got}`);
    }
    entries.push({ name, dtype, shape });
  }
  const { bytes, order } = encodeHeader(fn, entries, metadata);
  function* chunks(): Generator<Uint8Array> {
    yield bytes;
    for (const { name } of order) yield tensors.get(name)!.data;
  }
  await writeAtomic(path, chunks(), fn);
}

// ------------------------------------------------------------------------------------------------- files of tensors

const stored: Readonly<Record<DType, SafetensorsDType>> = {
  float32: 'F32',
  float64: 'F64',
  int32: 'I32',
  uint8: 'U8',
  bool: 'BOOL',
};

/**
 * Saves tensors in a safetensors file, which PyTorch and every other framework can read. What is saved is the values at
 * the time of the call: later updates in place do not reach the file. The file is replaced in one step or, on any error,
 * left as it was; equal tensors give equal files.
 *
 * @param tensors by name; gradients are not saved.
 * @param metadata free text, such as the number of steps; default none.
 * @throws {ValueError} for a bad name or something that is not a tensor; {@link DisposedError}; {@link IoError} when the
 * file cannot be written, saying what to do.
 */
export async function saveFile(
  tensors: NamedTensors,
  path: string,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const fn = 'saveFile';
  checkPath(fn, 'path', path);
  if (typeof tensors !== 'object' || tensors === null || tensors instanceof Tensor) {
    throw new ValueError(`${fn}: expected tensors by name (a Map or an object), got ${show(tensors)}`);
  }
  const entries: HeaderEntry[] = [];
  const values = new Map<string, Tensor>();
  for (const [name, t] of tensors instanceof Map ? tensors : Object.entries(tensors)) {
    if (!(t instanceof Tensor)) throw new ValueError(`${fn}: expected ${show(name)} to be a tensor, got ${show(t)}`);
    values.set(name as string, t);
    entries.push({ name: name as string, dtype: stored[t.dtype], shape: t.shape });
  }
  const { bytes, order } = encodeHeader(fn, entries, metadata);
  // All reads enter the stream now, before whatever the caller does next.
  const reads = order.map(({ name }) => values.get(name)!.data());
  for (const read of reads) read.catch(() => undefined);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield bytes;
    for (let i = 0; i < reads.length; i++) {
      const { buffer, byteOffset, byteLength } = await reads[i]!;
      reads[i] = undefined as never;
      yield new Uint8Array(buffer, byteOffset, byteLength);
    }
  }
  await writeAtomic(path, chunks(), fn);
}

/**
 * Loads the tensors of a safetensors file by name. F32, F64, I32, U8 and BOOL come as they are. Converted are F16 and
 * BF16 to float32 (exactly), I8, I16 and U16 to int32, and I64, U32 and U64 to int32 when every value fits.
 *
 * @throws {FileFormatError} when the file is not what the format asks for; {@link DTypeError} for other dtypes and for
 * integers that do not fit; {@link IoError}; {@link OutOfMemoryError}.
 */
export async function loadFile(path: string): Promise<Map<string, Tensor>> {
  return (await loadFileWithMetadata(path)).tensors;
}

/** Like {@link loadFile}, with the file's free text. */
export async function loadFileWithMetadata(
  path: string,
): Promise<{ tensors: Map<string, Tensor>; metadata: Metadata }> {
  const { tensors: raw, metadata } = await readRaw('loadFile', path);
  const tensors = new Map<string, Tensor>();
  try {
    for (const [name, tensor] of raw) {
      tensors.set(name, toTensor(name, tensor, path));
      raw.delete(name);
    }
  } catch (error) {
    for (const t of tensors.values()) t.dispose();
    throw error;
  }
  return { tensors, metadata };
}

/**
 * The tensors of a file one after the other, in the order of the data, so that no more than one is in memory twice. Converts as
 * {@link loadFile} does.
 */
export async function* eachTensor(
  fn: string,
  path: string,
  wanted: (name: string) => boolean = () => true,
): AsyncGenerator<[name: string, tensor: Tensor], void, undefined> {
  checkPath(fn, 'path', path);
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const { tensors } = await header(fn, handle, path);
    for (const [name, { dtype, shape, begin, end }] of tensors) {
      if (!wanted(name)) continue;
      const data = await readExactly(fn, handle, path, begin, end - begin);
      yield [name, toTensor(name, { dtype, shape, data }, path)];
    }
  } catch (error) {
    throw ioError(fn, 'read', path, error);
  } finally {
    await handle?.close();
  }
}

/** The free text of a safetensors file; only the header is read. */
export async function loadMetadata(path: string): Promise<Metadata> {
  return withFile('loadMetadata', path, async (handle) => (await header('loadMetadata', handle, path)).metadata);
}

// ------------------------------------------------------------------------------------------------- reading

async function withFile<T>(fn: string, path: string, body: (handle: FileHandle) => Promise<T>): Promise<T> {
  checkPath(fn, 'path', path);
  try {
    const handle = await open(path, 'r');
    try {
      return await body(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw ioError(fn, 'read', path, error);
  }
}

async function header(
  fn: string,
  handle: FileHandle,
  path: string,
): Promise<{ tensors: Map<string, TensorInfo>; metadata: Metadata }> {
  const fail = (message: string): FileFormatError => new FileFormatError(`${fn}: ${path} ${message}`, path);
  const stat = await handle.stat();
  if (!stat.isFile()) throw fail('is not a regular file');
  if (stat.size < 8) throw fail(`is not a safetensors file: expected at least 8 bytes, got ${stat.size}`);
  const prefix = await readExactly(fn, handle, path, 0, 8);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw fail(`is not a safetensors file: expected a header of at most ${MAX_HEADER_BYTES} bytes, got ${length}`);
  }
  const headerBytes = Number(length);
  if (headerBytes > stat.size - 8) {
    throw fail(`is truncated: expected a header of ${headerBytes} bytes, got ${stat.size - 8}`);
  }
  const text = await readExactly(fn, handle, path, 8, headerBytes);
  const { tensors, metadata } = parseHeader(text, stat.size - 8 - headerBytes, fail);
  const start = 8 + headerBytes;
  const infos = new Map<string, TensorInfo>();
  for (const [name, { dtype, shape, begin, end }] of tensors) {
    infos.set(name, { dtype, shape, begin: start + begin, end: start + end });
  }
  return { tensors: infos, metadata };
}

function readRaw(fn: string, path: string): Promise<{ tensors: Map<string, RawTensor>; metadata: Metadata }> {
  return withFile(fn, path, async (handle) => {
    const { tensors: infos, metadata } = await header(fn, handle, path);
    const tensors = new Map<string, RawTensor>();
    for (const [name, { dtype, shape, begin, end }] of infos) {
      tensors.set(name, { dtype, shape, data: await readExactly(fn, handle, path, begin, end - begin) });
    }
    return { tensors, metadata };
  });
}

/** Longest single read: the system call takes less than 2 GiB, and other work gets its turn between the pieces. */
const PIECE = 64 * 1024 * 1024;

async function readExactly(
  fn: string,
  handle: FileHandle,
  path: string,
  at: number,
  length: number,
): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(length);
  } catch (cause) {
    throw new OutOfMemoryError(
      `${fn}: cannot take ${length} bytes for a tensor of ${path} (${(cause as Error).message})`,
    );
  }
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(PIECE, length - done), at + done);
    if (bytesRead === 0) {
      throw new FileFormatError(`${fn}: ${path} became shorter while it was read`, path);
    }
    done += bytesRead;
  }
  return bytes;
}

// ------------------------------------------------------------------------------------------------- conversion

function toTensor(name: string, { dtype, shape, data }: RawTensor, path: string): Tensor {
  if (shape.length > 8) {
    throw new FileFormatError(
      `loadFile: expected tensor ${show(name)} of ${path} to have at most 8 dimensions, got ${shape.length}`,
      path,
    );
  }
  const [target, values] = convert(name, dtype, data, path);
  return fromTypedArray(values, shape, { dtype: target });
}

function convert(name: string, dtype: SafetensorsDType, data: Uint8Array, path: string): [DType, TypedArray] {
  const { buffer, byteOffset, byteLength } = data;
  const n = byteLength / itemBytes[dtype];
  switch (dtype) {
    case 'F32':
      return ['float32', new Float32Array(buffer, byteOffset, n)];
    case 'F64':
      return ['float64', new Float64Array(buffer, byteOffset, n)];
    case 'I32':
      return ['int32', new Int32Array(buffer, byteOffset, n)];
    case 'U8':
      return ['uint8', data];
    case 'BOOL': {
      const bad = data.findIndex((v) => v > 1);
      if (bad < 0) return ['bool', data];
      throw new FileFormatError(
        `loadFile: expected tensor ${show(name)} of ${path} to hold 0 and 1 (BOOL), got ${data[bad]} at ${bad}`,
        path,
      );
    }
    case 'F16':
      return ['float32', Float32Array.from(new Uint16Array(buffer, byteOffset, n), halfToNumber)];
    case 'BF16': {
      const bits = Uint32Array.from(new Uint16Array(buffer, byteOffset, n), (h) => h * 0x10000);
      return ['float32', new Float32Array(bits.buffer)];
    }
    case 'I8':
      return ['int32', Int32Array.from(new Int8Array(buffer, byteOffset, n))];
    case 'I16':
      return ['int32', Int32Array.from(new Int16Array(buffer, byteOffset, n))];
    case 'U16':
      return ['int32', Int32Array.from(new Uint16Array(buffer, byteOffset, n))];
    case 'U32':
      return ['int32', narrow(name, dtype, new Uint32Array(buffer, byteOffset, n), path)];
    case 'I64':
      return ['int32', narrow(name, dtype, new BigInt64Array(buffer, byteOffset, n), path)];
    case 'U64':
      return ['int32', narrow(name, dtype, new BigUint64Array(buffer, byteOffset, n), path)];
    default:
      throw new DTypeError(
        `loadFile: expected tensor ${show(name)} of ${path} to have a dtype that can be loaded, got ${dtype}`,
      );
  }
}

function narrow(
  name: string,
  dtype: SafetensorsDType,
  values: Uint32Array | BigInt64Array | BigUint64Array,
  path: string,
): Int32Array {
  const out = new Int32Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const v = Number(values[i]!);
    if (v < -0x80000000 || v > 0x7fffffff) {
      throw new DTypeError(
        `loadFile: expected tensor ${show(name)} of ${path} (${dtype}) to fit int32, got ${values[i]} at ${i}`,
      );
    }
    out[i] = v;
  }
  return out;
}

/** The value of an IEEE 754 half: 1 sign, 5 exponent (bias 15) and 10 fraction bits. */
function halfToNumber(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
