import {
  checkDType,
  FLOAT32,
  FLOAT64,
  BOOL,
  INT32,
  isFloat,
  typedArray,
  UINT8,
  type DType,
  type TypedArray,
} from '../dtype.js';
import { DTypeError, ShapeError, ValueError } from '../errors.js';
import { checkInteger, checkNumber, checkShape, show } from '../check.js';
import { code as opcodeOf, emit, emitBroadcast, upload } from '../native/stream.js';
import { free } from '../native/storage.js';
import type { Rule } from '../autograd/graph.js';
import { broadcastShapes, formatShape, numelOf, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, result } from './apply.js';
import { castCode } from './cast.js';
import { checkOperand, commonCode, type Operand } from './binary.js';
import { sumTo } from './reduce.js';

/** What a tensor is made with. */
export interface TensorOptions {
  /** Element type. */
  dtype?: DType;
  /** Whether backward computes a gradient for it; float32 and float64 only. Default false. */
  requiresGrad?: boolean;
}

/** Numbers or booleans in nested arrays; every level has equal lengths. */
export type NestedArray = number | boolean | readonly NestedArray[];

function finish(fn: string, t: Tensor, options: TensorOptions): Tensor {
  if (options.requiresGrad !== undefined && options.requiresGrad) {
    if (!isFloat(t.code)) throw new DTypeError(`${fn}: expected float32 or float64 with requiresGrad, got ${t.dtype}`);
    t.requiresGrad = options.requiresGrad;
  }
  return t;
}

const optionCode = (fn: string, options: TensorOptions, fallback: number): number =>
  options.dtype === undefined ? fallback : checkDType(fn, options.dtype);

function fromBytes(shape: Shape, code: number, data: ArrayBufferView): Tensor {
  const t = result(shape, code);
  try {
    upload(t.storage.id, data);
  } catch (error) {
    free(t.storage);
    throw error;
  }
  return t;
}

const arrayCode = (data: unknown): number | undefined => {
  if (data instanceof Float32Array) return FLOAT32;
  if (data instanceof Float64Array) return FLOAT64;
  if (data instanceof Int32Array) return INT32;
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) return UINT8;
  return undefined;
};

/** Whether a buffer's memory was transferred away. No view can be made of one (`ArrayBuffer.detached` needs Node 21). */
function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    return new Uint8Array(buffer).buffer !== buffer;
  } catch {
    return true;
  }
}

/**
 * A tensor with a copy of the elements of a typed array. The dtype is the array's unless given; `bool` is made from a
 * `Uint8Array` (not 0 is true).
 * @throws ShapeError when the number of elements differs; ValueError for a detached array
 */
export function fromTypedArray(data: TypedArray, shape: Shape, options: TensorOptions = {}): Tensor {
  const fn = 'fromTypedArray';
  const code = arrayCode(data);
  if (code === undefined) {
    throw new ValueError(`${fn}: expected a Float32Array, Float64Array, Int32Array or Uint8Array, got ${show(data)}`);
  }
  const numel = numelOf(checkShape(fn, shape));
  if (data.length === 0 && isDetached(data.buffer)) {
    throw new ValueError(`${fn}: expected an array with its memory, got one whose buffer was detached (transferred)`);
  }
  if (data.length !== numel) {
    throw new ShapeError(`${fn}: expected ${numel} elements for shape ${formatShape(shape)}, got ${data.length}`);
  }
  const target = optionCode(fn, options, code);
  const t = fromBytes([...shape], code, data);
  return finish(fn, target === code ? t : castCode(t, target), options);
}

/**
 * A tensor from a number, a boolean, nested arrays of them (row-major) or a typed array (one dimension). Numbers make float32
 * unless `dtype` says otherwise; booleans make bool.
 */
export function tensor(data: NestedArray | TypedArray, options: TensorOptions = {}): Tensor {
  const fn = 'tensor';
  if (ArrayBuffer.isView(data)) return fromTypedArray(data, [data.length], options);
  const shape: number[] = [];
  for (let level: unknown = data; Array.isArray(level); level = level[0]) {
    shape.push(level.length);
    if (shape.length > 8) throw new ShapeError(`${fn}: expected at most 8 dimensions`);
  }
  const numel = numelOf(shape);
  const values = new Float64Array(numel);
  let kind: string | null = null;
  let n = 0;
  const walk = (value: unknown, depth: number): void => {
    if (depth < shape.length) {
      if (!Array.isArray(value) || value.length !== shape[depth]) {
        throw new ShapeError(`${fn}: expected nested arrays of equal lengths, got ${show(value)} at depth ${depth}`);
      }
      for (const element of value) walk(element, depth + 1);
      return;
    }
    if ((typeof value !== 'number' && typeof value !== 'boolean') || (kind !== null && typeof value !== kind)) {
      throw new ValueError(`${fn}: expected numbers, or booleans, but not both, got ${show(value)}`);
    }
    kind = typeof value;
    values[n++] = Number(value);
  };
  walk(data, 0);
  const code = optionCode(fn, options, kind === 'boolean' ? BOOL : FLOAT32);
  if (code === INT32 || code === UINT8) {
    const [low, high] = code === INT32 ? [-(2 ** 31), 2 ** 31 - 1] : [0, 255];
    for (const v of values) {
      if (!(v >= low && v <= high))
        throw new ValueError(`${fn}: expected numbers that fit ${options.dtype!}, got ${show(v)}`);
    }
  }
  const array = typedArray(code, numel);
  if (code === BOOL) for (let i = 0; i < numel; i++) array[i] = values[i] !== 0 ? 1 : 0;
  else array.set(values);
  return finish(fn, fromBytes(shape, code, array), options);
}

const FILL = opcodeOf('fill');
const ARANGE = opcodeOf('arange');
const WHERE = opcodeOf('where');

function filled(fn: string, shape: Shape, value: number, options: TensorOptions): Tensor {
  checkShape(fn, shape);
  const t = result([...shape], optionCode(fn, options, FLOAT32));
  emit(FILL, [], [t], [value], passNs(t.numel));
  return finish(fn, t, options);
}

/** All zeros. float32 unless given. */
export const zeros = (shape: Shape, options: TensorOptions = {}): Tensor => filled('zeros', shape, 0, options);

/** All ones. float32 unless given. */
export const ones = (shape: Shape, options: TensorOptions = {}): Tensor => filled('ones', shape, 1, options);

/** All `value`. float32 unless given. */
export const full = (shape: Shape, value: number, options: TensorOptions = {}): Tensor =>
  filled('full', shape, checkNumberOrNaN('full', value), options);

/** Memory for later use; its contents are zeros. float32 unless given. */
export const empty = (shape: Shape, options: TensorOptions = {}): Tensor => filled('empty', shape, 0, options);

function checkNumberOrNaN(fn: string, value: unknown): number {
  if (typeof value !== 'number') throw new ValueError(`${fn}: expected value to be a number, got ${show(value)}`);
  return value;
}

function like(x: Tensor, value: number): Tensor {
  const t = result(x.shape, x.code, x.numel);
  emit(FILL, [], [t], [value], passNs(t.numel));
  return t;
}

/** A tensor of no dimensions. @internal */
export function fullScalar(value: number, code: number): Tensor {
  const t = result([], code, 1);
  emit(FILL, [], [t], [value], passNs(1));
  return t;
}

/** Zeros of x's shape and dtype. */
export const zerosLike = (x: Tensor): Tensor => like(checkTensor('zerosLike', 'input', x), 0);

/** Ones of x's shape and dtype. */
export const onesLike = (x: Tensor): Tensor => like(checkTensor('onesLike', 'input', x), 1);

/** start, start + step, … below `end`. One argument is `end`. int32 when all are integers, else float32, unless given. */
export function arange(start: number, end?: number, step = 1, options: TensorOptions = {}): Tensor {
  const fn = 'arange';
  const [from, to] = end === undefined ? [0, start] : [start, end];
  for (const [name, v] of [
    ['start', from],
    ['end', to],
    ['step', step],
  ] as const)
    checkNumber(fn, name, v);
  if (step === 0) throw new ValueError(`${fn}: expected step other than 0`);
  const count = Math.max(0, Math.ceil((to - from) / step));
  const integers = Number.isInteger(from) && Number.isInteger(to) && Number.isInteger(step);
  const t = result(checkShape(fn, [count]), optionCode(fn, options, integers ? INT32 : FLOAT32));
  emit(ARANGE, [], [t], [from, step], passNs(count));
  return finish(fn, t, options);
}

/** `steps` values from start to end, both included. float32 unless given. */
export function linspace(start: number, end: number, steps: number, options: TensorOptions = {}): Tensor {
  const fn = 'linspace';
  checkNumber(fn, 'start', start);
  checkNumber(fn, 'end', end);
  checkInteger(fn, 'steps', steps, { min: 0 });
  const code = optionCode(fn, options, FLOAT32);
  const values = Float64Array.from({ length: steps }, (_, i) =>
    steps === 1
      ? start
      : i < steps / 2
        ? start + ((end - start) / (steps - 1)) * i
        : end - ((end - start) / (steps - 1)) * (steps - 1 - i),
  );
  return finish(fn, castCode(fromBytes([steps], FLOAT64, values), code), options);
}

/** The n×m identity (m = n unless given). float32 unless given. */
export function eye(n: number, m: number = n, options: TensorOptions = {}): Tensor {
  const fn = 'eye';
  checkInteger(fn, 'n', n, { min: 0 });
  checkInteger(fn, 'm', m, { min: 0 });
  const t = result(checkShape(fn, [n, m]), optionCode(fn, options, FLOAT32));
  emit(FILL, [], [t], [0], passNs(t.numel));
  const diagonal = Math.min(n, m);
  if (diagonal > 0) emit(FILL, [], [t.asView([diagonal], [m + 1], 0)], [1], passNs(diagonal));
  return finish(fn, t, options);
}

const whereRule: Rule = {
  name: 'where',
  backward: (dy, node) => {
    const condition = node.saved(0);
    const [aShape, bShape] = node.extra as [Shape, Shape];
    return [
      null,
      node.needs(1) ? sumTo(where(condition, dy, 0), aShape) : null,
      node.needs(2) ? sumTo(where(condition, 0, dy), bShape) : null,
    ];
  },
};

/** a where `condition` (bool) is true, else b; all three broadcast. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const fn = 'where';
  checkTensor(fn, 'condition', condition);
  if (condition.code !== BOOL) throw new DTypeError(`${fn}: expected condition of dtype bool, got ${condition.dtype}`);
  let x = checkOperand(fn, 'the first operand', a);
  let y = checkOperand(fn, 'the second operand', b);
  const code = typeof x === 'number' && typeof y === 'number' ? FLOAT32 : commonCode(fn, x, y);
  if (typeof x !== 'number') x = castCode(x, code);
  if (typeof y !== 'number') y = castCode(y, code);
  let shape = condition.shape;
  if (typeof x !== 'number') shape = broadcastShapes(fn, shape, x.shape);
  if (typeof y !== 'number') shape = broadcastShapes(fn, shape, y.shape);
  const out = result(shape, code);
  emitBroadcast(WHERE, [condition, x, y], out, passNs(out.numel), code);
  return record(
    whereRule,
    out,
    [null, x, y],
    [condition],
    [typeof x === 'number' ? [] : x.shape, typeof y === 'number' ? [] : y.shape],
  );
}
