// Copies with the elements in another order, repeated or left out.
import { ShapeError, ValueError } from '../errors.js';
import { checkInteger, checkOneOf, oneOrMore, show } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { formatShape, normalizeDim, normalizeDims, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, result } from './apply.js';
import { clone } from './cast.js';
import { fromTypedArray } from './create.js';
import { indexSelect } from './indexing.js';
import { cat } from './join.js';
import { slicedView } from './strided.js';
import { expand, transpose, viewAs } from './views.js';

const FLIP = opcodeOf('flip');
const TRIANGLE = opcodeOf('triangle');

const flipRule: Rule = { name: 'flip', backward: (dy, node) => [reversed(dy, node.extra as readonly number[])] };

function reversed(x: Tensor, dims: readonly number[]): Tensor {
  const out = result(x.shape, x.code, x.numel);
  emit(FLIP, [x], [out], [dims.reduce((bits, d) => bits | (1 << d), 0)], passNs(2 * x.numel));
  return record(flipRule, out, [x], [], dims);
}

/** x with the order along the given dimensions reversed; a copy. */
export function flip(x: Tensor, dims: number | readonly number[]): Tensor {
  checkTensor('flip', 'input', x);
  if (dims === undefined) throw new ValueError(`flip: expected dims, got ${show(dims)}`);
  return reversed(x, normalizeDims('flip', dims, x.ndim));
}

/** x with the rows from left to right exchanged: dimension 1 reversed. */
export const fliplr = (x: Tensor): Tensor => flip(x, 1);

/** x upside down: dimension 0 reversed. */
export const flipud = (x: Tensor): Tensor => flip(x, 0);

/** x turned by `k` quarter turns in the plane of two dimensions, from the first to the second. */
export function rot90(x: Tensor, k = 1, dims: readonly [number, number] = [0, 1]): Tensor {
  const fn = 'rot90';
  checkTensor(fn, 'input', x);
  checkInteger(fn, 'k', k);
  if (!Array.isArray(dims) || dims.length !== 2) throw new ValueError(`${fn}: expected two dims, got ${show(dims)}`);
  const [a, b] = (dims as readonly number[]).map((d) => normalizeDim(fn, d, x.ndim)) as [number, number];
  if (a === b) throw new ShapeError(`${fn}: expected distinct dims, got ${show(dims)}`);
  switch (((k % 4) + 4) % 4) {
    case 1:
      return transpose(flip(x, b), a, b);
    case 2:
      return flip(x, [a, b]);
    case 3:
      return flip(transpose(x, a, b), b);
    default:
      return clone(x);
  }
}

/** x with its elements moved `shifts` places along `dims` and round the end; without dims, of the flattened tensor. */
export function roll(x: Tensor, shifts: number | readonly number[], dims?: number | readonly number[]): Tensor {
  const fn = 'roll';
  checkTensor(fn, 'input', x);
  const by = oneOrMore(fn, 'shifts', shifts);
  by.forEach((s) => checkInteger(fn, 'shift', s));
  if (dims === undefined || (Array.isArray(dims) && dims.length === 0)) {
    if (by.length !== 1) throw new ShapeError(`${fn}: expected one shift without dims, got ${show(shifts)}`);
    return viewAs(rolled(viewAs(x, [x.numel]), by[0]!, 0), x.shape);
  }
  const along = oneOrMore(fn, 'dims', dims);
  if (along.length !== by.length) {
    throw new ShapeError(`${fn}: expected as many shifts as dims, got ${show(shifts)} and ${show(dims)}`);
  }
  const where = along.map((d) => normalizeDim(fn, d, x.ndim));
  return where.reduce((y, d, i) => (y.ndim === 0 ? y : rolled(y, by[i]!, d)), x);
}

function rolled(x: Tensor, shift: number, dim: number): Tensor {
  const n = x.shape[dim]!;
  const by = n === 0 ? 0 : ((shift % n) + n) % n;
  if (by === 0) return x;
  return cat([slicedView(x, dim, n - by, by, 1, false), slicedView(x, dim, 0, n - by, 1, false)], dim);
}

function checkRepeats(fn: string, name: string, repeats: Shape): void {
  if (!Array.isArray(repeats)) throw new ValueError(`${fn}: expected ${name} to be an array, got ${show(repeats)}`);
  (repeats as Shape).forEach((r, i) => checkInteger(fn, `${name}[${i}]`, r, { min: 0 }));
}

/** As many repeats as dimensions. */
function repeated(x: Tensor, repeats: Shape): Tensor {
  const open = repeats.flatMap((r, i) => (r === 1 ? [] : [i]));
  if (open.length === 0) return x;
  if (x.ndim + open.length > 8) {
    // A tensor has at most 8 dimensions: the inner half of the repeats first.
    const cut = open[Math.floor(open.length / 2)]!;
    const inner = repeats.map((r, i) => (i >= cut ? r : 1));
    return repeated(
      repeated(x, inner),
      repeats.map((r, i) => (i < cut ? r : 1)),
    );
  }
  const ones = x.shape.flatMap((size, i) => (repeats[i] === 1 ? [size] : [1, size]));
  const wide = x.shape.flatMap((size, i) => (repeats[i] === 1 ? [size] : [repeats[i]!, size]));
  return viewAs(
    clone(expand(viewAs(x, ones), wide)),
    x.shape.map((size, i) => size * repeats[i]!),
  );
}

/** x laid out `repeats` times along each dimension; more repeats than dimensions add leading ones. A copy. */
export function repeat(x: Tensor, repeats: Shape): Tensor {
  const fn = 'repeat';
  checkTensor(fn, 'input', x);
  checkRepeats(fn, 'repeats', repeats);
  const lead = repeats.length - x.ndim;
  if (lead < 0) {
    throw new ShapeError(
      `${fn}: expected at least ${x.ndim} repeats for shape ${formatShape(x.shape)}, got ${show(repeats)}`,
    );
  }
  if (repeats.length > 8) throw new ShapeError(`${fn}: expected at most 8 repeats, got ${repeats.length}`);
  return repeated(viewAs(x, [...new Array<number>(lead).fill(1), ...x.shape]), repeats);
}

/** Like {@link repeat}, with 1 for the leading dimensions when there are fewer repeats than dimensions. */
export function tile(x: Tensor, repeats: Shape): Tensor {
  checkTensor('tile', 'input', x);
  checkRepeats('tile', 'repeats', repeats);
  return repeat(x, [...new Array<number>(Math.max(0, x.ndim - repeats.length)).fill(1), ...repeats]);
}

/** Each part along `dim` (of the flattened x when left out) `repeats` times in a row; an array gives a number for each. */
export function repeatInterleave(x: Tensor, repeats: number | readonly number[], dim?: number): Tensor {
  const fn = 'repeatInterleave';
  checkTensor(fn, 'input', x);
  const from = dim === undefined || x.ndim === 0 ? viewAs(x, [x.numel]) : x;
  const d = normalizeDim(fn, dim ?? 0, from.ndim);
  const n = from.shape[d]!;
  if (typeof repeats === 'number') {
    checkInteger(fn, 'repeats', repeats, { min: 0 });
    const [before, after] = [from.shape.slice(0, d + 1), from.shape.slice(d + 1)];
    if (from.ndim === 8) return repeatInterleave(from, new Array<number>(n).fill(repeats), d);
    const wide = expand(viewAs(from, [...before, 1, ...after]), [...before, repeats, ...after]);
    return viewAs(clone(wide), [...from.shape.slice(0, d), n * repeats, ...after]);
  }
  checkRepeats(fn, 'repeats', repeats);
  if (repeats.length !== n) throw new ShapeError(`${fn}: expected ${n} repeats, got ${repeats.length}`);
  const places = Int32Array.from(repeats.flatMap((r, i) => new Array<number>(r).fill(i)));
  return indexSelect(from, d, fromTypedArray(places, [places.length], { dtype: 'int32' }));
}

interface Triangle {
  diagonal: number;
  upper: boolean;
}

const triangleRule: Rule = { name: 'triangle', backward: (dy, node) => [cut(dy, node.extra as Triangle)] };

function cut(x: Tensor, triangle: Triangle): Tensor {
  const out = result(x.shape, x.code, x.numel);
  emit(TRIANGLE, [x], [out], [triangle.diagonal, triangle.upper ? 1 : 0], passNs(x.numel));
  return record(triangleRule, out, [x], [], triangle);
}

function triangle(fn: string, x: Tensor, diagonal: number, upper: boolean): Tensor {
  checkTensor(fn, 'input', x);
  if (x.ndim < 2) throw new ShapeError(`${fn}: expected at least 2 dimensions, got shape ${formatShape(x.shape)}`);
  checkInteger(fn, 'diagonal', diagonal, { min: -(2 ** 40), max: 2 ** 40 });
  return cut(x, { diagonal, upper });
}

/** The matrices of x on and below a diagonal (0 the main one, positive above it), 0 elsewhere. */
export const tril = (x: Tensor, diagonal = 0): Tensor => triangle('tril', x, diagonal, false);

/** The matrices of x on and above a diagonal (0 the main one, positive above it), 0 elsewhere. */
export const triu = (x: Tensor, diagonal = 0): Tensor => triangle('triu', x, diagonal, true);

/**
 * Vectors (or scalars) as grids of one shape: grid i varies along dimension i only. `'xy'` exchanges the first two dimensions.
 * Views.
 */
export function meshgrid(tensors: readonly Tensor[], indexing: 'ij' | 'xy' = 'ij'): Tensor[] {
  const fn = 'meshgrid';
  if (!Array.isArray(tensors) || tensors.length === 0) {
    throw new ValueError(`${fn}: expected an array of at least one Tensor, got ${show(tensors)}`);
  }
  checkOneOf(fn, 'indexing', indexing, ['ij', 'xy']);
  const list = (tensors as readonly Tensor[]).map((x, i) => {
    if (checkTensor(fn, `tensors[${i}]`, x).ndim > 1) {
      throw new ShapeError(`${fn}: expected tensors[${i}] of shape [n], got ${formatShape(x.shape)}`);
    }
    return x;
  });
  const order = list.map((_, i) => i);
  if (indexing === 'xy' && list.length > 1) [order[0], order[1]] = [1, 0];
  const shape = order.map((i) => list[i]!.numel);
  return list.map((x, i) =>
    expand(
      viewAs(
        x,
        order.map((k) => (k === i ? x.numel : 1)),
      ),
      shape,
    ),
  );
}

function triangleIndices(fn: string, rows: number, columns: number, offset: number, upper: boolean): Tensor {
  checkInteger(fn, 'rows', rows, { min: 0 });
  checkInteger(fn, 'columns', columns, { min: 0 });
  checkInteger(fn, 'offset', offset);
  const first: number[] = [];
  const second: number[] = [];
  for (let i = 0; i < rows; i++) {
    const from = upper ? Math.max(0, i + offset) : 0;
    const to = upper ? columns : Math.min(columns, i + offset + 1);
    for (let j = from; j < to; j++) {
      first.push(i);
      second.push(j);
    }
  }
  return fromTypedArray(Int32Array.from([...first, ...second]), [2, first.length], { dtype: 'int32' });
}

/** Rows and columns of the places on and below a diagonal, int32 [2, n]. */
export const trilIndices = (rows: number, columns: number, offset = 0): Tensor =>
  triangleIndices('trilIndices', rows, columns, offset, false);

/** Rows and columns of the places on and above a diagonal, int32 [2, n]. */
export const triuIndices = (rows: number, columns: number, offset = 0): Tensor =>
  triangleIndices('triuIndices', rows, columns, offset, true);
