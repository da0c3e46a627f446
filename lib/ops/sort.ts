// Order along a dimension.
import { BOOL, INT32, isFloat, promote, UINT8 } from '../dtype.js';
import { DTypeError, ShapeError, ValueError } from '../errors.js';
import { checkBoolean, checkInteger } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { formatShape, normalizeDim } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, recording, result } from './apply.js';
import { ne, sub } from './binary.js';
import { castCode } from './cast.js';
import { fromTypedArray, onesLike, where, zeros } from './create.js';
import { checkIndex, placesOf, scatterAlong, scatterAdd, type Along } from './gather.js';
import { indexSelect } from './indexing.js';
import { cat } from './join.js';
import { cumsum, type ValuesAndIndices } from './scan.js';
import { slicedView } from './strided.js';
import { amax, amin } from './reduce.js';
import { viewAs } from './views.js';

const SORT = opcodeOf('sort');
const SEARCHSORTED = opcodeOf('searchsorted');

/** Options of {@link sort} and {@link argsort}. */
export interface SortOptions {
  /** Along which dimension; the last when left out. */
  dim?: number;
  /** Largest first; default false. */
  descending?: boolean;
  /** Equals keep their order; they do so always. */
  stable?: boolean;
}

/** Options of {@link topk}. */
export interface TopkOptions {
  /** Along which dimension; the last when left out. */
  dim?: number;
  /** The smallest instead when false; default true. */
  largest?: boolean;
  /** Results come in order, whether asked for or not. */
  sorted?: boolean;
}

const sortRule: Rule = {
  name: 'sort',
  backward: (dy, node) => [scatterAlong(dy, node.saved(0), node.extra as Along)],
};

/** The first `count` of the order along a dimension. */
function ordered(x: Tensor, dim: number, descending: boolean, count: number): ValuesAndIndices {
  const shape = x.shape.map((size, i) => (i === dim ? count : size));
  const values = result(shape, x.code);
  const indices = result(shape, INT32);
  emit(SORT, [x], [values, indices], [dim, descending ? 1 : 0], passNs(60 * x.numel));
  record(sortRule, values, [x], recording([x]) ? [indices] : [], { dim, shape: x.shape } satisfies Along);
  return { values, indices };
}

function sortedAlong(fn: string, x: Tensor, options: SortOptions): ValuesAndIndices {
  const { dim = -1, descending = false, stable = true } = options;
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  checkBoolean(fn, 'descending', descending);
  checkBoolean(fn, 'stable', stable);
  return ordered(x, d, descending, x.shape[d] ?? 1);
}

/** x in ascending order along a dimension and where each element stood; equals keep their order, NaN comes after all numbers. */
export const sort = (x: Tensor, options: SortOptions = {}): ValuesAndIndices => sortedAlong('sort', x, options);

/** The int32 indices that {@link sort} gives. */
export const argsort = (x: Tensor, options: SortOptions = {}): Tensor =>
  sortedAlong('argsort', checkTensor('argsort', 'input', x).detach(), options).indices;

/** The k largest elements, largest first, and where they stood. NaN counts as largest. */
export function topk(x: Tensor, k: number, options: TopkOptions = {}): ValuesAndIndices {
  const fn = 'topk';
  const { dim = -1, largest = true, sorted = true } = options;
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  checkInteger(fn, 'k', k, { min: 0, max: x.shape[d] ?? 1 });
  checkBoolean(fn, 'largest', largest);
  checkBoolean(fn, 'sorted', sorted);
  if (x.ndim > 0 || k === 1) return ordered(x, d, largest, k);
  throw new ShapeError(`${fn}: expected k to be 1 for a scalar, got ${k}`);
}

function pick(x: Tensor, rank: number, dim: number, keepdim: boolean): ValuesAndIndices {
  const { values, indices } = ordered(x, dim, false, x.ndim === 0 ? 1 : rank + 1);
  if (x.ndim === 0) return { values, indices };
  const at = (t: Tensor): Tensor => slicedView(t, dim, rank, 1, 1, !keepdim);
  return { values: at(values), indices: at(indices) };
}

/** The k-th smallest element (from 1) along `dim` and where it stood. NaN comes after all numbers. */
export function kthvalue(x: Tensor, k: number, dim = -1, keepdim = false): ValuesAndIndices {
  const fn = 'kthvalue';
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  checkBoolean(fn, 'keepdim', keepdim);
  checkInteger(fn, 'k', k, { min: 1, max: x.shape[d] ?? 1 });
  return pick(x, k - 1, d, keepdim);
}

/** The middle of all elements, the lower of two; with a dimension, the middle along it and where it stood. NaN if there is one. */
export function median(x: Tensor): Tensor;
export function median(x: Tensor, dim: number, keepdim?: boolean): ValuesAndIndices;
export function median(x: Tensor, dim?: number, keepdim = false): Tensor | ValuesAndIndices {
  const fn = 'median';
  checkTensor(fn, 'input', x);
  if (dim === undefined) return median(viewAs(x, [x.numel]), 0).values;
  const d = normalizeDim(fn, dim, x.ndim);
  checkBoolean(fn, 'keepdim', keepdim);
  const n = x.shape[d] ?? 1;
  if (n === 0) throw new ShapeError(`${fn}: expected at least one element, got shape ${formatShape(x.shape)}`);
  const middle = Math.floor((n - 1) / 2);
  if (!isFloat(x.code) || x.ndim === 0) return pick(x, middle, d, keepdim);
  const { values, indices } = ordered(x, d, false, n);
  const at = (t: Tensor, i: number): Tensor => slicedView(t, d, i, 1, 1, !keepdim);
  const last = at(values, n - 1);
  const bad = ne(last, last);
  return {
    values: where(bad, last, at(values, middle)),
    indices: where(bad, at(indices, n - 1), at(indices, middle)),
  };
}

/** Options of {@link searchsorted} and {@link bucketize}. */
export interface SearchOptions {
  /** Give the last place instead of the first where equals stand; default false. */
  right?: boolean;
}

function searched(fn: string, sorted: Tensor, x: Tensor, { right = false }: SearchOptions): Tensor {
  checkTensor(fn, 'the sorted sequence', sorted);
  checkTensor(fn, 'input', x);
  checkBoolean(fn, 'right', right);
  const fits =
    sorted.ndim === 1 ||
    (sorted.ndim > 1 && sorted.ndim === x.ndim && sorted.shape.slice(0, -1).every((size, i) => size === x.shape[i]));
  if (!fits) {
    throw new ShapeError(
      `${fn}: expected a sorted sequence of shape [n] or of input's shape but for the last dimension, got ${formatShape(sorted.shape)} for input of shape ${formatShape(x.shape)}`,
    );
  }
  let code = promote(sorted.code, x.code);
  if (code === BOOL) code = UINT8;
  const [lines, wanted] = [castCode(sorted, code), castCode(x, code)];
  const out = result(x.shape, INT32, x.numel);
  const rows = wanted.ndim === 0 ? viewAs(wanted.detach(), [1]) : wanted;
  emit(
    SEARCHSORTED,
    [lines, rows],
    [rows === wanted ? out : out.asView([1], null)],
    [right ? 1 : 0],
    passNs(60 * x.numel),
  );
  return out;
}

/** The int32 place in `sorted` (ascending along its last dimension) before which each element of x would keep the order. */
export const searchsorted = (sorted: Tensor, x: Tensor, options: SearchOptions = {}): Tensor =>
  searched('searchsorted', sorted, x, options);

/** The int32 number of the bucket of each element of x between ascending `boundaries` (n). */
export function bucketize(x: Tensor, boundaries: Tensor, options: SearchOptions = {}): Tensor {
  if (checkTensor('bucketize', 'boundaries', boundaries).ndim !== 1) {
    throw new ShapeError(`bucketize: expected boundaries of shape [n], got ${formatShape(boundaries.shape)}`);
  }
  return searched('bucketize', boundaries, x, options);
}

/** Options of {@link bincount}. */
export interface BincountOptions {
  /** Summed instead of counted; float, of x's shape. */
  weights?: Tensor;
  /** Length of the result at least; default 0. */
  minlength?: number;
}

/** How often each number from 0 on occurs in x (n), int32; or the sum of their weights. Waits for x, since the shape depends on it. */
export function bincount(x: Tensor, { weights, minlength = 0 }: BincountOptions = {}): Tensor {
  const fn = 'bincount';
  const at = checkIndex(fn, x);
  if (at.ndim !== 1) throw new ShapeError(`${fn}: expected input of shape [n], got ${formatShape(at.shape)}`);
  checkInteger(fn, 'minlength', minlength, { min: 0 });
  const length = Math.max(minlength, at.numel === 0 ? 0 : amax(at).itemSync() + 1);
  const least = at.numel === 0 ? 0 : amin(at).itemSync();
  if (least < 0) throw new ValueError(`${fn}: expected no negative numbers, got ${least}`);
  if (weights !== undefined && !isFloat(checkTensor(fn, 'weights', weights).code)) {
    throw new DTypeError(`${fn}: expected weights of dtype float32 or float64, got ${weights.dtype}`);
  }
  if (weights !== undefined && weights.numel !== at.numel) {
    throw new ShapeError(
      `${fn}: expected weights of shape ${formatShape(at.shape)}, got ${formatShape(weights.shape)}`,
    );
  }
  const source = weights ?? onesLike(at);
  return scatterAdd(zeros([length], { dtype: source.dtype }), 0, at, source);
}

/** What {@link unique} gives. */
export interface Unique {
  /** The distinct values in ascending order. */
  values: Tensor;
  /** Of x's shape: where in `values` each element is; int32. */
  inverse: Tensor;
  /** How often each value occurs; int32. */
  counts: Tensor;
}

/** The distinct values of x. Waits for x, since the shape depends on it. Not differentiable. */
export function unique(x: Tensor): Unique {
  checkTensor('unique', 'input', x);
  const flat = viewAs(x.detach(), [x.numel]);
  const { values, indices } = sort(flat);
  const n = x.numel;
  if (n === 0) return { values, inverse: result(x.shape, INT32), counts: result([0], INT32) };
  const first = fromTypedArray(Uint8Array.of(1), [1], { dtype: 'bool' });
  const starts = cat([first, ne(slicedView(values, 0, 1, n - 1, 1, false), slicedView(values, 0, 0, n - 1, 1, false))]);
  const found = placesOf(starts);
  const places = viewAs(found, [found.numel]);
  const ends = cat([slicedView(places, 0, 1, places.numel - 1, 1, false), fromTypedArray(Int32Array.of(n), [1])]);
  const ranks = sub(cumsum(starts, 0), 1);
  const inverse = scatterAdd(zeros([n], { dtype: 'int32' }), 0, indices, ranks);
  return { values: indexSelect(values, 0, places), inverse: viewAs(inverse, x.shape), counts: sub(ends, places) };
}
