// NumPy-style indexing: integers, ranges, new axes, an ellipsis, masks and index tensors.
import { BOOL } from '../dtype.js';
import { DTypeError, IndexOutOfRangeError, ShapeError, ValueError } from '../errors.js';
import { checkInteger, checkRank, show } from '../check.js';
import { broadcastShapes, formatShape, numelOf, type Shape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { checkTensor } from './apply.js';
import { add, lt, mul } from './binary.js';
import { arange, full as filled, where } from './create.js';
import { checkIndex, placesOf, scatter, scatterAdd } from './gather.js';
import { indexSelect } from './indexing.js';
import { expand, permute, select, slice, unsqueeze, viewAs } from './views.js';

/** Elements start, start + step, … below `end` of a dimension; negative bounds count from the end. */
export interface Range {
  start?: number;
  end?: number;
  step?: number;
}

/**
 * What may stand for a dimension: an integer (the dimension goes), a range, `null` (a new dimension of size 1), `'...'` (all
 * dimensions that are not named), an int32 tensor (its elements' places), or a bool tensor (where it is true; it stands for as
 * many dimensions as it has).
 */
export type Subscript = number | Range | null | '...' | Tensor;

interface Plan {
  /** x with integers, ranges and new axes done. */
  view: Tensor;
  /** Index tensors of one shape each, and the dimension of the view that each stands for. */
  places: Tensor[];
  dims: number[];
}

/** A place in no dimension: the kernels refuse it. */
const OUTSIDE = -(2 ** 30);

/** Dimensions that a subscript stands for. */
const span = (s: Subscript): number =>
  s === null || s === '...' ? 0 : s instanceof Tensor && s.code === BOOL ? s.ndim : 1;

function checkSubscripts(fn: string, x: Tensor, subscripts: readonly Subscript[]): Subscript[] {
  const list = [...subscripts];
  for (const [i, s] of list.entries()) {
    const plain = s === null || s === '...' || typeof s === 'number';
    if (s instanceof Tensor) checkTensor(fn, `subscript ${i}`, s);
    else if (!plain && (typeof s !== 'object' || Array.isArray(s))) {
      throw new ValueError(
        `${fn}: expected subscript ${i} to be an integer, a range, null, '...' or a Tensor, got ${show(s)}`,
      );
    }
  }
  const named = list.reduce<number>((n, s) => n + span(s), 0);
  if (named > x.ndim) {
    throw new ShapeError(
      `${fn}: expected at most ${x.ndim} subscripts for shape ${formatShape(x.shape)}, got ${named}`,
    );
  }
  const dots = list.filter((s) => s === '...').length;
  if (dots > 1) throw new ValueError(`${fn}: expected at most one '...', got ${dots}`);
  if (dots === 0) list.push('...');
  const rest = new Array<Subscript>(x.ndim - named).fill({});
  return list.flatMap((s) => (s === '...' ? rest : [s]));
}

function planned(fn: string, x: Tensor, subscripts: readonly Subscript[]): Plan {
  let view = x;
  let dim = 0;
  const places: Tensor[] = [];
  const dims: number[] = [];
  for (const s of checkSubscripts(fn, x, subscripts)) {
    if (s === null) view = unsqueeze(view, dim++);
    else if (typeof s === 'number') {
      const size = view.shape[dim]!;
      checkInteger(fn, 'an index', s);
      if (s < -size || s >= size) {
        throw new IndexOutOfRangeError(`${fn}: expected an index in [${-size}, ${size - 1}], got ${s}`);
      }
      view = select(view, dim, s);
    } else if (!(s instanceof Tensor)) {
      const { start = 0, end, step = 1 } = s as Range;
      if (start !== 0 || end !== undefined || step !== 1) view = slice(view, dim, start, end, step);
      dim++;
    } else if (s.code === BOOL) {
      const covered = view.shape.slice(dim, dim + s.ndim);
      if (covered.some((size, i) => size !== s.shape[i])) {
        throw new ShapeError(`${fn}: expected a mask of shape ${formatShape(covered)}, got ${formatShape(s.shape)}`);
      }
      const found = placesOf(s);
      for (let i = 0; i < s.ndim; i++) {
        places.push(select(found, 1, i));
        dims.push(dim++);
      }
    } else {
      const at = checkIndex(fn, s);
      places.push(where(lt(at, 0), add(at, view.shape[dim]!), at));
      dims.push(dim++);
    }
  }
  return { view, places, dims };
}

interface Lines {
  /** Whole numbers of the rows of the flattened indexed dimensions, of the broadcast shape. */
  rows: Tensor;
  /** The view's dimensions: indexed ones first. */
  order: number[];
  sizes: Shape;
  rest: Shape;
  /** Where the broadcast dimensions go in the result. */
  at: number;
}

function linesOf(fn: string, { view, places, dims }: Plan): Lines {
  const shape = places.reduce<Shape>((common, p) => broadcastShapes(fn, common, p.shape), []);
  const sizes = dims.map((d) => view.shape[d]!);
  let rows: Tensor | null = null;
  places.forEach((p, i) => {
    // An index outside its own dimension must not fall into a neighbour's.
    const inside = dims.length === 1 ? p : where(lt(p, sizes[i]!), p, OUTSIDE);
    const by = numelOf(sizes.slice(i + 1));
    const part = by === 1 ? inside : where(lt(inside, 0), OUTSIDE, mul(inside, by));
    rows = rows === null ? part : where(lt(rows, 0), OUTSIDE, where(lt(part, 0), OUTSIDE, add(rows, part)));
  });
  const others = view.shape.map((_, i) => i).filter((i) => !dims.includes(i));
  const together = dims.every((d, i) => i === 0 || d === dims[i - 1]! + 1);
  return {
    rows: expand(rows!, shape),
    order: [...dims, ...others],
    sizes,
    rest: others.map((i) => view.shape[i]!),
    at: together ? dims[0]! : 0,
  };
}

/**
 * The part of x that the subscripts name, by NumPy's rules. Integers, ranges and new axes give a view; with index tensors,
 * which broadcast against one another, it is a copy whose new dimensions stand where the indexed ones stood when those are
 * neighbours, else first. Waits for masks, since the shape depends on them.
 * @throws IndexOutOfRangeError for an integer outside its dimension; from the read of the result for one in an index tensor
 */
export function index(x: Tensor, ...subscripts: Subscript[]): Tensor {
  const fn = 'index';
  const plan = planned(fn, checkTensor(fn, 'input', x), subscripts);
  if (plan.places.length === 0) return plan.view;
  const { rows, order, sizes, rest, at } = linesOf(fn, plan);
  checkRank(fn, rows.ndim + rest.length);
  const table = viewAs(permute(plan.view, order), [numelOf(sizes), ...rest]);
  const out = viewAs(indexSelect(table, 0, viewAs(rows, [rows.numel])), [...rows.shape, ...rest]);
  if (at === 0) return out;
  const lead = rows.ndim;
  const dims = out.shape.map((_, i) => i);
  return permute(out, [...dims.slice(lead, lead + at), ...dims.slice(0, lead), ...dims.slice(lead + at)]);
}

/** Options of {@link indexPut}. */
export interface IndexPutOptions {
  /** Add to what is there, also several times to one place; default false. */
  accumulate?: boolean;
}

/**
 * A copy of x with `value` (a number, or a tensor that broadcasts to {@link index} of the same subscripts) put where the
 * subscripts point.
 */
export function indexPut(
  x: Tensor,
  subscripts: readonly Subscript[],
  value: Tensor | number,
  { accumulate = false }: IndexPutOptions = {},
): Tensor {
  const fn = 'indexPut';
  checkTensor(fn, 'input', x);
  if (!Array.isArray(subscripts))
    throw new ValueError(`${fn}: expected an array of subscripts, got ${show(subscripts)}`);
  if (x.numel > 2 ** 31 - 1) throw new ShapeError(`${fn}: expected at most 2³¹ − 1 elements, got ${x.numel}`);
  // The numbers of the elements that the subscripts name are found by the same subscripts.
  const numbers = viewAs(arange(x.numel), x.shape);
  const named = index(numbers, ...(subscripts as readonly Subscript[]));
  const at = viewAs(named, [named.numel]);
  const flat = viewAs(x, [x.numel]);
  if (typeof value === 'number' && !accumulate) return viewAs(scatter(flat, 0, at, value), x.shape);
  const given = typeof value === 'number' ? filled([], value, { dtype: x.dtype }) : checkTensor(fn, 'value', value);
  if (given.code !== x.code) throw new DTypeError(`${fn}: expected value of dtype ${x.dtype}, got ${given.dtype}`);
  const source = viewAs(expand(given, named.shape), [named.numel]);
  return viewAs((accumulate ? scatterAdd : scatter)(flat, 0, at, source), x.shape);
}
