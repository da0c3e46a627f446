import { BOOL, checkDType, FLOAT32, INT32, isFloat, UINT8, type DType } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { checkBoolean } from '../check.js';
import { code as opcodeOf, emit, emitUnary } from '../native/stream.js';
import type { OpName } from '../native/ops.generated.js';
import type { Node, Rule } from '../autograd/graph.js';
import { normalizeDim, normalizeDims, numelOf, sameShape, type Shape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, recording, result } from './apply.js';
import { div, eq, maximum, minimum, mul } from './binary.js';
import { castCode } from './cast.js';
import { gatherAlong } from './gather.js';
import { exclusiveProduct, type ValuesAndIndices } from './scan.js';
import { expand, permute, unsqueeze, viewAs } from './views.js';

/** Which dimensions a reduction runs over; all when left out. */
export type Dims = number | readonly number[] | undefined;

/** Options of a reduction. */
interface ReduceOptions {
  /** What integers and booleans become first. */
  integers?: 'float32' | 'as they are';
  /** What they give; their own dtype when left out. */
  whole?: number;
  /** Refuse to reduce nothing: there is no identity. */
  nonEmpty?: boolean;
  saves?: 'none' | 'both';
  /** Dtype of the result; that of the input when left out. */
  out?: number;
}

/** The dtype that a reduction is computed in and gives. */
export interface ReduceDType {
  /** x is converted first. When left out, integers and booleans are summed and multiplied as int32, which wraps. */
  dtype?: DType;
}

interface Reduced {
  /** x's shape with 1 where reduced. */
  kept: Shape;
  inputShape: Shape;
}

/** The result without the dimensions that went, unless they are to stay as 1. */
function reshaped(full: Tensor, kept: Shape, dims: readonly number[], keepdim: boolean): Tensor {
  if (keepdim) return full;
  return full.asView(
    kept.filter((_, i) => !dims.includes(i)),
    null,
    0,
  );
}

function reduction(
  name: OpName,
  fn: string,
  grad: ((dy: Tensor, x: Tensor, y: Tensor, shape: Shape) => Tensor) | null,
  { integers = 'as they are', whole, nonEmpty = false, saves = 'none', out: outCode }: ReduceOptions = {},
): (x: Tensor, dim?: Dims, keepdim?: boolean, options?: ReduceDType) => Tensor {
  const op = opcodeOf(name);
  const rule: Rule | null =
    grad === null
      ? null
      : {
          name: fn,
          backward: (dy: Tensor, node: Node) => {
            const { kept, inputShape } = node.extra as Reduced;
            const g = viewAs(dy, kept);
            if (saves === 'none') return [grad(g, dy, dy, inputShape)];
            return [grad(g, node.saved(0), viewAs(node.saved(1), kept), inputShape)];
          },
        };
  return (input, dim, keepdim = false, { dtype } = {}) => {
    let x = checkTensor(fn, 'input', input);
    checkBoolean(fn, 'keepdim', keepdim);
    const wanted = dtype === undefined ? undefined : checkDType(fn, dtype);
    if (wanted !== undefined && (isFloat(wanted) || whole === undefined)) x = castCode(x, wanted);
    if (integers === 'float32' && !isFloat(x.code)) x = castCode(x, FLOAT32);
    const dims = normalizeDims(fn, dim, x.ndim);
    const kept = [...x.shape];
    for (const d of dims) {
      if (nonEmpty && kept[d] === 0)
        throw new ShapeError(`${fn}: expected at least one element to reduce, got shape [${x.shape.join(', ')}]`);
      kept[d] = 1;
    }
    const full = result(kept, outCode ?? (whole !== undefined && !isFloat(x.code) ? whole : x.code));
    emitUnary(op, x, full, passNs(x.numel));
    if (wanted !== undefined && wanted !== full.code) return castCode(reshaped(full, kept, dims, keepdim), wanted);
    const y = reshaped(full, kept, dims, keepdim);
    if (rule === null) return y;
    return record(rule, y, [x], saves === 'none' || !recording([x]) ? [] : [x, y], {
      kept,
      inputShape: x.shape,
    } satisfies Reduced);
  };
}

/** Σ over the given dimensions (all when left out). Integers and booleans give int32, which wraps. Empty gives 0. */
export const sum = reduction('sum', 'sum', (dy, _x, _y, shape) => expand(dy, shape), { whole: INT32 });

/** The arithmetic mean over the given dimensions (all when left out), of integers as float32. Empty gives NaN. */
export const mean = reduction(
  'mean',
  'mean',
  (dy, _x, _y, shape) => expand(div(dy, numelOf(shape) / Math.max(dy.numel, 1)), shape),
  { integers: 'float32' },
);

/** Which dimensions of a shape are 1 in another, having been something else. */
const reducedDims = (shape: Shape, kept: Shape): number[] => shape.flatMap((size, i) => (kept[i] === size ? [] : [i]));

/** Π over the given dimensions (all when left out). Integers and booleans give int32, which wraps. Empty gives 1. */
export const prod = reduction(
  'prod',
  'prod',
  (dy, x, y, shape) => {
    // The product of all others: of those before times those after, with the dimensions that go as one.
    const dims = reducedDims(shape, y.shape);
    if (dims.length === 0 || x.numel === 0) return expand(dy, shape);
    const rest = shape.map((_, i) => i).filter((i) => !dims.includes(i));
    const order = [...rest, ...dims];
    const line = viewAs(permute(x, order), [...rest.map((i) => shape[i]!), numelOf(dims.map((i) => shape[i]!))]);
    const dim = rest.length;
    const others = mul(exclusiveProduct(line, { dim, reverse: false }), exclusiveProduct(line, { dim, reverse: true }));
    const inverse = order.map((_, i) => order.indexOf(i));
    const back = permute(
      viewAs(
        others,
        order.map((i) => shape[i]!),
      ),
      inverse,
    );
    return mul(dy, back);
  },
  { whole: INT32, saves: 'both' },
);

/** Gradient shared evenly among the elements that equal the extremum. @internal */
export function evenly(dy: Tensor, x: Tensor, y: Tensor): Tensor {
  const hit = castCode(eq(x, y), x.code);
  const dims = reducedDims(x.shape, y.shape);
  return mul(hit, div(dy, dims.length === 0 ? hit : sum(hit, dims, true)));
}

type Reduction = (x: Tensor, dim?: Dims, keepdim?: boolean) => Tensor;

/** The reduction, which takes bytes, of booleans too. */
const ofBooleans =
  (reduce: Reduction): Reduction =>
  (x, dim, keepdim) =>
    x instanceof Tensor && x.code === BOOL
      ? castCode(reduce(castCode(x, UINT8), dim, keepdim), BOOL)
      : reduce(x, dim, keepdim);

/** The largest element over the given dimensions (all when left out); NaN if there is one. Ties share the gradient evenly. */
export const amax = ofBooleans(reduction('amax', 'amax', evenly, { nonEmpty: true, saves: 'both' }));

/** The smallest element over the given dimensions (all when left out); NaN if there is one. Ties share the gradient evenly. */
export const amin = ofBooleans(reduction('amin', 'amin', evenly, { nonEmpty: true, saves: 'both' }));

const anyOf = reduction('any', 'any', null, { out: BOOL });
const allOf = reduction('all', 'all', null, { out: BOOL });

/** Whether any element over the given dimensions is true (not 0). */
export const any = (x: Tensor, dim?: Dims, keepdim?: boolean): Tensor =>
  anyOf(castCode(checkTensor('any', 'input', x), BOOL), dim, keepdim);

/** Whether all elements over the given dimensions are true (not 0). */
export const all = (x: Tensor, dim?: Dims, keepdim?: boolean): Tensor =>
  allOf(castCode(checkTensor('all', 'input', x), BOOL), dim, keepdim);

/** How many elements over the given dimensions are not 0, int32. */
export const countNonzero: Reduction = reduction('count_nonzero', 'countNonzero', null, { out: INT32 });

function argReduction(name: OpName, fn: string): (x: Tensor, dim?: number, keepdim?: boolean) => Tensor {
  const op = opcodeOf(name);
  return (input, dim, keepdim = false) => {
    let x = checkTensor(fn, 'input', input);
    checkBoolean(fn, 'keepdim', keepdim);
    if (x.code === BOOL) x = castCode(x, INT32);
    const axis = dim === undefined || x.ndim === 0 ? -1 : normalizeDim(fn, dim, x.ndim);
    const shape = x.shape.map((size, i) => (axis === -1 || axis === i ? 1 : size));
    if (axis === -1 ? x.numel === 0 : x.shape[axis] === 0) {
      throw new ShapeError(`${fn}: expected at least one element to choose from, got shape [${x.shape.join(', ')}]`);
    }
    const full = result(shape, INT32);
    emit(op, [x], [full], [axis], passNs(x.numel));
    return keepdim ? full : full.asView(axis === -1 ? [] : shape.filter((_, i) => i !== axis), null, 0);
  };
}

/** The int32 index of the largest element along `dim`, or in the flattened tensor; the first of equals, a NaN before all. */
export const argmax = argReduction('argmax', 'argmax');

/** The int32 index of the smallest element along `dim`, or in the flattened tensor; the first of equals, a NaN before all. */
export const argmin = argReduction('argmin', 'argmin');

/** All, the extremes along one dimension with their places, or the larger (smaller) of two. */
interface ExtremeFunction {
  (x: Tensor, other?: Tensor): Tensor;
  (x: Tensor, dim: number, keepdim?: boolean): ValuesAndIndices;
}

function extreme(
  arg: (x: Tensor, dim?: number, keepdim?: boolean) => Tensor,
  all: Reduction,
  ofTwo: (a: Tensor, b: Tensor) => Tensor,
): ExtremeFunction {
  function choose(x: Tensor, dimOrOther?: number | Tensor, keepdim = false): Tensor | ValuesAndIndices {
    if (dimOrOther === undefined) return all(x);
    if (typeof dimOrOther !== 'number') return ofTwo(x, dimOrOther);
    const indices = arg(x, dimOrOther, keepdim);
    if (x.ndim === 0) return { values: viewAs(x, []), indices };
    const dim = dimOrOther < 0 ? dimOrOther + x.ndim : dimOrOther;
    const values = gatherAlong(x, keepdim ? indices : unsqueeze(indices, dim), dim);
    return { values: keepdim ? values : viewAs(values, indices.shape), indices };
  }
  return choose as ExtremeFunction;
}

/**
 * The largest of all elements (as {@link amax}); with a dimension, the largest along it and where it stands, the first of
 * equals; with another tensor, {@link maximum}. NaN wins.
 */
export const max = extreme(argmax, amax, (a, b) => maximum(a, b));

/**
 * The smallest of all elements (as {@link amin}); with a dimension, the smallest along it and where it stands, the first of
 * equals; with another tensor, {@link minimum}. NaN wins.
 */
export const min = extreme(argmin, amin, (a, b) => minimum(a, b));

/** Sums a gradient over the dimensions that were broadcast, back to `shape`. */
export function sumTo(dy: Tensor, shape: Shape): Tensor {
  if (sameShape(dy.shape, shape)) return dy;
  const lead = dy.ndim - shape.length;
  const dims: number[] = [];
  for (let i = 0; i < dy.ndim; i++) if (i < lead || (shape[i - lead] === 1 && dy.shape[i] !== 1)) dims.push(i);
  const total = dims.length === 0 ? dy : sum(dy, dims, true);
  return viewAs(total, shape);
}
