import { fromTypedArray } from '../ops/create.js';
import type { Tensor } from '../tensor.js';

/** Target of a position that does not count, such as padding: what {@link crossEntropy} ignores unless told otherwise. */
export const IGNORED = -100;

/** Lists of tokens as one int32 tensor (N, T), T the length of the longest, filled up with `padding`. */
export function padTokens(rows: readonly ArrayLike<number>[], padding: number): Tensor {
  let steps = 0;
  for (const row of rows) steps = Math.max(steps, row.length);
  const flat = new Int32Array(rows.length * steps).fill(padding);
  rows.forEach((row, i) => flat.set(row, i * steps));
  return fromTypedArray(flat, [rows.length, steps]);
}
