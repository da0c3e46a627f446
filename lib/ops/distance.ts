import { ShapeError } from '../errors.js';
import { checkBoolean, checkNumber } from '../check.js';
import { broadcastShapes, normalizeDim } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType } from './apply.js';
import { add, div, mul, sub } from './binary.js';
import { atLeastStraight } from './loss_common.js';
import { sum } from './reduce.js';
import { clamp } from './clamp.js';
import { vectorNorm } from './statistics.js';
import { expand } from './views.js';

function checkVectors(fn: string, x1: Tensor, x2: Tensor): void {
  checkFloat(fn, 'x1', x1);
  checkFloat(fn, 'x2', x2);
  checkSameDType(fn, 'x1', x1, 'x2', x2);
}

/** Options of {@link cosineSimilarity}. */
export interface CosineSimilarityOptions {
  /** Along which the vectors lie. Default 1. */
  dim?: number;
  /** Least length to divide by. Default 1e-8. */
  eps?: number;
}

/** The cosine of the angles between vectors along `dim`; x1 and x2 broadcast. */
export function cosineSimilarity(
  x1: Tensor,
  x2: Tensor,
  { dim = 1, eps = 1e-8 }: CosineSimilarityOptions = {},
): Tensor {
  const fn = 'cosineSimilarity';
  checkVectors(fn, x1, x2);
  checkNumber(fn, 'eps', eps, { min: 0 });
  const shape = broadcastShapes(fn, x1.shape, x2.shape);
  const d = normalizeDim(fn, dim, shape.length);
  const direction = (x: Tensor): Tensor => div(x, atLeastStraight(vectorNorm(x, 2, d, true), eps));
  return sum(mul(direction(expand(x1, shape)), direction(expand(x2, shape))), d);
}

/** Options of {@link normalize}. */
export interface NormalizeOptions {
  /** Order of the norm. Default 2. */
  p?: number;
  /** Along which the vectors lie. Default 1. */
  dim?: number | readonly number[];
  /** Least norm to divide by. Default 1e-12. */
  eps?: number;
}

/** x divided by the p-norms of its vectors along `dim`. */
export function normalize(x: Tensor, { p = 2, dim = 1, eps = 1e-12 }: NormalizeOptions = {}): Tensor {
  const fn = 'normalize';
  checkFloat(fn, 'input', x);
  checkNumber(fn, 'eps', eps, { min: 0 });
  return div(x, clamp(vectorNorm(x, p, dim, true), eps));
}

/** Options of {@link pairwiseDistance}. */
export interface PairwiseDistanceOptions {
  /** Order of the norm. Default 2. */
  p?: number;
  /** Added to every difference. Default 1e-6. */
  eps?: number;
  /** Whether the last dimension stays, as 1. Default false. */
  keepdim?: boolean;
}

/** The p-norms of x1 − x2 + eps along the last dimension; x1 and x2 broadcast. */
export function pairwiseDistance(
  x1: Tensor,
  x2: Tensor,
  { p = 2, eps = 1e-6, keepdim = false }: PairwiseDistanceOptions = {},
): Tensor {
  const fn = 'pairwiseDistance';
  checkVectors(fn, x1, x2);
  checkNumber(fn, 'eps', eps);
  checkBoolean(fn, 'keepdim', keepdim);
  if (x1.ndim === 0 && x2.ndim === 0) throw new ShapeError(`${fn}: expected at least 1 dimension, got two scalars`);
  return vectorNorm(add(sub(x1, x2), eps), p, -1, keepdim);
}
