import { DTypeError } from './errors.js';
import { show } from './check.js';

/** Element types, in the order of their codes in the native core. */
export const dtypes = ['float32', 'float64', 'int32', 'uint8', 'bool'] as const;

/** Element type of a tensor. */
export type DType = (typeof dtypes)[number];

/** The typed arrays that tensors are made from and read into; `bool` travels as `Uint8Array` of 0 and 1. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** Code of each dtype in the native core. */
export const dtypeCode: Readonly<Record<DType, number>> = { float32: 0, float64: 1, int32: 2, uint8: 3, bool: 4 };

/** Bytes per element, by code. */
export const itemSizes: readonly number[] = [4, 8, 4, 1, 1];

export const FLOAT32 = 0;
export const FLOAT64 = 1;
export const INT32 = 2;
export const UINT8 = 3;
export const BOOL = 4;

/** Whether values of the dtype with this code are floating point (and so differentiable). */
export const isFloat = (code: number): boolean => code <= FLOAT64;

/** Checks a dtype name and returns its code. */
export function checkDType(fn: string, dtype: unknown): number {
  const code = typeof dtype === 'string' ? (dtypeCode as Record<string, number>)[dtype] : undefined;
  if (code === undefined || !Object.hasOwn(dtypeCode, dtype as string)) {
    throw new DTypeError(`${fn}: expected dtype to be one of ${dtypes.join(', ')}, got ${show(dtype)}`);
  }
  return code;
}

/** A fresh typed array over `buffer` (or of `length` elements) for a dtype code. */
export function typedArray(code: number, source: ArrayBuffer | number): TypedArray {
  switch (code) {
    case FLOAT32:
      return new Float32Array(source as ArrayBuffer);
    case FLOAT64:
      return new Float64Array(source as ArrayBuffer);
    case INT32:
      return new Int32Array(source as ArrayBuffer);
    default:
      return new Uint8Array(source as ArrayBuffer);
  }
}

/** bool < uint8 < int32 < float32 < float64, as in PyTorch (int32 and uint8 give int32). */
const rank = [3, 4, 2, 1, 0];
const byRank = [BOOL, UINT8, INT32, FLOAT32, FLOAT64];

/** The dtype that two operands meet in. */
export const promote = (a: number, b: number): number => (a === b ? a : byRank[Math.max(rank[a]!, rank[b]!)]!);

/** 0 bool, 1 integer, 2 floating point: an operand of a higher category decides, whatever its rank. */
export const category = (code: number): number => (code <= FLOAT64 ? 2 : code === BOOL ? 0 : 1);
