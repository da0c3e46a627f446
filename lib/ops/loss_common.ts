import { ShapeError } from '../errors.js';
import { checkOneOf } from '../check.js';
import { broadcastShapes, formatShape, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType } from './apply.js';
import { add, sub } from './binary.js';
import { mean, sum } from './reduce.js';
import { clamp } from './clamp.js';

/** How the losses of a batch become one: none leaves them apart. */
export type Reduction = 'mean' | 'sum' | 'none';

/** In the order of their codes in the native core. */
export const REDUCTIONS = ['none', 'mean', 'sum'] as const;

/** Options that every loss has. */
export interface LossOptions {
  /** Default 'mean'. */
  reduction?: Reduction;
}

/** Checks the name of a reduction. */
export const checkReduction = (fn: string, reduction: unknown): Reduction =>
  checkOneOf(fn, 'reduction', reduction, REDUCTIONS);

/** The losses of all elements as one. */
export const reduced = (losses: Tensor, reduction: Reduction): Tensor =>
  reduction === 'none' ? losses : reduction === 'sum' ? sum(losses) : mean(losses);

/** Checks an input and what it is compared with: float, of one dtype and shape. */
export function checkPair(
  fn: string,
  input: Tensor,
  target: Tensor,
  names: readonly [string, string] = ['input', 'target'],
): void {
  checkFloat(fn, names[0], input);
  checkFloat(fn, names[1], target);
  checkSameDType(fn, names[0], input, names[1], target);
  if (!sameShape(input.shape, target.shape)) {
    throw new ShapeError(
      `${fn}: expected ${names[1]} of shape ${formatShape(input.shape)}, got ${formatShape(target.shape)}`,
    );
  }
}

/** Checks a factor that broadcasts to `shape`. */
export function checkFactor(fn: string, name: string, factor: Tensor, input: Tensor): Tensor {
  checkFloat(fn, name, factor);
  checkSameDType(fn, 'input', input, name, factor);
  if (!sameShape(broadcastShapes(fn, input.shape, factor.shape), input.shape)) {
    throw new ShapeError(
      `${fn}: expected ${name} that broadcasts to ${formatShape(input.shape)}, got ${formatShape(factor.shape)}`,
    );
  }
  return factor;
}

/** Checks class weights: (C). */
export function checkClassWeight(fn: string, weight: Tensor, input: Tensor, classes: number): Tensor {
  checkFloat(fn, 'weight', weight);
  checkSameDType(fn, 'input', input, 'weight', weight);
  checkShapeIs(fn, 'weight', weight, [classes]);
  return weight;
}

/** Throws unless x has this shape. */
export function checkShapeIs(fn: string, name: string, x: Tensor, shape: Shape): void {
  if (!sameShape(x.shape, shape)) {
    throw new ShapeError(`${fn}: expected ${name} of shape ${formatShape(shape)}, got ${formatShape(x.shape)}`);
  }
}

/** max(x, low) whose gradient passes as if there were no limit. */
export const atLeastStraight = (x: Tensor, low: number): Tensor => add(x, sub(clamp(x, low), x).detach());
