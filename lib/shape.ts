import { checkInteger, oneOrMore, show } from './check.js';
import { IndexOutOfRangeError, ShapeError } from './errors.js';

/** Sizes of a tensor's dimensions, outermost first. */
export type Shape = readonly number[];

/** Number of elements of a shape; 1 for a scalar. */
export function numelOf(shape: Shape): number {
  let n = 1;
  for (let i = 0; i < shape.length; i++) n *= shape[i]!;
  return n;
}

/** Row-major strides in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

/** Whether the strides are row-major without gaps; dimensions of size 1 do not matter. */
export function isContiguous(shape: Shape, strides: Shape): boolean {
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const size = shape[i]!;
    if (size === 0) return true;
    if (size !== 1) {
      if (strides[i] !== step) return false;
      step *= size;
    }
  }
  return true;
}

/** Whether two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** `[2, 3]`, as shapes are written in messages. */
export const formatShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/** The shape that two shapes broadcast to (NumPy's rule); throws {@link ShapeError} when there is none. */
export function broadcastShapes(fn: string, a: Shape, b: Shape): Shape {
  if (sameShape(a, b)) return a;
  const n = Math.max(a.length, b.length);
  const out = new Array<number>(n);
  for (let i = 1; i <= n; i++) {
    const x = i <= a.length ? a[a.length - i]! : 1;
    const y = i <= b.length ? b[b.length - i]! : 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw new ShapeError(`${fn}: expected shapes that broadcast, got ${formatShape(a)} and ${formatShape(b)}`);
    }
    out[n - i] = x === 1 ? y : x;
  }
  return out;
}

/** A dimension from -ndim to ndim - 1 as 0 to ndim - 1. A scalar accepts 0 and -1. */
export function normalizeDim(fn: string, dim: unknown, ndim: number): number {
  checkInteger(fn, 'dim', dim);
  const limit = Math.max(ndim, 1);
  const d = dim as number;
  if (d < -limit || d >= limit) {
    throw new IndexOutOfRangeError(`${fn}: expected dim in [${-limit}, ${limit - 1}], got ${d}`);
  }
  return d < 0 ? d + limit : d;
}

/** One dimension, several or (undefined) all of them, as sorted distinct numbers. */
export function normalizeDims(fn: string, dims: number | readonly number[] | undefined, ndim: number): number[] {
  if (dims === undefined) return Array.from({ length: ndim }, (_, i) => i);
  const list = oneOrMore(fn, 'dim', dims).map((d) => normalizeDim(fn, d, ndim));
  list.sort((a, b) => a - b);
  for (let i = 1; i < list.length; i++) {
    if (list[i] === list[i - 1]) throw new ShapeError(`${fn}: expected distinct dims, got ${show(dims)}`);
  }
  return ndim === 0 ? [] : list;
}

/** The strides that show the same elements under another shape without a copy, or null when there are none. */
export function viewStrides(shape: Shape, strides: Shape, target: Shape): number[] | null {
  // Walk groups of old dimensions that are contiguous with one another and split each over new dimensions.
  const out = new Array<number>(target.length).fill(1);
  let t = target.length - 1;
  let i = shape.length - 1;
  while (i >= 0) {
    const base = strides[i]!;
    let size = shape[i]!;
    while (i > 0 && (shape[i - 1] === 1 || strides[i - 1] === size * base || size === 1)) {
      if (size === 1 && shape[i - 1] !== 1) break;
      i--;
      size *= shape[i]!;
    }
    let filled = 1;
    while (t >= 0 && (filled < size || target[t] === 1)) {
      out[t] = filled * base;
      filled *= target[t]!;
      t--;
    }
    if (filled !== size) return null;
    i--;
  }
  while (t >= 0) {
    if (target[t] !== 1) return null;
    t--;
  }
  return out;
}
