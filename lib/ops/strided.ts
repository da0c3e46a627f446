// Views that show elements of their input with other strides, and their gradients.
import { ShapeError, ValueError } from '../errors.js';
import { checkInteger, checkRank, show } from '../check.js';
import { code as opcodeOf, emit, emitUnary } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { formatShape, normalizeDim, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, result } from './apply.js';

const COPY = opcodeOf('copy');
const FILL = opcodeOf('fill');
const ADD = opcodeOf('add');

/** Where the elements of a view lie in its input. */
export interface Place {
  readonly name: string;
  /** The input's shape. */
  readonly shape: Shape;
  /** The same view of any tensor of that shape; not recorded. */
  readonly of: (x: Tensor) => Tensor;
  /** The view cut into views without repeated elements, when some elements appear in it more than once. */
  readonly pieces?: (view: Tensor) => Tensor[];
}

const viewRule: Rule = { name: 'view', backward: (dy, node) => [placed(dy, node.extra as Place)] };
const placeRule: Rule = { name: 'view backward', backward: (g, node) => [viewed(g, node.extra as Place)] };

/** The view of x at `place`, recorded. */
export function viewed(x: Tensor, place: Place): Tensor {
  return record(viewRule, place.of(x), [x], [], place);
}

/** Zeros of the place's shape with dy added where the view shows them. */
export function placed(dy: Tensor, place: Place): Tensor {
  const out = result(place.shape, dy.code);
  emit(FILL, [], [out], [0], passNs(out.numel));
  if (dy.numel > 0) {
    const target = place.of(out);
    if (place.pieces === undefined) emitUnary(COPY, dy, target, passNs(dy.numel));
    else {
      const parts = place.pieces(dy);
      place.pieces(target).forEach((t, i) => emit(ADD, [t, parts[i]!], [t], [], passNs(t.numel)));
    }
  }
  return record(placeRule, out, [dy], [], place);
}

function sliced(x: Tensor, dim: number, start: number, count: number, step: number, drop: boolean): Tensor {
  const { strides } = x;
  const keep = (_: unknown, i: number): boolean => !drop || i !== dim;
  return x.asView(
    x.shape.map((size, i) => (i === dim ? count : size)).filter(keep),
    strides.map((s, i) => (i === dim ? s * step : s)).filter(keep),
    // An empty slice past the end must not point past the end.
    count === 0 ? x.offset : x.offset + start * strides[dim]!,
  );
}

/** `count` elements of dimension `dim`, `step` apart; the dimension itself goes when `drop`. No checks. */
export const slicedView = (x: Tensor, dim: number, start: number, count: number, step: number, drop: boolean): Tensor =>
  viewed(x, { name: 'slice', shape: x.shape, of: (t: Tensor) => sliced(t, dim, start, count, step, drop) });

/** Elements start, start + step, … below `end` of one dimension; negative bounds count from the end, and both are cut to it. A view. */
export function slice(x: Tensor, dim: number, start = 0, end?: number, step = 1): Tensor {
  const fn = 'slice';
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected at least 1 dimension, got a scalar`);
  const size = x.shape[d]!;
  checkInteger(fn, 'start', start);
  checkInteger(fn, 'step', step, { min: 1 });
  if (end !== undefined) checkInteger(fn, 'end', end);
  const cut = (i: number): number => Math.min(Math.max(i < 0 ? i + size : i, 0), size);
  const from = cut(start);
  const to = cut(end ?? size);
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (count === size && step === 1) return x;
  return slicedView(x, d, from, count, step, false);
}

/** `length` elements of one dimension from `start` on (negative: from the end); a view. */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  const fn = 'narrow';
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected at least 1 dimension, got a scalar`);
  const size = x.shape[d]!;
  checkInteger(fn, 'start', start, { min: -size, max: size });
  const from = start < 0 ? start + size : start;
  checkInteger(fn, 'length', length, { min: 0, max: size - from });
  return length === size ? x : slicedView(x, d, from, length, 1, false);
}

/** The i-th part along one dimension, which goes away; negative counts from the end. A view. */
export function select(x: Tensor, dim: number, index: number): Tensor {
  const fn = 'select';
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected at least 1 dimension, got a scalar`);
  const size = x.shape[d]!;
  checkInteger(fn, 'index', index, { min: -size, max: size - 1 });
  return slicedView(x, d, index < 0 ? index + size : index, 1, 1, true);
}

function axisOf(fn: string, x: Tensor, dim: number): number {
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected at least 1 dimension, got a scalar`);
  return d;
}

function piecesOf(x: Tensor, dim: number, sizes: readonly number[]): Tensor[] {
  let start = 0;
  return sizes.map((size) => {
    const piece = size === x.shape[dim] ? x : slicedView(x, dim, start, size, 1, false);
    start += size;
    return piece;
  });
}

const evenSizes = (total: number, size: number): number[] =>
  Array.from({ length: Math.max(1, Math.ceil(total / size)) }, (_, i) => Math.min(size, total - i * size));

/** Views of `dim` cut into parts of `sizes`, or of one size (the last may be shorter). */
export function split(x: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  const fn = 'split';
  const d = axisOf(fn, x, dim);
  const total = x.shape[d]!;
  if (typeof sizes === 'number') {
    checkInteger(fn, 'the size', sizes, { min: total === 0 ? 0 : 1 });
    return piecesOf(x, d, sizes === 0 ? [0] : evenSizes(total, sizes));
  }
  if (!Array.isArray(sizes)) throw new ValueError(`${fn}: expected a size or an array of sizes, got ${show(sizes)}`);
  const list = sizes as readonly number[];
  list.forEach((size, i) => checkInteger(fn, `sizes[${i}]`, size, { min: 0 }));
  if (list.reduce((a, b) => a + b, 0) !== total) {
    throw new ShapeError(`${fn}: expected sizes that add up to ${total}, got ${show(sizes)}`);
  }
  return piecesOf(x, d, list);
}

/** At most `chunks` views of `dim`, all of one size but the last, which may be shorter. */
export function chunk(x: Tensor, chunks: number, dim = 0): Tensor[] {
  const fn = 'chunk';
  const d = axisOf(fn, x, dim);
  checkInteger(fn, 'chunks', chunks, { min: 1 });
  const total = x.shape[d]!;
  return piecesOf(x, d, total === 0 ? new Array<number>(chunks).fill(0) : evenSizes(total, Math.ceil(total / chunks)));
}

/** Views of `dim` in `sections` parts, the first ones larger by one where it does not come out even; or cut before each of an array of places. */
export function tensorSplit(x: Tensor, sections: number | readonly number[], dim = 0): Tensor[] {
  const fn = 'tensorSplit';
  const d = axisOf(fn, x, dim);
  const total = x.shape[d]!;
  if (typeof sections === 'number') {
    checkInteger(fn, 'sections', sections, { min: 1 });
    const [least, more] = [Math.floor(total / sections), total % sections];
    return piecesOf(
      x,
      d,
      Array.from({ length: sections }, (_, i) => least + (i < more ? 1 : 0)),
    );
  }
  if (!Array.isArray(sections)) throw new ValueError(`${fn}: expected a number or an array, got ${show(sections)}`);
  const bounds = [0, ...(sections as readonly number[]).map((at, i) => checkInteger(fn, `indices[${i}]`, at)), total];
  return bounds.slice(1).map((end, i) => slice(x, d, bounds[i], end));
}

/** Views of the parts along `dim`, which goes away. */
export function unbind(x: Tensor, dim = 0): Tensor[] {
  const d = axisOf('unbind', x, dim);
  return Array.from({ length: x.shape[d]! }, (_, i) => slicedView(x, d, i, 1, 1, true));
}

function diagonalPlace(fn: string, shape: Shape, offset: number, dim1: number, dim2: number): Place {
  const n = shape.length;
  checkInteger(fn, 'offset', offset);
  if (n < 2) throw new ShapeError(`${fn}: expected at least 2 dimensions, got shape ${formatShape(shape)}`);
  const a = normalizeDim(fn, dim1, n);
  const b = normalizeDim(fn, dim2, n);
  if (a === b) throw new ShapeError(`${fn}: expected distinct dims, got ${dim1} and ${dim2}`);
  const length = Math.max(0, Math.min(shape[a]! + Math.min(offset, 0), shape[b]! - Math.max(offset, 0)));
  const rest = shape.map((_, i) => i).filter((i) => i !== a && i !== b);
  return {
    name: fn,
    shape,
    of: (x) => {
      const { strides } = x;
      const start = offset >= 0 ? offset * strides[b]! : -offset * strides[a]!;
      return x.asView(
        [...rest.map((i) => shape[i]!), length],
        [...rest.map((i) => strides[i]!), strides[a]! + strides[b]!],
        length === 0 ? x.offset : x.offset + start,
      );
    },
  };
}

/** The diagonal of the matrices in dimensions dim1 and dim2, `offset` above (negative: below) the main one, as the last dimension; a view. */
export function diagonal(x: Tensor, offset = 0, dim1 = 0, dim2 = 1): Tensor {
  checkTensor('diagonal', 'input', x);
  return viewed(x, diagonalPlace('diagonal', x.shape, offset, dim1, dim2));
}

/** Matrices in dimensions dim1 and dim2 with the last dimension of x on a diagonal and 0 elsewhere. */
export function diagEmbed(x: Tensor, offset = 0, dim1 = -2, dim2 = -1): Tensor {
  const fn = 'diagEmbed';
  checkTensor(fn, 'input', x);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected at least 1 dimension, got a scalar`);
  checkInteger(fn, 'offset', offset);
  const n = x.ndim + 1;
  checkRank(fn, n);
  const a = normalizeDim(fn, dim1, n);
  const b = normalizeDim(fn, dim2, n);
  const size = x.shape[x.ndim - 1]! + Math.abs(offset);
  const rest = x.shape.slice(0, -1);
  const shape = Array.from({ length: n }, (_, i) => (i === a || i === b ? size : rest.shift()!));
  return placed(x, diagonalPlace(fn, shape, offset, dim1, dim2));
}

/** Of a vector, the matrix with it on a diagonal; of a matrix, that diagonal (a view). */
export function diag(x: Tensor, offset = 0): Tensor {
  checkTensor('diag', 'input', x);
  if (x.ndim === 1) return diagEmbed(x, offset);
  if (x.ndim === 2) return diagonal(x, offset);
  throw new ShapeError(`diag: expected 1 or 2 dimensions, got shape ${formatShape(x.shape)}`);
}

/** All windows of `size` elements along `dim`, `step` apart, the window as the last dimension; a view. PyTorch's Tensor.unfold. */
export function unfoldDim(x: Tensor, dim: number, size: number, step: number): Tensor {
  const fn = 'unfold';
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  const total = x.shape[d] ?? 1;
  checkInteger(fn, 'size', size, { min: 0, max: total });
  checkInteger(fn, 'step', step, { min: 1 });
  checkRank(fn, x.ndim + 1);
  const count = Math.floor((total - size) / step) + 1;
  const place: Place = {
    name: fn,
    shape: x.shape,
    of: (t) => {
      if (t.ndim === 0) return t.asView([size], [1]);
      const by = t.strides[d]!;
      return t.asView(
        [...t.shape.map((s, i) => (i === d ? count : s)), size],
        [...t.strides.map((s, i) => (i === d ? s * step : s)), by],
      );
    },
  };
  if (step >= size) return viewed(x, place);
  // Windows that overlap share no element at one place of each.
  const last = Math.max(x.ndim, 1);
  const pieces = (view: Tensor): Tensor[] => Array.from({ length: size }, (_, i) => sliced(view, last, i, 1, 1, true));
  return viewed(x, { ...place, pieces });
}
