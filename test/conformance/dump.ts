import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { FileFormatError, IoError, type TypedArray } from 'myelin';

/** Element types of a dump; int64 becomes our int32. */
const itemSize = { float32: 4, float64: 8, int64: 8, int32: 4, uint8: 1, bool: 1 } as const;

export type DumpDType = keyof typeof itemSize;

/** An array in data.bin. */
export interface ArrayRef {
  dtype: DumpDType;
  shape: number[];
  offset: number;
  bytes: number;
}

/** What stands for one argument of a call. */
export type Argument =
  | { tensor: ArrayRef; index: number; requiresGrad: boolean }
  | { list: Argument[] }
  | { value: number | string | boolean | null }
  | { dtype: string };

/** One call in PyTorch, what it was given and what it gave. */
export interface Case {
  /** `op`, or `op/variant`, and the number of the sample. */
  name: string;
  op: string;
  input: Argument;
  args: Argument[];
  kwargs: Record<string, Argument>;
  outputs: ArrayRef[];
  /** Gradients of the floating outputs, in order; empty where nothing is differentiated. */
  upstream: ArrayRef[];
  /** Expected gradients of the tensor arguments that require one, in order of their index; null where PyTorch has none. */
  grads: (ArrayRef | null)[] | null;
}

export interface Dump {
  cases: Case[];
  /** The values of an array, in f64 where they are float64. */
  values(ref: ArrayRef): TypedArray;
}

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads a file, or its gzipped form where only that is there. */
function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new IoError(`conformance: cannot read ${path}`, path, { cause: error });
    }
  }
  let packed: Buffer;
  try {
    packed = readFileSync(`${path}.gz`);
  } catch (error) {
    throw new IoError(`conformance: expected ${path} or ${path}.gz`, path, { cause: error });
  }
  try {
    return gunzipSync(packed);
  } catch {
    throw new FileFormatError(`conformance: ${path}.gz is not a whole gzip file`, `${path}.gz`);
  }
}

/** Checks a manifest piece by piece; messages name the place. */
class Checker {
  constructor(
    private readonly path: string,
    private readonly dataBytes: number,
  ) {}

  fail(where: string, expected: string, got: unknown): never {
    const text = JSON.stringify(got) ?? 'nothing';
    throw new FileFormatError(
      `conformance: ${where}: expected ${expected}, got ${text.length > 80 ? `${text.slice(0, 77)}...` : text}`,
      this.path,
    );
  }

  object(where: string, value: unknown): Json {
    return isObject(value) ? value : this.fail(where, 'an object', value);
  }

  array(where: string, value: unknown): unknown[] {
    return Array.isArray(value) ? value : this.fail(where, 'an array', value);
  }

  string(where: string, value: unknown): string {
    return typeof value === 'string' ? value : this.fail(where, 'a string', value);
  }

  natural(where: string, value: unknown): number {
    return Number.isSafeInteger(value) && (value as number) >= 0
      ? (value as number)
      : this.fail(where, 'a non-negative integer', value);
  }

  ref(where: string, value: unknown): ArrayRef {
    const { dtype, shape, offset, bytes } = this.object(where, value);
    if (typeof dtype !== 'string' || !Object.hasOwn(itemSize, dtype)) {
      this.fail(`${where}.dtype`, `one of ${Object.keys(itemSize).join(', ')}`, dtype);
    }
    const sizes = this.array(`${where}.shape`, shape).map((size) => this.natural(`${where}.shape`, size));
    const ref: ArrayRef = {
      dtype: dtype as DumpDType,
      shape: sizes,
      offset: this.natural(`${where}.offset`, offset),
      bytes: this.natural(`${where}.bytes`, bytes),
    };
    const wanted = sizes.reduce((a, b) => a * b, itemSize[ref.dtype]);
    if (ref.bytes !== wanted) this.fail(`${where}.bytes`, `${wanted} for ${ref.dtype} of [${sizes.join(', ')}]`, bytes);
    if (ref.offset + ref.bytes > this.dataBytes) {
      this.fail(where, `an array inside data.bin (${this.dataBytes} bytes)`, value);
    }
    return ref;
  }

  argument(where: string, value: unknown): Argument {
    const given = this.object(where, value);
    if ('tensor' in given) {
      return {
        tensor: this.ref(`${where}.tensor`, given['tensor']),
        index: this.natural(`${where}.index`, given['index']),
        requiresGrad: given['requires_grad'] === true,
      };
    }
    if ('list' in given) {
      return { list: this.array(`${where}.list`, given['list']).map((x, i) => this.argument(`${where}[${i}]`, x)) };
    }
    if ('dtype' in given) return { dtype: this.string(`${where}.dtype`, given['dtype']) };
    const plain = given['value'];
    if (plain === null || typeof plain === 'number' || typeof plain === 'string' || typeof plain === 'boolean') {
      return { value: plain };
    }
    return this.fail(where, 'a tensor, a list, a value or a dtype', value);
  }

  case(value: unknown, i: number): Case {
    const at = `cases[${i}]`;
    const given = this.object(at, value);
    const op = this.string(`${at}.op`, given['op']);
    const variant = this.string(`${at}.variant`, given['variant'] ?? '');
    const { upstream, grads } = given;
    const floats = (list: unknown, where: string): (ArrayRef | null)[] =>
      this.array(where, list).map((x, k) => (x === null ? null : this.ref(`${where}[${k}]`, x)));
    return {
      name: `${op}${variant === '' ? '' : `/${variant}`}#${this.natural(`${at}.sample`, given['sample'] ?? i)}`,
      op,
      input: this.argument(`${at}.input`, given['input']),
      args: this.array(`${at}.args`, given['args'] ?? []).map((x, k) => this.argument(`${at}.args[${k}]`, x)),
      kwargs: Object.fromEntries(
        Object.entries(this.object(`${at}.kwargs`, given['kwargs'] ?? {})).map(([key, x]) => [
          key,
          this.argument(`${at}.kwargs.${key}`, x),
        ]),
      ),
      outputs: this.array(`${at}.outputs`, given['outputs']).map((x, k) => this.ref(`${at}.outputs[${k}]`, x)),
      upstream: this.array(`${at}.upstream`, upstream ?? []).map((x, k) => this.ref(`${at}.upstream[${k}]`, x)),
      grads: grads === null || grads === undefined ? null : floats(grads, `${at}.grads`),
    };
  }
}

function valuesOf(data: Buffer, { dtype, offset, bytes }: ArrayRef): TypedArray {
  // A copy: an array may start at an odd place, typed arrays may not.
  const buffer = new Uint8Array(data.subarray(offset, offset + bytes)).buffer;
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer);
    case 'float64':
      return new Float64Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'int64':
      return Float64Array.from(new BigInt64Array(buffer), Number);
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer);
  }
}

/**
 * Reads `manifest.json` and `data.bin` (or their gzipped forms) of a directory.
 * @throws IoError when a file is not there
 * @throws FileFormatError when the manifest is not of the format, points outside data.bin, or names another data.bin's SHA-256
 */
export function readDump(directory: string): Dump {
  const path = join(directory, 'manifest.json');
  const text = read(path).toString('utf8');
  const data = read(join(directory, 'data.bin'));
  const checker = new Checker(path, data.length);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new FileFormatError(`conformance: ${path} is not JSON: ${(error as Error).message}`, path);
  }
  const manifest = checker.object('the manifest', json);
  const wanted = manifest['sha256'];
  if (wanted !== undefined) {
    const got = createHash('sha256').update(data).digest('hex');
    if (got !== wanted) checker.fail('sha256', `that of data.bin, ${got}`, wanted);
  }
  const cases = checker.array('cases', manifest['cases']).map((x, i) => checker.case(x, i));
  return { cases, values: (ref) => valuesOf(data, ref) };
}
