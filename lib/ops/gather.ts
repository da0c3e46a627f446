// Elements by index along a dimension, and where a mask is true.
import { BOOL, INT32, isFloat } from '../dtype.js';
import { DTypeError, ShapeError, ValueError } from '../errors.js';
import { show } from '../check.js';
import { code as opcodeOf, emit, emitUnary } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { broadcastShapes, formatShape, normalizeDim, numelOf, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, recording, result } from './apply.js';
import { castCode } from './cast.js';
import { countNonzero, sum } from './reduce.js';
import { where } from './create.js';
import { placed } from './strided.js';
import { expand, viewAs } from './views.js';

const GATHER = opcodeOf('gather');
const SCATTER = opcodeOf('scatter');
const INDEX_ADD = opcodeOf('index_add');
const NONZERO = opcodeOf('nonzero');
const COPY = opcodeOf('copy');
const FILL = opcodeOf('fill');

/** A dimension of a tensor of some shape. */
export interface Along {
  dim: number;
  shape: Shape;
}

/** Index values as int32. */
export function checkIndex(fn: string, index: Tensor): Tensor {
  checkTensor(fn, 'index', index);
  if (isFloat(index.code) || index.code === BOOL) {
    throw new DTypeError(`${fn}: expected index of dtype int32, got ${index.dtype}`);
  }
  return castCode(index, INT32);
}

const scalarAsVector = (x: Tensor): Tensor => (x.ndim === 0 ? viewAs(x, [1]) : x);

/** Index and input of one number of dimensions, no dimension of the index but `dim` larger than `shape`'s. */
function checkCovers(fn: string, name: string, shape: Shape, index: Shape, dim: number): void {
  if (shape.length === index.length && index.every((size, i) => i === dim || size <= shape[i]!)) return;
  const want = shape.map((size, i) => (i === dim ? 'any' : `at most ${size}`)).join(', ');
  throw new ShapeError(
    `${fn}: expected index of shape [${want}] for ${name} of shape ${formatShape(shape)}, got ${formatShape(index)}`,
  );
}

const gatherRule: Rule = {
  name: 'gather',
  backward: (dy, node) => [scatterAlong(dy, node.saved(0), node.extra as Along)],
};
const addRule: Rule = {
  name: 'gather backward',
  backward: (g, node) => [gatherAlong(g, node.saved(0), (node.extra as Along).dim)],
};

/** {@link gather} without checks. @internal */
export function gatherAlong(x: Tensor, index: Tensor, dim: number): Tensor {
  const out = result(index.shape, x.code, index.numel);
  emit(GATHER, [x, index], [out], [dim], passNs(4 * out.numel));
  return record(gatherRule, out, [x], recording([x]) ? [index] : [], { dim, shape: x.shape } satisfies Along);
}

/** Zeros with dy added at `index` along a dimension: the gradient of a gather. @internal */
export function scatterAlong(dy: Tensor, index: Tensor, along: Along): Tensor {
  const out = result(along.shape, dy.code);
  emit(FILL, [], [out], [0], passNs(out.numel));
  emit(SCATTER, [dy, index], [out], [along.dim, 1], passNs(4 * dy.numel));
  return record(addRule, out, [dy], recording([dy]) ? [index] : [], along);
}

/**
 * The elements of x at `index` (int32, as many dimensions as x) along `dim`: out[i][j] = x[index[i][j]][j] for dim 0.
 * @throws IndexOutOfRangeError from the read of the result when an index is outside the dimension
 */
export function gather(x: Tensor, dim: number, index: Tensor): Tensor {
  const fn = 'gather';
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  const at = checkIndex(fn, index);
  const [from, places] = [scalarAsVector(x), scalarAsVector(at)];
  checkCovers(fn, 'input', from.shape, places.shape, d);
  return viewAs(gatherAlong(from, places, d), at.shape);
}

/** Like {@link gather}, with x and index broadcast against one another except along `dim`; without dim, of the flattened x. */
export function takeAlongDim(x: Tensor, index: Tensor, dim?: number): Tensor {
  const fn = 'takeAlongDim';
  checkTensor(fn, 'input', x);
  const at = checkIndex(fn, index);
  if (dim === undefined) return gather(viewAs(x, [x.numel]), 0, viewAs(at, [at.numel]));
  const d = normalizeDim(fn, dim, x.ndim);
  if (x.ndim !== at.ndim) {
    throw new ShapeError(`${fn}: expected index of ${x.ndim} dimensions, got shape ${formatShape(at.shape)}`);
  }
  const one = (shape: Shape, size: number): Shape => shape.map((s, i) => (i === d ? size : s));
  const common = broadcastShapes(fn, one(x.shape, 1), one(at.shape, 1));
  return gather(expand(x, one(common, x.shape[d] ?? 1)), d, expand(at, one(common, at.shape[d] ?? 1)));
}

/** The elements of x at `index` (int32, any shape) in row-major order. */
export function take(x: Tensor, index: Tensor): Tensor {
  checkTensor('take', 'input', x);
  const at = checkIndex('take', index);
  return viewAs(gatherAlong(viewAs(x, [x.numel]), viewAs(at, [at.numel]), 0), at.shape);
}

/** Puts `rows` (n, …) into the rows of `target` at `index` (n), in place; of several for one row the last stays. @internal */
export function writeRows(target: Tensor, index: Tensor, rows: Tensor): void {
  const line = rows.shape.map((size, d) => (d === 0 ? size : 1));
  emit(SCATTER, [rows, expand(viewAs(index, line), rows.shape)], [target], [0, 0], passNs(4 * rows.numel));
  target.storage.version++;
}

/** Adds `rows` (n, …) to the rows of `target` at `index` (n), in place and in order. @internal */
export function addRows(target: Tensor, index: Tensor, rows: Tensor): void {
  emit(INDEX_ADD, [rows, index], [target], [], passNs(rows.numel));
  target.storage.version++;
}

interface Scatter extends Along {
  /** Of the source. */
  from: Shape;
}

/** The gradient of x, and that of the source: dy at the index, as large as the source was. */
const sourceGradient = (dy: Tensor, index: Tensor, { dim, from }: Scatter): Tensor => {
  const g = gatherAlong(dy, index, dim);
  if (from.length === 0 && g.ndim > 0) return sum(g);
  return sameShape(g.shape, from) ? g : padTo(g, from);
};

/** Zeros of `shape` with x in the first corner. */
function padTo(x: Tensor, shape: Shape): Tensor {
  return placed(x, {
    name: 'corner',
    shape,
    of: (t) => t.asView(x.shape, t.strides),
  });
}

const scatterRule: Rule = {
  name: 'scatter',
  backward: (dy, node) => {
    const extra = node.extra as Scatter;
    const index = node.saved(0);
    return [
      node.needs(0) ? scattered(scatterRule, dy, 0, index, { ...extra, from: [] }, false) : null,
      node.needs(1) ? sourceGradient(dy, index, extra) : null,
    ];
  },
};
const scatterAddRule: Rule = {
  name: 'scatterAdd',
  backward: (dy, node) => [dy, node.needs(1) ? sourceGradient(dy, node.saved(0), node.extra as Scatter) : null],
};

function scattered(rule: Rule, x: Tensor, src: Tensor | number, index: Tensor, extra: Scatter, add: boolean): Tensor {
  const out = result(x.shape, x.code, x.numel);
  emitUnary(COPY, x, out, passNs(x.numel));
  emit(SCATTER, [src, index], [out], [extra.dim, add ? 1 : 0], passNs(4 * index.numel), x.code);
  return record(rule, out, [x, src], recording([x, src]) ? [index] : [], extra);
}

function scatterInto(fn: string, x: Tensor, dim: number, index: Tensor, src: Tensor | number, add: boolean): Tensor {
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  if (add && !isFloat(x.code) && x.code !== INT32) {
    throw new DTypeError(`${fn}: expected input of dtype float32, float64 or int32, got ${x.dtype}`);
  }
  const [to, at] = [scalarAsVector(x), scalarAsVector(checkIndex(fn, index))];
  checkCovers(fn, 'input', to.shape, at.shape, d);
  const rule = add ? scatterAddRule : scatterRule;
  if (typeof src === 'number') {
    return viewAs(scattered(rule, to, src, at, { dim: d, shape: to.shape, from: [] }, add), x.shape);
  }
  checkTensor(fn, 'src', src);
  if (src.code !== x.code) {
    throw new DTypeError(`${fn}: expected input and src of one dtype, got ${x.dtype} and ${src.dtype}`);
  }
  const from = scalarAsVector(src);
  if (from.ndim !== at.ndim || at.shape.some((size, i) => size > from.shape[i]!)) {
    throw new ShapeError(
      `${fn}: expected src at least as large as index of shape ${formatShape(at.shape)}, got ${formatShape(src.shape)}`,
    );
  }
  return viewAs(scattered(rule, to, from, at, { dim: d, shape: to.shape, from: from.shape }, add), x.shape);
}

/**
 * A copy of x with src (a tensor or a number) written at `index` along `dim`: out[index[i][j]][j] = src[i][j] for dim 0. Of
 * several values for one place the last along dim stays; gradients are right only where there is one.
 */
export const scatter = (x: Tensor, dim: number, index: Tensor, src: Tensor | number): Tensor =>
  scatterInto('scatter', x, dim, index, src, false);

/** Like {@link scatter}, adding to what is there, in order along dim. */
export const scatterAdd = (x: Tensor, dim: number, index: Tensor, src: Tensor): Tensor =>
  scatterInto('scatterAdd', x, dim, index, src, true);

/** index (n) as the index of a scatter of `src` along dim. */
function spread(fn: string, x: Tensor, dim: number, index: Tensor, src: Tensor | number): [number, Tensor] {
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  const at = checkIndex(fn, index);
  if (at.ndim > 1) throw new ShapeError(`${fn}: expected index of shape [n], got ${formatShape(at.shape)}`);
  if (x.ndim === 0) return [d, viewAs(at, [at.numel])];
  const shape = x.shape.map((size, i) => (i === d ? at.numel : size));
  if (typeof src !== 'number' && !sameShape(checkTensor(fn, 'source', src).shape, shape)) {
    throw new ShapeError(`${fn}: expected source of shape ${formatShape(shape)}, got ${formatShape(src.shape)}`);
  }
  const line = shape.map((size, i) => (i === d ? size : 1));
  return [d, expand(viewAs(at, line), shape)];
}

/** A copy of x with the parts of `source` along `dim` added at `index` (int32, one dimension), in order. */
export function indexAdd(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  checkTensor('indexAdd', 'source', source);
  const [d, at] = spread('indexAdd', x, dim, index, source);
  return scatterInto('indexAdd', x, d, at, source, true);
}

/** A copy of x with the parts of `source` along `dim` put at `index` (int32, one dimension). */
export function indexCopy(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  checkTensor('indexCopy', 'source', source);
  const [d, at] = spread('indexCopy', x, dim, index, source);
  return scatterInto('indexCopy', x, d, at, source, false);
}

/** A copy of x with the parts at `index` (int32, one dimension) along `dim` set to a number. */
export function indexFill(x: Tensor, dim: number, index: Tensor, value: number): Tensor {
  if (typeof value !== 'number') throw new ValueError(`indexFill: expected value to be a number, got ${show(value)}`);
  const [d, at] = spread('indexFill', x, dim, index, value);
  return scatterInto('indexFill', x, d, at, value, false);
}

/** The mask as bool; other dtypes are refused. */
export function checkMask(fn: string, mask: Tensor): Tensor {
  checkTensor(fn, 'mask', mask);
  if (mask.code !== BOOL) throw new DTypeError(`${fn}: expected mask of dtype bool, got ${mask.dtype}`);
  return mask;
}

/** {@link nonzero} under the name of who asks; x is taken as given. @internal */
export function placesOf(mask: Tensor): Tensor {
  const count = countNonzero(mask).itemSync();
  const out = result([count, mask.ndim], INT32);
  emit(NONZERO, [mask], [out], [], passNs(2 * mask.numel));
  return out;
}

/** The places of the elements that are not 0, int32 [n, ndim] in row-major order. Waits for x, since the shape depends on it. */
export const nonzero = (x: Tensor): Tensor => placesOf(castCode(checkTensor('nonzero', 'input', x), BOOL));

/** The places where a mask is true in the flattened tensor, int32 [n]. */
function flatPlaces(mask: Tensor): Tensor {
  const places = placesOf(viewAs(mask, [mask.numel]));
  return viewAs(places, [places.numel]);
}

/** The elements of x where `mask` (bool) is true, as one dimension; both broadcast. Waits for the mask. */
export function maskedSelect(x: Tensor, mask: Tensor): Tensor {
  const fn = 'maskedSelect';
  const shape = broadcastShapes(fn, checkTensor(fn, 'input', x).shape, checkMask(fn, mask).shape);
  const from = expand(x, shape);
  return gatherAlong(viewAs(from, [from.numel]), flatPlaces(expand(mask, shape)), 0);
}

/** A copy of x with the elements where `mask` (bool, broadcast to x) is true taken from `source` in order. Waits for the mask. */
export function maskedScatter(x: Tensor, mask: Tensor, source: Tensor): Tensor {
  const fn = 'maskedScatter';
  checkTensor(fn, 'input', x);
  checkTensor(fn, 'source', source);
  if (source.code !== x.code) {
    throw new DTypeError(`${fn}: expected input and source of one dtype, got ${x.dtype} and ${source.dtype}`);
  }
  const shape = broadcastShapes(fn, x.shape, checkMask(fn, mask).shape);
  const to = expand(x, shape);
  const places = flatPlaces(expand(mask, shape));
  if (source.numel < places.numel) {
    throw new ShapeError(
      `${fn}: expected source of at least ${places.numel} elements, got ${formatShape(source.shape)}`,
    );
  }
  const out = scatterInto(fn, viewAs(to, [numelOf(shape)]), 0, places, viewAs(source, [source.numel]), false);
  return viewAs(out, shape);
}

/** x with `value` where `mask` (bool, broadcast) is true. */
export function maskedFill(x: Tensor, mask: Tensor, value: number | Tensor): Tensor {
  const fn = 'maskedFill';
  checkTensor(fn, 'input', x);
  checkMask(fn, mask);
  const fill = typeof value === 'number' ? value : castCode(checkTensor(fn, 'value', value), x.code);
  if (typeof fill !== 'number' && fill.ndim !== 0) {
    throw new ShapeError(`${fn}: expected value to be a number or a scalar, got shape ${formatShape(fill.shape)}`);
  }
  const out = where(mask, fill, x);
  return out.code === x.code ? out : castCode(out, x.code);
}
