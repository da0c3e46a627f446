import { show } from '../check.js';
import { type FileFormatError, ShapeError, ValueError } from '../errors.js';

/** Bytes per element of the dtypes that safetensors files hold, in the order of the reference implementation. */
export const itemBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const satisfies Record<string, number>;

/** Element type of a tensor in a safetensors file. */
export type SafetensorsDType = keyof typeof itemBytes;

const rank = new Map(Object.keys(itemBytes).map((name, i) => [name, i]));

/** Longest header that is read: the limit of the reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;

/** A tensor to be written. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
}

/** A tensor of a header; `begin` and `end` count bytes from the end of the header. */
export interface ParsedEntry {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * The first bytes of a file (length, JSON, spaces up to a multiple of 8) and the order that the data must follow: by
 * dtype, widest first, then by the bytes of the name.
 *
 * @throws {ValueError} for names that are not text or stand twice, unknown dtypes and values of metadata that are not
 * strings; {@link ShapeError} for sizes that are not.
 */
export function encodeHeader(
  fn: string,
  entries: readonly HeaderEntry[],
  metadata: Readonly<Record<string, string>>,
): { bytes: Uint8Array; order: readonly HeaderEntry[] } {
  for (const { name, dtype, shape } of entries) {
    if (typeof name !== 'string' || !isText(name) || name === '__metadata__') {
      throw new ValueError(`${fn}: expected names to be valid text other than __metadata__, got ${show(name)}`);
    }
    if (!rank.has(dtype)) throw new ValueError(`${fn}: expected a known dtype for ${show(name)}, got ${show(dtype)}`);
    if (bytesOf(shape, 1) === undefined) {
      throw new ShapeError(`${fn}: expected a shape for ${show(name)}, got ${show(shape)}`);
    }
  }
  const keyed = entries.map((entry) => ({ entry, key: Buffer.from(entry.name, 'utf8') }));
  keyed.sort((a, b) => rank.get(b.entry.dtype)! - rank.get(a.entry.dtype)! || Buffer.compare(a.key, b.key));
  const order = keyed.map(({ entry }) => entry);

  const parts: string[] = [];
  const names = Object.keys(metadata).sort((a, b) => Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8')));
  if (names.length > 0) {
    const texts = names.map((name) => {
      const text = metadata[name];
      if (typeof text !== 'string' || !isText(text) || !isText(name)) {
        throw new ValueError(`${fn}: expected metadata ${show(name)} to be valid text, got ${show(text)}`);
      }
      return `${JSON.stringify(name)}:${JSON.stringify(text)}`;
    });
    parts.push(`"__metadata__":{${texts.join(',')}}`);
  }
  const seen = new Set<string>();
  let offset = 0;
  for (const { name, dtype, shape } of order) {
    if (seen.has(name)) throw new ValueError(`${fn}: expected each name once, got ${show(name)} twice`);
    seen.add(name);
    const end = offset + bytesOf(shape, itemBytes[dtype])!;
    parts.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${offset},${end}]}`,
    );
    offset = end;
  }
  const json = Buffer.from(`{${parts.join(',')}}`, 'utf8');
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new ValueError(`${fn}: expected a header of at most ${MAX_HEADER_BYTES} bytes, got ${length}`);
  }
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return { bytes, order };
}

/**
 * Reads the JSON of a header and checks it against the number of data bytes that follow it.
 *
 * @param fail makes the error; the message continues "<file> …".
 */
export function parseHeader(
  bytes: Uint8Array,
  dataBytes: number,
  fail: (message: string) => FileFormatError,
): { tensors: Map<string, ParsedEntry>; metadata: Record<string, string> } {
  const root = parseObject(bytes, fail);
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>;
  const list: [string, ParsedEntry][] = [];
  for (const [name, value] of Object.entries(root)) {
    if (!isText(name)) throw fail(`has a name that is not valid text: ${show(name)}`);
    if (name === '__metadata__') {
      if (!isObject(value)) throw fail(`has bad metadata: expected an object of strings, got ${brief(value)}`);
      for (const [key, text] of Object.entries(value)) {
        if (typeof text !== 'string')
          throw fail(`has bad metadata: expected text for ${show(key)}, got ${brief(text)}`);
        metadata[key] = text;
      }
    } else {
      list.push([name, parseEntry(name, value, fail)]);
    }
  }
  list.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let offset = 0;
  for (const [name, { begin, end }] of list) {
    if (begin !== offset) {
      const what = begin < offset ? 'an overlap' : 'a hole';
      throw fail(`has ${what} in its data: expected tensor ${show(name)} to begin at ${offset}, got ${begin}`);
    }
    offset = end;
  }
  if (offset !== dataBytes) {
    const what = dataBytes < offset ? 'is truncated' : 'has bytes after its data';
    throw fail(`${what}: expected ${offset} bytes of data, got ${dataBytes}`);
  }
  return { tensors: new Map(list), metadata };
}

function parseEntry(name: string, value: unknown, fail: (message: string) => FileFormatError): ParsedEntry {
  if (!isObject(value)) throw fail(`has a bad header: expected an object for ${show(name)}, got ${brief(value)}`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !rank.has(dtype)) {
    throw fail(`has a bad header: expected a known dtype for tensor ${show(name)}, got ${brief(dtype)}`);
  }
  if (!isSizes(shape)) throw fail(`has a bad header: expected a shape for tensor ${show(name)}, got ${brief(shape)}`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw fail(`has a bad header: expected two data_offsets for tensor ${show(name)}, got ${brief(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const size = bytesOf(shape, itemBytes[dtype as SafetensorsDType]);
  if (size === undefined || end - begin !== size) {
    const wanted = size === undefined ? 'a size that can be counted' : `${size} bytes`;
    throw fail(
      `has a bad header: expected ${wanted} for tensor ${show(name)} (${dtype} ${show(shape)}), got ${end - begin}`,
    );
  }
  return { dtype: dtype as SafetensorsDType, shape, begin, end };
}

/** Bytes of a tensor; undefined when the shape is none or the product is not exact. */
function bytesOf(shape: readonly number[], bytes: number): number | undefined {
  if (!isSizes(shape)) return undefined;
  let product = bytes;
  for (const size of shape) {
    product *= size;
    if (product > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return product;
}

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((v) => Number.isSafeInteger(v) && (v as number) >= 0 && !Object.is(v, -0));

/** A value of hostile JSON in a message: arrays in arrays can be too deep to be shown. */
const brief = (value: unknown): string =>
  Array.isArray(value) && value.some((v) => typeof v === 'object') ? 'nested arrays' : show(value);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a string has no half of a surrogate pair, so that it can be written as UTF-8. */
const isText = (value: string): boolean => !/\p{Surrogate}/u.test(value);

function parseObject(bytes: Uint8Array, fail: (message: string) => FileFormatError): Record<string, unknown> {
  if (bytes[0] !== 0x7b) throw fail('is not a safetensors file: expected its header to begin with {');
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fail('has a bad header: expected UTF-8 text');
  }
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail(`has a bad header: expected JSON, got ${(error as Error).message}`);
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) throw fail(`has a bad header: ${show(twice)} stands twice in it`);
  return value as Record<string, unknown>;
}

/** A key that stands twice in one object of valid JSON; `JSON.parse` would keep the last one silently. */
function duplicateKey(json: string): string | undefined {
  // Keys of the objects around the current place; null for an array.
  const open: (Set<string> | null)[] = [];
  let i = 0;
  let keyNext = false;
  while (i < json.length) {
    const c = json[i];
    if (c === '"') {
      const start = i++;
      while (json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
      if (keyNext) {
        const key = JSON.parse(json.slice(start, i + 1)) as string;
        const keys = open.at(-1)!;
        if (keys.has(key)) return key;
        keys.add(key);
        keyNext = false;
      }
    } else if (c === '{') {
      open.push(new Set());
      keyNext = true;
    } else if (c === '[') {
      open.push(null);
      keyNext = false;
    } else if (c === '}' || c === ']') {
      open.pop();
      keyNext = false;
    } else if (c === ',') {
      keyNext = open.at(-1) !== null;
    }
    i++;
  }
  return undefined;
}
