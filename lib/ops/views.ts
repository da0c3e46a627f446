import { ShapeError, ValueError } from '../errors.js';
import { checkInteger, checkShape, show } from '../check.js';
import { code as opcodeOf, emit, emitUnary, MAX_LIST } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { formatShape, normalizeDim, normalizeDims, numelOf, sameShape, viewStrides, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, result } from './apply.js';
import { castCode, contiguous } from './cast.js';
import { promote } from '../dtype.js';
import { sumTo } from './reduce.js';

const COPY = opcodeOf('copy');
const FILL = opcodeOf('fill');
const CAT = opcodeOf('cat');

const reshapeRule: Rule = { name: 'reshape', backward: (dy, node) => [viewAs(dy, node.extra as Shape)] };

/** x under a shape with as many elements: a view where strides allow, else a copy. @internal */
export function viewAs(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const strides = x.stridesOrNull === null ? null : viewStrides(x.shape, x.stridesOrNull, shape);
  if (strides === null && x.stridesOrNull !== null) return viewAs(contiguous(x), shape);
  return record(reshapeRule, x.asView(shape, strides, x.offset), [x], [], x.shape);
}

/** The shape with its -1, if any, replaced by what is left. */
function inferShape(fn: string, x: Tensor, shape: Shape): Shape {
  if (!Array.isArray(shape)) throw new ValueError(`${fn}: expected shape to be an array of sizes, got ${show(shape)}`);
  const open = shape.indexOf(-1);
  const known: Shape = (shape as Shape).map((size, i) => (i === open ? 1 : size));
  checkShape(fn, known);
  const n = numelOf(known);
  const fits = open < 0 ? n === x.numel : n > 0 && x.numel % n === 0;
  if (!fits) {
    throw new ShapeError(
      `${fn}: expected a shape for ${x.numel} elements, got ${formatShape(shape)} for shape ${formatShape(x.shape)}`,
    );
  }
  return known.map((size, i) => (i === open ? x.numel / n : size));
}

/** x with another shape for the same elements in row-major order; one size may be -1. A view where possible, else a copy. */
export const reshape = (x: Tensor, shape: Shape): Tensor =>
  viewAs(x, inferShape('reshape', checkTensor('reshape', 'input', x), shape));

/** Like {@link reshape}, but never a copy. @throws ShapeError when the strides do not allow a view */
export function view(x: Tensor, shape: Shape): Tensor {
  const target = inferShape('view', checkTensor('view', 'input', x), shape);
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
  return viewAs(x, [...x.shape.slice(0, d), 1, ...x.shape.slice(d)]);
}

const expandRule: Rule = { name: 'expand', backward: (dy, node) => [sumTo(dy, node.extra as Shape)] };

/** x repeated along dimensions of size 1 (and new leading ones) up to `shape`, without memory; -1 keeps a size. */
export function expand(x: Tensor, shape: Shape): Tensor {
  const fn = 'expand';
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

interface SliceSpec {
  shape: Shape;
  dim: number;
  start: number;
  count: number;
  step: number;
  /** Whether the dimension itself was dropped (select). */
  dropped: boolean;
}

const sliceRule: Rule = {
  name: 'slice',
  backward: (dy, node) => [unslice(dy, node.extra as SliceSpec)],
};

/** Zeros with dy in the place that a slice was taken from. */
function unslice(dy: Tensor, spec: SliceSpec): Tensor {
  const out = result(spec.shape, dy.code);
  emit(FILL, [], [out], [0], passNs(out.numel));
  const place = sliced(out, spec.dim, spec.start, spec.count, spec.step, spec.dropped);
  if (dy.numel > 0) emitUnary(COPY, dy, place, passNs(dy.numel));
  return record(unsliceRule, out, [dy], [], spec);
}

const unsliceRule: Rule = {
  name: 'slice backward',
  backward: (g, node) => {
    const { dim, start, count, step, dropped } = node.extra as SliceSpec;
    return [slicedTracked(g, dim, start, count, step, dropped)];
  },
};

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

function slicedTracked(x: Tensor, dim: number, start: number, count: number, step: number, dropped: boolean): Tensor {
  const spec: SliceSpec = { shape: x.shape, dim, start, count, step, dropped };
  return record(sliceRule, sliced(x, dim, start, count, step, dropped), [x], [], spec);
}

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
  return slicedTracked(x, d, from, count, step, false);
}

/** `length` elements of one dimension from `start` on; a view. */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  const fn = 'narrow';
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  const size = x.shape[d] ?? 0;
  checkInteger(fn, 'start', start, { min: 0, max: size });
  checkInteger(fn, 'length', length, { min: 0, max: size - start });
  return length === size ? x : slicedTracked(x, d, start, length, 1, false);
}

/** The i-th part along one dimension, which goes away; negative counts from the end. A view. */
export function select(x: Tensor, dim: number, index: number): Tensor {
  const fn = 'select';
  const d = normalizeDim(fn, dim, checkTensor(fn, 'input', x).ndim);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected at least 1 dimension, got a scalar`);
  const size = x.shape[d]!;
  checkInteger(fn, 'index', index, { min: -size, max: size - 1 });
  return slicedTracked(x, d, index < 0 ? index + size : index, 1, 1, true);
}

const catRule: Rule = {
  name: 'cat',
  backward: (dy, node) => {
    const { dim, sizes } = node.extra as { dim: number; sizes: readonly number[] };
    let start = 0;
    return sizes.map((size, i) => {
      const part = node.needs(i) ? slicedTracked(dy, dim, start, size, 1, false) : null;
      start += size;
      return part;
    });
  },
};

/** The tensors one after the other along `dim`; other sizes must agree. Dtypes meet in the highest. */
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  const fn = 'cat';
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw new ValueError(`${fn}: expected an array of at least one Tensor, got ${show(tensors)}`);
  }
  const list = tensors as readonly Tensor[];
  const first = checkTensor(fn, 'tensors[0]', list[0]);
  if (first.ndim === 0) throw new ShapeError(`${fn}: expected tensors of at least 1 dimension; stack joins scalars`);
  const d = normalizeDim(fn, dim, first.ndim);
  let code = first.code;
  for (let i = 1; i < list.length; i++) {
    const x = checkTensor(fn, `tensors[${i}]`, list[i]);
    if (x.ndim !== first.ndim || x.shape.some((size, k) => k !== d && size !== first.shape[k])) {
      const want = first.shape.map((size, k) => (k === d ? 'any' : size)).join(', ');
      throw new ShapeError(`${fn}: expected tensors[${i}] of shape [${want}], got ${formatShape(x.shape)}`);
    }
    code = promote(code, x.code);
  }
  return joined(
    list.map((x) => castCode(x, code)),
    d,
    code,
  );
}

function joined(list: readonly Tensor[], dim: number, code: number): Tensor {
  if (list.length > MAX_LIST) {
    const parts: Tensor[] = [];
    for (let i = 0; i < list.length; i += MAX_LIST) parts.push(joined(list.slice(i, i + MAX_LIST), dim, code));
    return joined(parts, dim, code);
  }
  const sizes = list.map((x) => x.shape[dim]!);
  const total = sizes.reduce((a, b) => a + b, 0);
  const out = result(
    list[0]!.shape.map((size, i) => (i === dim ? total : size)),
    code,
  );
  emit(CAT, list, [out], [dim], passNs(out.numel));
  return record(catRule, out, list, [], { dim, sizes });
}

/** Tensors of one shape along a new dimension. */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  const fn = 'stack';
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw new ValueError(`${fn}: expected an array of at least one Tensor, got ${show(tensors)}`);
  }
  const first = checkTensor(fn, 'tensors[0]', tensors[0]);
  const d = normalizeDim(fn, dim, first.ndim + 1);
  (tensors as readonly Tensor[]).forEach((x, i) => {
    if (!sameShape(checkTensor(fn, `tensors[${i}]`, x).shape, first.shape)) {
      throw new ShapeError(
        `${fn}: expected tensors[${i}] of shape ${formatShape(first.shape)}, got ${formatShape(x.shape)}`,
      );
    }
  });
  return cat(
    tensors.map((x: Tensor) => unsqueeze(x, d)),
    d,
  );
}
