import { IGNORED } from '../data/pad.js';
import { ShapeError } from '../errors.js';
import type { Tensor } from '../tensor.js';

/**
 * A figure of merit: from a batch's outputs and targets to a tensor of one element, its mean over the batch's rows. The
 * trainer weights batches by their rows and reads the values without stalling the stream.
 */
export type Metric = (output: Tensor, target: Tensor) => Tensor;

/**
 * The share of rows whose largest output is the target's class.
 * @param output - scores, (N, C).
 * @param target - classes, int32 (N).
 * @returns a float32 scalar in [0, 1].
 */
export const accuracy: Metric = (output, target) => {
  if (output.ndim !== 2 || target.ndim !== 1 || output.shape[0] !== target.shape[0]) {
    throw new ShapeError(
      `accuracy: expected output of shape [N, C] and target of shape [N], got [${output.shape.join(', ')}] and [${target.shape.join(', ')}]`,
    );
  }
  return output.argmax(1).eq(target).to('float32').mean();
};

/** Mean of |output − target| over all elements; both of one shape. */
export const meanAbsoluteError: Metric = (output, target) => output.sub(target).abs().mean();

/** Σ (output − target)² of a row, its mean over the rows; both (N, …) of one shape. */
export const squaredError: Metric = (output, target) =>
  output
    .sub(target)
    .square()
    .sum()
    .div(output.shape[0] ?? 1);

function rightTokens(fn: string, output: Tensor, target: Tensor): { right: Tensor; counts: Tensor } {
  const fits = output.ndim === 3 && target.ndim === 2 && target.shape.every((size, i) => size === output.shape[i]);
  if (!fits) {
    throw new ShapeError(
      `${fn}: expected output of shape [N, T, V] and target of shape [N, T], got [${output.shape.join(', ')}] and [${target.shape.join(', ')}]`,
    );
  }
  return { right: output.argmax(2).eq(target), counts: target.ne(IGNORED) };
}

/**
 * The share of tokens that are the likeliest of their position, those with target −100 left out.
 * @param output - scores, (N, T, V).
 * @param target - tokens, int32 (N, T).
 */
export const tokenAccuracy: Metric = (output, target) => {
  const { right, counts } = rightTokens('tokenAccuracy', output, target);
  return right.to('float32').sum().div(counts.to('float32').sum().clampMin(1));
};

/**
 * The share of sequences in which every token is the likeliest of its position, those with target −100 left out: what greedy decoding
 * gets entirely right. Shapes as in {@link tokenAccuracy}.
 */
export const sequenceAccuracy: Metric = (output, target) => {
  const { right, counts } = rightTokens('sequenceAccuracy', output, target);
  return right.logicalOr(counts.logicalNot()).all(1).to('float32').mean();
};
