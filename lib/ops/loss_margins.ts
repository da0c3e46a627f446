import { INT32, isFloat } from '../dtype.js';
import { DTypeError, ShapeError } from '../errors.js';
import { checkBoolean, checkNumber, show } from '../check.js';
import { ValueError } from '../errors.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, checkTensor } from './apply.js';
import { add, eq, minimum, mul, ne, sub } from './binary.js';
import { castCode } from './cast.js';
import { where } from './create.js';
import { pairwiseDistance } from './distance.js';
import { indexSelect, oneHot } from './indexing.js';
import { checkClassWeight, checkPair, checkReduction, checkShapeIs, reduced, type LossOptions } from './loss_common.js';
import { mean, sum } from './reduce.js';
import { softplus } from './activation.js';
import { clamp } from './clamp.js';
import { neg, square, sqrt } from './unary.js';
import { div } from './binary.js';
import { unsqueeze } from './views.js';

// Losses that ask for a distance between what should be near and what should be far.

/**
 * x where y = 1, max(0, margin − x) where y = −1: for distances x of pairs that are alike or not.
 * @param options `margin` is 1 by default
 */
export function hingeEmbeddingLoss(
  x: Tensor,
  y: Tensor,
  { margin = 1, reduction = 'mean' }: LossOptions & { margin?: number } = {},
): Tensor {
  const fn = 'hingeEmbeddingLoss';
  checkPair(fn, x, y);
  checkReduction(fn, reduction);
  checkNumber(fn, 'margin', margin);
  const apart = where(ne(y, 1), clamp(sub(margin, x), 0), 0);
  return reduced(add(apart, where(ne(y, -1), x, 0)), reduction);
}

/**
 * max(0, margin − y (x1 − x2)): x1 is to rank above x2 where y = 1, below where y = −1.
 * @param options `margin` is 0 by default
 */
export function marginRankingLoss(
  x1: Tensor,
  x2: Tensor,
  y: Tensor,
  { margin = 0, reduction = 'mean' }: LossOptions & { margin?: number } = {},
): Tensor {
  const fn = 'marginRankingLoss';
  checkPair(fn, x1, x2, ['x1', 'x2']);
  checkPair(fn, x1, y, ['x1', 'target']);
  checkReduction(fn, reduction);
  checkNumber(fn, 'margin', margin);
  return reduced(clamp(sub(margin, mul(y, sub(x1, x2))), 0), reduction);
}

/** log(1 + e^(−y x)) of scores x and targets y = ±1. */
export function softMarginLoss(x: Tensor, y: Tensor, { reduction = 'mean' }: LossOptions = {}): Tensor {
  const fn = 'softMarginLoss';
  checkPair(fn, x, y);
  checkReduction(fn, reduction);
  return reduced(softplus(neg(mul(y, x)), { threshold: 40 }), reduction);
}

/** Options of {@link tripletMarginLoss}. */
export interface TripletMarginLossOptions extends LossOptions {
  /** How much farther the negative is to be. Default 1. */
  margin?: number;
  /** The norm that measures distance. Default 2. */
  p?: number;
  /** Added to every difference. Default 1e-6. */
  eps?: number;
  /** Whether the negative counts from the positive where that is nearer to it (Balntas et al., 2016). Default false. */
  swap?: boolean;
}

/** max(0, margin + d(a, p) − d(a, n)) of anchors, positives and negatives (…, D) (Schroff et al., 2015). */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  { margin = 1, p = 2, eps = 1e-6, swap = false, reduction = 'mean' }: TripletMarginLossOptions = {},
): Tensor {
  const fn = 'tripletMarginLoss';
  checkPair(fn, anchor, positive, ['anchor', 'positive']);
  checkPair(fn, anchor, negative, ['anchor', 'negative']);
  checkReduction(fn, reduction);
  checkNumber(fn, 'margin', margin);
  checkNumber(fn, 'eps', eps);
  checkBoolean(fn, 'swap', swap);
  const near = pairwiseDistance(anchor, positive, { p, eps });
  let far = pairwiseDistance(anchor, negative, { p, eps });
  if (swap) far = minimum(far, pairwiseDistance(positive, negative, { p, eps }));
  return reduced(clamp(add(sub(near, far), margin), 0), reduction);
}

/** Added to squared lengths before their product is a divisor. */
const EPSILON = 1e-12;

/**
 * 1 − cos(x1, x2) where y = 1, max(0, cos(x1, x2) − margin) where y = −1: x1, x2 (N, D) with y (N), or (D) with y ().
 * @param options `margin`, −1 to 1, is 0 by default
 */
export function cosineEmbeddingLoss(
  x1: Tensor,
  x2: Tensor,
  y: Tensor,
  { margin = 0, reduction = 'mean' }: LossOptions & { margin?: number } = {},
): Tensor {
  const fn = 'cosineEmbeddingLoss';
  checkPair(fn, x1, x2, ['x1', 'x2']);
  checkReduction(fn, reduction);
  checkNumber(fn, 'margin', margin);
  if (x1.ndim === 0 || x1.ndim > 2) {
    throw new ShapeError(`${fn}: expected x1 of shape [N, D] or [D], got ${formatShape(x1.shape)}`);
  }
  checkShapeIs(fn, 'target', checkTensor(fn, 'target', y), x1.shape.slice(0, -1));
  const length = (x: Tensor): Tensor => sqrt(add(sum(square(x), -1), EPSILON));
  const cos = div(sum(mul(x1, x2), -1), mul(length(x1), length(x2)));
  const alike = where(eq(y, 1), sub(1, cos), 0);
  return reduced(add(alike, where(eq(y, -1), clamp(sub(cos, margin), 0), 0)), reduction);
}

/** Options of {@link multiMarginLoss}. */
export interface MultiMarginLossOptions extends LossOptions {
  /** 1 (the default) or 2. */
  p?: 1 | 2;
  /** Default 1. */
  margin?: number;
  /** A factor of each class (C). */
  weight?: Tensor | null;
}

/** Σ_{c ≠ t} w[t] max(0, margin − x[t] + x[c])^p / C of scores x (N, C) and classes t (N) of int32 (Crammer and Singer, 2001). */
export function multiMarginLoss(
  x: Tensor,
  target: Tensor,
  { p = 1, margin = 1, weight = null, reduction = 'mean' }: MultiMarginLossOptions = {},
): Tensor {
  const fn = 'multiMarginLoss';
  checkFloat(fn, 'input', x);
  checkReduction(fn, reduction);
  checkNumber(fn, 'margin', margin);
  if (p !== 1 && p !== 2) throw new ValueError(`${fn}: expected p to be 1 or 2, got ${show(p)}`);
  if (x.ndim !== 2) throw new ShapeError(`${fn}: expected input of shape [N, C], got ${formatShape(x.shape)}`);
  const [n, classes] = x.shape as [number, number];
  checkShapeIs(fn, 'target', checkTensor(fn, 'target', target), [n]);
  if (isFloat(target.code)) throw new DTypeError(`${fn}: expected target of dtype int32, got ${target.dtype}`);
  const labels = castCode(target, INT32);
  const hit = castCode(oneHot(labels, classes), 4);
  const own = sum(where(hit, x, 0), 1, true);
  let gaps = where(hit, 0, clamp(add(sub(x, own), margin), 0));
  if (p === 2) gaps = square(gaps);
  if (weight !== null) {
    checkSameDType(fn, 'input', x, 'weight', weight);
    gaps = mul(gaps, unsqueeze(indexSelect(checkClassWeight(fn, weight, x, classes), 0, labels), 1));
  }
  return reduced(mean(gaps, 1), reduction);
}
