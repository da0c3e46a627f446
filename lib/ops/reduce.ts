import { BOOL, FLOAT32, FLOAT64, INT32, isFloat } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { checkBoolean } from '../check.js';
import { code as opcodeOf, emit, emitUnary } from '../native/stream.js';
import type { OpName } from '../native/ops.generated.js';
import type { Node, Rule } from '../autograd/graph.js';
import { normalizeDim, normalizeDims, numelOf, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, recording, result } from './apply.js';
import { div, eq, logicalAnd, mul } from './binary.js';
import { castCode } from './cast.js';
import { where } from './create.js';
import { expand, viewAs } from './views.js';

/** Which dimensions a reduction runs over; all when left out. */
export type Dims = number | readonly number[] | undefined;

/** Options of a reduction. */
interface ReduceOptions {
  /** Integers and booleans become float32 first. */
  float?: boolean;
  /** Refuse to reduce nothing: there is no identity. */
  nonEmpty?: boolean;
  saves?: 'none' | 'both';
  /** Dtype of the result; that of the input when left out. */
  out?: number;
}

interface Reduced {
  /** x's shape with 1 where reduced. */
  kept: Shape;
  inputShape: Shape;
}

function reduction(
  name: OpName,
  fn: string,
  grad: ((dy: Tensor, x: Tensor, y: Tensor, shape: Shape) => Tensor) | null,
  { float = false, nonEmpty = false, saves = 'none', out: outCode }: ReduceOptions = {},
): (x: Tensor, dim?: Dims, keepdim?: boolean) => Tensor {
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
  return (input, dim, keepdim = false) => {
    let x = checkTensor(fn, 'input', input);
    checkBoolean(fn, 'keepdim', keepdim);
    if (float && !isFloat(x.code)) x = castCode(x, FLOAT32);
    const dims = normalizeDims(fn, dim, x.ndim);
    const kept = [...x.shape];
    for (const d of dims) {
      if (nonEmpty && kept[d] === 0)
        throw new ShapeError(`${fn}: expected at least one element to reduce, got shape [${x.shape.join(', ')}]`);
      kept[d] = 1;
    }
    const full = result(kept, outCode ?? x.code);
    emitUnary(op, x, full, passNs(x.numel));
    const y = keepdim
      ? full
      : full.asView(
          kept.filter((_, i) => !dims.includes(i)),
          null,
          0,
        );
    if (rule === null) return y;
    return record(rule, y, [x], saves === 'none' || !recording([x]) ? [] : [x, y], {
      kept,
      inputShape: x.shape,
    } satisfies Reduced);
  };
}

/** Σ over the given dimensions (all when left out). Integers and booleans are summed as float32. Empty gives 0. */
export const sum = reduction('sum', 'sum', (dy, _x, _y, shape) => expand(dy, shape), { float: true });

/** The arithmetic mean over the given dimensions (all when left out). Empty gives NaN. */
export const mean = reduction(
  'mean',
  'mean',
  (dy, _x, _y, shape) => expand(div(dy, numelOf(shape) / Math.max(dy.numel, 1)), shape),
  { float: true },
);

/** Π over the given dimensions (all when left out). Empty gives 1. */
export const prod = reduction(
  'prod',
  'prod',
  (dy, x, y, shape) => {
    // Elsewhere than at zeros the gradient is y / x; with exactly one zero only that element has one, the product of the rest.
    const zero = eq(x, 0);
    const dims = x.shape.flatMap((_, i) => (dy.shape[i] === x.shape[i] ? [] : [i]));
    const rest = prod(where(zero, 1, x), dims, true);
    const zeros = sum(castCode(zero, x.code), dims, true);
    const plain = div(mul(dy, y), where(zero, 1, x));
    const lone = where(logicalAnd(zero, eq(zeros, 1)), expand(mul(dy, rest), shape), 0);
    return where(eq(zeros, 0), plain, lone);
  },
  { float: true, saves: 'both' },
);

/** Gradient shared evenly among the elements that equal the extremum. */
function evenly(dy: Tensor, x: Tensor, y: Tensor): Tensor {
  const hit = castCode(eq(x, y), x.code);
  const dims = x.shape.flatMap((_, i) => (y.shape[i] === x.shape[i] ? [] : [i]));
  return mul(hit, div(dy, dims.length === 0 ? hit : sum(hit, dims, true)));
}

/** The largest element over the given dimensions (all when left out); NaN if there is one. Ties share the gradient evenly. */
export const amax = reduction('amax', 'amax', evenly, { nonEmpty: true, saves: 'both' });

/** The smallest element over the given dimensions (all when left out); NaN if there is one. Ties share the gradient evenly. */
export const amin = reduction('amin', 'amin', evenly, { nonEmpty: true, saves: 'both' });

const anyOf = reduction('any', 'any', null, { out: BOOL });
const allOf = reduction('all', 'all', null, { out: BOOL });

/** Whether any element over the given dimensions is true (not 0). */
export const any = (x: Tensor, dim?: Dims, keepdim?: boolean): Tensor =>
  anyOf(castCode(checkTensor('any', 'input', x), BOOL), dim, keepdim);

/** Whether all elements over the given dimensions are true (not 0). */
export const all = (x: Tensor, dim?: Dims, keepdim?: boolean): Tensor =>
  allOf(castCode(checkTensor('all', 'input', x), BOOL), dim, keepdim);

/** How many elements over the given dimensions are not 0, as float64. */
export const countNonzero = reduction('count_nonzero', 'countNonzero', null, { out: FLOAT64 });

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

/** Sums a gradient over the dimensions that were broadcast, back to `shape`. */
export function sumTo(dy: Tensor, shape: Shape): Tensor {
  if (sameShape(dy.shape, shape)) return dy;
  const lead = dy.ndim - shape.length;
  const dims: number[] = [];
  for (let i = 0; i < dy.ndim; i++) if (i < lead || (shape[i - lead] === 1 && dy.shape[i] !== 1)) dims.push(i);
  const total = dims.length === 0 ? dy : sum(dy, dims, true);
  return viewAs(total, shape);
}
