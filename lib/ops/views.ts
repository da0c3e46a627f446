import { ShapeError, ValueError } from '../errors.js';
import { checkRank, checkShape, oneOrMore, show } from '../check.js';
import type { Rule } from '../autograd/graph.js';
import {
  broadcastShapes,
  formatShape,
  normalizeDim,
  normalizeDims,
  numelOf,
  sameShape,
  viewStrides,
  type Shape,
} from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, record } from './apply.js';
import { contiguous } from './cast.js';
import { sumTo } from './reduce.js';

export { cat, hstack, stack, vstack } from './join.js';
export {
  chunk,
  diag,
  diagEmbed,
  diagonal,
  narrow,
  select,
  slice,
  split,
  tensorSplit,
  unbind,
  unfoldDim,
} from './strided.js';

const reshapeRule: Rule = { name: 'reshape', backward: (dy, node) => [viewAs(dy, node.extra as Shape)] };

/** x under a shape with as many elements: a view where strides allow, else a copy. @internal */
export function viewAs(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const strides = x.stridesOrNull === null ? null : viewStrides(x.shape, x.stridesOrNull, shape);
  if (strides === null && x.stridesOrNull !== null) return viewAs(contiguous(x), shape);
  return record(reshapeRule, x.asView(shape, strides, x.offset), [x], [], x.shape);
}

/** The shape with its -1, if any, replaced by what is left. */
function inferShape(fn: string, numel: number, shape: Shape, from: Shape): Shape {
  if (!Array.isArray(shape)) throw new ValueError(`${fn}: expected shape to be an array of sizes, got ${show(shape)}`);
  const open = shape.indexOf(-1);
  const known: Shape = (shape as Shape).map((size, i) => (i === open ? 1 : size));
  checkShape(fn, known);
  const n = numelOf(known);
  const fits = open < 0 ? n === numel : n > 0 && numel % n === 0;
  if (!fits) {
    throw new ShapeError(
      `${fn}: expected a shape for ${numel} elements, got ${formatShape(shape)} for shape ${formatShape(from)}`,
    );
  }
  return known.map((size, i) => (i === open ? numel / n : size));
}

/** x with another shape for the same elements in row-major order; one size may be -1. A view where possible, else a copy. */
export const reshape = (x: Tensor, shape: Shape): Tensor =>
  viewAs(x, inferShape('reshape', checkTensor('reshape', 'input', x).numel, shape, x.shape));

/** Like {@link reshape}, but never a copy. @throws ShapeError when the strides do not allow a view */
export function view(x: Tensor, shape: Shape): Tensor {
  const target = inferShape('view', checkTensor('view', 'input', x).numel, shape, x.shape);
  if (x.stridesOrNull !== null && viewStrides(x.shape, x.stridesOrNull, target) === null) {
    throw new ShapeError(
      `view: shape ${formatShape(target)} needs a copy of this ${formatShape(x.shape)} view; use reshape`,
    );
  }
  return viewAs(x, target);
}

/** x with dimensions `start` to `end` (both included; default all) made one. */
export function flatten(x: Tensor, start = 0, end = -1): Tensor {
  checkTensor('flatten', 'input', x);
  const from = normalizeDim('flatten', start, x.ndim);
  const to = normalizeDim('flatten', end, x.ndim);
  if (from > to) throw new ShapeError(`flatten: expected start not after end, got ${start} and ${end}`);
  return viewAs(x, [...x.shape.slice(0, from), numelOf(x.shape.slice(from, to + 1)), ...x.shape.slice(to + 1)]);
}

const permuteRule: Rule = {
  name: 'permute',
  backward: (dy, node) => {
    const dims = node.extra as readonly number[];
    const inverse = new Array<number>(dims.length);
    dims.forEach((d, i) => (inverse[d] = i));
    return [permuted(dy, inverse)];
  },
};

function permuted(x: Tensor, dims: readonly number[]): Tensor {
  const { strides } = x;
  const out = x.asView(
    dims.map((d) => x.shape[d]!),
    dims.map((d) => strides[d]!),
    x.offset,
  );
  return record(permuteRule, out, [x], [], dims);
}

/** x with its dimensions in another order; a view. */
export function permute(x: Tensor, dims: readonly number[]): Tensor {
  checkTensor('permute', 'input', x);
  if (!Array.isArray(dims) || dims.length !== x.ndim) {
    throw new ShapeError(`permute: expected ${x.ndim} dims, got ${show(dims)}`);
  }
  const order = dims.map((d) => normalizeDim('permute', d, x.ndim));
  if (new Set(order).size !== order.length) throw new ShapeError(`permute: expected distinct dims, got ${show(dims)}`);
  return permuted(x, order);
}

/** x with two dimensions exchanged; a view. */
export function transpose(x: Tensor, dim0: number, dim1: number): Tensor {
  checkTensor('transpose', 'input', x);
  const a = normalizeDim('transpose', dim0, x.ndim);
  const b = normalizeDim('transpose', dim1, x.ndim);
  if (x.ndim === 0) return x;
  const order = x.shape.map((_, i) => (i === a ? b : i === b ? a : i));
  return permuted(x, order);
}

/** The transpose of a matrix; a view. Tensors of fewer dimensions are returned as they are. */
export function t(x: Tensor): Tensor {
  checkTensor('t', 'input', x);
  if (x.ndim > 2) throw new ShapeError(`t: expected at most 2 dimensions, got shape ${formatShape(x.shape)}`);
  return x.ndim < 2 ? x : permuted(x, [1, 0]);
}

/** x without the given dimensions of size 1 (all of them when left out); dimensions of other sizes stay. */
export function squeeze(x: Tensor, dim?: number | readonly number[]): Tensor {
  const dims = normalizeDims('squeeze', dim, checkTensor('squeeze', 'input', x).ndim);
  return viewAs(
    x,
    x.shape.filter((size, i) => size !== 1 || !dims.includes(i)),
  );
}

/** x with a dimension of size 1 put in at `dim` (-ndim - 1 to ndim). */
export function unsqueeze(x: Tensor, dim: number): Tensor {
  const d = normalizeDim('unsqueeze', dim, checkTensor('unsqueeze', 'input', x).ndim + 1);
  checkRank('unsqueeze', x.ndim + 1);
  return viewAs(x, [...x.shape.slice(0, d), 1, ...x.shape.slice(d)]);
}

const expandRule: Rule = { name: 'expand', backward: (dy, node) => [sumTo(dy, node.extra as Shape)] };

function expanded(fn: string, x: Tensor, shape: Shape): Tensor {
  checkTensor(fn, 'input', x);
  if (!Array.isArray(shape)) throw new ValueError(`${fn}: expected shape to be an array of sizes, got ${show(shape)}`);
  const lead = shape.length - x.ndim;
  const target = shape.map((size: number, i) => (size === -1 && i >= lead ? x.shape[i - lead]! : size));
  checkShape(fn, target);
  if (lead < 0 || x.shape.some((size, i) => size !== 1 && size !== target[i + lead])) {
    throw new ShapeError(
      `${fn}: expected a shape that ${formatShape(x.shape)} broadcasts to, got ${formatShape(shape)}`,
    );
  }
  if (sameShape(x.shape, target)) return x;
  const { strides } = x;
  const out = x.asView(
    target,
    target.map((size, i) => (i < lead || (x.shape[i - lead] === 1 && size !== 1) ? 0 : strides[i - lead]!)),
    x.offset,
  );
  return record(expandRule, out, [x], [], x.shape);
}

/** x repeated along dimensions of size 1 (and new leading ones) up to `shape`, without memory; -1 keeps a size. */
export const expand = (x: Tensor, shape: Shape): Tensor => expanded('expand', x, shape);

/** {@link expand} under its NumPy name. */
export const broadcastTo = (x: Tensor, shape: Shape): Tensor => expanded('broadcastTo', x, shape);

/** All the tensors expanded to the shape that they broadcast to. */
export function broadcastTensors(tensors: readonly Tensor[]): Tensor[] {
  const fn = 'broadcastTensors';
  if (!Array.isArray(tensors)) throw new ValueError(`${fn}: expected an array of Tensors, got ${show(tensors)}`);
  const list = tensors.map((x, i) => checkTensor(fn, `tensors[${i}]`, x));
  const shape = list.reduce<Shape>((common, x) => broadcastShapes(fn, common, x.shape), []);
  return list.map((x) => expand(x, shape));
}

/** Dimension `dim` as dimensions of `sizes`, one of which may be -1; the reverse of {@link flatten}. A view. */
export function unflatten(x: Tensor, dim: number, sizes: Shape): Tensor {
  const fn = 'unflatten';
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected at least 1 dimension, got a scalar`);
  const inner = inferShape(fn, x.shape[d]!, sizes, x.shape);
  checkRank(fn, x.ndim - 1 + inner.length);
  return viewAs(x, [...x.shape.slice(0, d), ...inner, ...x.shape.slice(d + 1)]);
}

/** x with dimensions `source` at places `destination`, the others in their order; a view. */
export function movedim(
  x: Tensor,
  source: number | readonly number[],
  destination: number | readonly number[],
): Tensor {
  const fn = 'movedim';
  checkTensor(fn, 'input', x);
  const dims = (value: number | readonly number[]): number[] => {
    const list = oneOrMore(fn, 'dims', value).map((d) => normalizeDim(fn, d, x.ndim));
    if (new Set(list).size !== list.length) throw new ShapeError(`${fn}: expected distinct dims, got ${show(value)}`);
    return list;
  };
  const from = dims(source);
  const to = dims(destination);
  if (from.length !== to.length) {
    throw new ShapeError(
      `${fn}: expected as many sources as destinations, got ${show(source)} and ${show(destination)}`,
    );
  }
  if (x.ndim === 0) return x;
  const order = new Array<number>(x.ndim).fill(-1);
  from.forEach((d, i) => (order[to[i]!] = d));
  const rest = x.shape.map((_, i) => i).filter((d) => !from.includes(d));
  return permuted(
    x,
    order.map((d) => (d >= 0 ? d : rest.shift()!)),
  );
}

/** {@link transpose} under its NumPy name. */
export const swapaxes = transpose;

function atLeast(fn: string, x: Tensor, n: number, shape: (own: Shape) => Shape): Tensor {
  return checkTensor(fn, 'input', x).ndim >= n ? x : viewAs(x, shape(x.shape));
}

/** x, a scalar as [1]. */
export const atleast1d = (x: Tensor): Tensor => atLeast('atleast1d', x, 1, () => [1]);

/** x, with fewer than 2 dimensions as a row. */
export const atleast2d = (x: Tensor): Tensor => atLeast('atleast2d', x, 2, () => [1, x.numel]);

/** x, with fewer than 3 dimensions as [1, n, 1] or [rows, columns, 1]. */
export const atleast3d = (x: Tensor): Tensor =>
  atLeast('atleast3d', x, 3, (own) => (own.length === 2 ? [...own, 1] : [1, x.numel, 1]));
