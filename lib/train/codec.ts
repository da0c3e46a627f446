import { FileFormatError, ValueError } from '../errors.js';
import { show } from '../check.js';
import { Tensor } from '../tensor.js';

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const TENSOR = '$tensor';
const NUMBER = '$number';
const ARRAY = '$array';

/**
 * A state as JSON, its tensors moved to `tensors` under dotted names that start with `prefix`. Keeps what JSON alone would lose:
 * NaN, infinities, negative zero and typed arrays. Properties that are undefined are left out.
 */
export function packState(value: unknown, prefix: string, tensors: Record<string, Tensor>): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') {
    const plain = Number.isFinite(value) && !Object.is(value, -0);
    return plain ? value : { [NUMBER]: Object.is(value, -0) ? '-0' : String(value) };
  }
  if (value instanceof Tensor) {
    tensors[prefix] = value;
    return { [TENSOR]: prefix };
  }
  if (Array.isArray(value)) return value.map((item, i) => packState(item ?? null, `${prefix}.${i}`, tensors));
  if (ArrayBuffer.isView(value) && Symbol.iterator in value) {
    const values = [...(value as unknown as Iterable<number>)].map((item) => packState(item, prefix, tensors));
    return { [ARRAY]: value.constructor.name, values };
  }
  const entries =
    value instanceof Map
      ? [...(value as Map<unknown, unknown>)].map(([key, item]) => [String(key), item] as const)
      : typeof value === 'object' && isPlain(value)
        ? Object.entries(value)
        : undefined;
  if (entries === undefined) {
    throw new ValueError(`saveCheckpoint: expected ${prefix} to be JSON and tensors, got ${show(value)}`);
  }
  const packed: Record<string, Json> = {};
  for (const [key, item] of entries) {
    if (item !== undefined) set(packed, key, packState(item, `${prefix}.${key}`, tensors));
  }
  return packed;
}

/** The inverse of {@link packState}; maps come back as objects. */
export function unpackState(json: Json, tensors: ReadonlyMap<string, Tensor>, path: string): unknown {
  if (json === null || typeof json !== 'object') return json;
  if (Array.isArray(json)) return (json as readonly Json[]).map((item) => unpackState(item, tensors, path));
  const object = json as { readonly [key: string]: Json };
  const name = object[TENSOR];
  if (typeof name === 'string') {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new FileFormatError(`loadCheckpoint: ${path} lacks its tensor ${show(name)}`, path);
    return tensor;
  }
  const number = object[NUMBER];
  if (typeof number === 'string') return Number(number);
  const array = object[ARRAY];
  if (typeof array === 'string' && Array.isArray(object.values)) {
    const Class = typedArrays[array];
    if (Class === undefined) throw new FileFormatError(`loadCheckpoint: ${path} holds an unknown ${show(array)}`, path);
    return Class.from((object.values as readonly Json[]).map((item) => Number(unpackState(item, tensors, path))));
  }
  const result: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(object)) set(result, key, unpackState(item, tensors, path));
  return result;
}

const typedArrays: Partial<Record<string, { from(values: readonly number[]): unknown }>> = {
  Float32Array,
  Float64Array,
  Int32Array,
  Uint32Array,
  Uint8Array,
};

/** Assignment that takes `__proto__` for a plain key. */
function set(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
