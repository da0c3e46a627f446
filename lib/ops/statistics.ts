// Spread, norms and log-sums over dimensions.
import { FLOAT32, isFloat } from '../dtype.js';
import { DTypeError, ShapeError, ValueError } from '../errors.js';
import { checkBoolean, checkNumber, oneOrMore, show } from '../check.js';
import { noGrad, type Node, type Rule } from '../autograd/graph.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { formatShape, normalizeDims, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkTensor, passNs, record, recording, result } from './apply.js';
import { add, div, eq, mul, ne, pow, sub } from './binary.js';
import { castCode, isfinite } from './cast.js';
import { where, zerosLike } from './create.js';
import { amax, evenly, mean, sum, type Dims } from './reduce.js';
import { svdvals } from './linalg.js';
import { abs, exp, log, sign } from './unary.js';
import { movedim, viewAs } from './views.js';

const VARIANCE = opcodeOf('variance');
const VECTOR_NORM = opcodeOf('vector_norm');

interface Reduced {
  dims: readonly number[];
  kept: Shape;
}

function reducedShape(fn: string, x: Tensor, dim: Dims): Reduced {
  const dims = normalizeDims(fn, dim, x.ndim);
  return { dims, kept: x.shape.map((size, i) => (dims.includes(i) ? 1 : size)) };
}

/** y of the kept shape without the dimensions that went. */
const finished = (y: Tensor, { dims, kept }: Reduced, keepdim: boolean): Tensor =>
  keepdim
    ? y
    : y.asView(
        kept.filter((_, i) => !dims.includes(i)),
        null,
        0,
      );

/** Options of {@link variance}, {@link std} and those with the mean. */
export interface VarianceOptions {
  /** What the number of elements is lessened by to divide; default 1. */
  correction?: number;
  /** Keep the dimensions as 1; default false. */
  keepdim?: boolean;
}

interface Variance extends Reduced {
  correction: number;
  root: boolean;
}

const varianceRule: Rule = {
  name: 'var',
  // dvar = 2 (x − mean) / (n − correction), and through the root dstd = dvar / (2 std), 0 where std is.
  backward: (dy, node) => {
    const { dims, kept, correction, root } = node.extra as Variance;
    const x = node.saved(0);
    const count = dims.reduce((n, d) => n * x.shape[d]!, 1);
    let g = viewAs(dy, kept);
    if (root) {
      const y = viewAs(node.saved(1), kept);
      const flat = eq(y, 0);
      g = where(flat, 0, div(g, mul(where(flat, 1, y), 2)));
    }
    return [mul(mul(g, 2 / Math.max(count - correction, 0)), sub(x, mean(x, [...dims], true)))];
  },
};

function spread(fn: string, input: Tensor, dim: Dims, options: VarianceOptions, root: boolean): Tensor {
  const x = checkFloat(fn, 'input', input);
  const { correction = 1, keepdim = false } = options;
  checkNumber(fn, 'correction', correction);
  checkBoolean(fn, 'keepdim', keepdim);
  const reduced = reducedShape(fn, x, dim);
  const full = result(reduced.kept, x.code);
  emit(VARIANCE, [x], [full], [correction, root ? 1 : 0], passNs(2 * x.numel));
  const y = finished(full, reduced, keepdim);
  const saved = recording([x]) ? (root ? [x, y] : [x]) : [];
  return record(varianceRule, y, [x], saved, { ...reduced, correction, root } satisfies Variance);
}

/** Σ (x − mean)² / (n − correction) over the given dimensions (all when left out); computed in float64. PyTorch's `var`. */
export const variance = (x: Tensor, dim?: Dims | null, options: VarianceOptions = {}): Tensor =>
  spread('var', x, dim ?? undefined, options, false);

/** The root of the {@link variance}. */
export const std = (x: Tensor, dim?: Dims | null, options: VarianceOptions = {}): Tensor =>
  spread('std', x, dim ?? undefined, options, true);

/** The {@link variance} and the mean. */
export const varMean = (x: Tensor, dim?: Dims | null, options: VarianceOptions = {}): [Tensor, Tensor] => [
  spread('varMean', x, dim ?? undefined, options, false),
  mean(x, dim ?? undefined, options.keepdim),
];

/** The {@link std} and the mean. */
export const stdMean = (x: Tensor, dim?: Dims | null, options: VarianceOptions = {}): [Tensor, Tensor] => [
  spread('stdMean', x, dim ?? undefined, options, true),
  mean(x, dim ?? undefined, options.keepdim),
];

/** x minus its finite maximum, and that maximum; 0 stands for one that is not finite. */
function centered(x: Tensor, dims: readonly number[]): [Tensor, Tensor] {
  const most = noGrad(() => {
    const m = amax(x.detach(), [...dims], true);
    return where(isfinite(m), m, 0);
  });
  return [sub(x, most), most];
}

const logsumexpRule: Rule = {
  name: 'logsumexp',
  // The softmax anew: e^(x − result) would carry the rounding of a large result.
  backward: (dy, node) => {
    const { dims, kept } = node.extra as Reduced;
    const powers = exp(centered(node.saved(0), dims)[0]);
    return [mul(viewAs(dy, kept), div(powers, sum(powers, [...dims], true)))];
  },
};

/** log Σ e^x over the given dimensions (all when left out), computed from x minus its maximum. Empty gives −∞. */
export function logsumexp(input: Tensor, dim?: Dims, keepdim = false): Tensor {
  const fn = 'logsumexp';
  checkTensor(fn, 'input', input);
  checkBoolean(fn, 'keepdim', keepdim);
  const x = isFloat(input.code) ? input : castCode(input, FLOAT32);
  const reduced = reducedShape(fn, x, dim);
  const y = noGrad(() => {
    const dims = [...reduced.dims];
    if (dims.some((d) => x.shape[d] === 0)) return log(sum(x, dims, true));
    const [rest, most] = centered(x, dims);
    return add(log(sum(exp(rest), dims, true)), most);
  });
  return record(logsumexpRule, finished(y, reduced, keepdim), [x], recording([x]) ? [x] : [], reduced);
}

interface Norm extends Reduced {
  p: number;
}

/** d‖x‖ₚ/dx times dy, as PyTorch has it where the norm has no derivative. */
function normGradient(dy: Tensor, x: Tensor, y: Tensor, p: number): Tensor {
  if (p === 0) return zerosLike(x);
  if (p === 1) return mul(dy, sign(x));
  if (p === Infinity || p === -Infinity) return mul(sign(x), evenly(dy, abs(x), y));
  const none = eq(y, 0);
  const safe = where(none, 1, y);
  if (p === 2) return mul(x, where(none, 0, div(dy, safe)));
  // Powers of |x| / y neither overflow nor underflow; where x is 0 there is no slope.
  const ratio = div(where(eq(x, 0), 1, abs(x)), safe);
  return mul(where(none, 0, mul(sign(x), pow(ratio, p - 1))), dy);
}

const normRule: Rule = {
  name: 'norm',
  backward: (dy, node: Node) => {
    const { p, kept } = node.extra as Norm;
    return [normGradient(viewAs(dy, kept), node.saved(0), viewAs(node.saved(1), kept), p)];
  },
};

function vectorNormOf(fn: string, x: Tensor, p: number, dim: Dims, keepdim: boolean): Tensor {
  const reduced = reducedShape(fn, x, dim);
  if ((p === Infinity || p < 0) && reduced.dims.some((d) => x.shape[d] === 0)) {
    throw new ShapeError(`${fn}: expected at least one element for order ${p}, got shape ${formatShape(x.shape)}`);
  }
  let full: Tensor;
  if (p === 0 || p === 1 || p === 2 || p === Infinity || p === -Infinity) {
    full = result(reduced.kept, x.code);
    emit(VECTOR_NORM, [x], [full], [p], passNs(x.numel));
  } else {
    full = noGrad(() => pow(sum(pow(abs(x.detach()), p), [...reduced.dims], true), 1 / p));
  }
  const y = finished(full, reduced, keepdim);
  return record(normRule, y, [x], recording([x]) ? [x, y] : [], { ...reduced, p } satisfies Norm);
}

function checkOrder(fn: string, p: unknown): number {
  if (typeof p === 'number' && !Number.isNaN(p)) return p;
  throw new ValueError(`${fn}: expected p to be a number, got ${show(p)}`);
}

/** (Σ |x|ᵖ)^(1/p) over the given dimensions (all when left out); p = 0 counts what is not 0, ±Infinity gives the extremes of |x|. */
export function vectorNorm(x: Tensor, p = 2, dim?: Dims, keepdim = false): Tensor {
  const fn = 'vectorNorm';
  checkFloat(fn, 'input', x);
  checkBoolean(fn, 'keepdim', keepdim);
  return vectorNormOf(fn, x, checkOrder(fn, p), dim, keepdim);
}

/**
 * A norm over the given dimensions (all when left out): a number is the order of {@link vectorNorm}, `'fro'` (the default) its
 * order 2, and `'nuc'` the sum of the singular values of matrices, for which there must be two dimensions.
 */
export function norm(x: Tensor, p: number | 'fro' | 'nuc' = 'fro', dim?: Dims, keepdim = false): Tensor {
  const fn = 'norm';
  checkFloat(fn, 'input', x);
  checkBoolean(fn, 'keepdim', keepdim);
  if (p === 'fro') return vectorNormOf(fn, x, 2, dim, keepdim);
  if (p !== 'nuc') return vectorNormOf(fn, x, checkOrder(fn, p), dim, keepdim);
  const dims = dim === undefined ? dim : oneOrMore(fn, 'dim', dim).map((d) => (d < 0 ? d + x.ndim : d));
  const { dims: pair, kept } = reducedShape(fn, x, dims);
  if (pair.length !== 2) throw new ShapeError(`${fn}: expected two dimensions for 'nuc', got ${show(dim)}`);
  const y = sum(svdvals(movedim(x, pair, [-2, -1])), -1);
  return keepdim ? viewAs(y, kept) : y;
}

/** Σ over the given dimensions (all when left out), NaN counting as 0. */
export function nansum(x: Tensor, dim?: Dims, keepdim?: boolean): Tensor {
  return sum(withoutNaN('nansum', x), dim, keepdim);
}

/** The mean over the given dimensions (all when left out) of what is not NaN. */
export function nanmean(x: Tensor, dim?: Dims, keepdim?: boolean): Tensor {
  const kept = withoutNaN('nanmean', x);
  const count = sum(castCode(eq(x, x), kept.code), dim, keepdim);
  return div(sum(kept, dim, keepdim), count);
}

function withoutNaN(fn: string, x: Tensor): Tensor {
  checkTensor(fn, 'input', x);
  if (!isFloat(x.code)) throw new DTypeError(`${fn}: expected input of dtype float32 or float64, got ${x.dtype}`);
  return where(ne(x, x), 0, x);
}
