import { noGrad } from '../autograd/graph.js';
import { clearRowGradients, rowGradients, setRowGradient, type RowGradient } from '../autograd/rows.js';
import { keep, scope } from '../autograd/scope.js';
import type { OpName } from '../native/ops.generated.js';
import { arange, empty, zeros } from '../ops/create.js';
import { addRows, writeRows } from '../ops/gather.js';
import { indexSelect } from '../ops/indexing.js';
import { cat } from '../ops/views.js';
import type { Tensor } from '../tensor.js';
import { foreach } from './foreach.js';

/** For each of n indices, the place of the last equal one; takes memory for as many integers as there are rows. */
function lastEqual(index: Tensor, size: number): Tensor {
  const place = empty([size], { dtype: 'int32' });
  writeRows(place, index, arange(0, index.numel, 1, { dtype: 'int32' }));
  return indexSelect(place, 0, index);
}

/**
 * The gradient of a leaf as one part, in which of the rows with the same index the last holds the sum, in order, and the others zeros;
 * null without one.
 */
export function combinedRows(leaf: Tensor): RowGradient | null {
  const parts = rowGradients(leaf);
  if (parts === null) return null;
  const whole = scope(() =>
    noGrad(() => {
      const index = keep(
        cat(
          parts.map((part) => part.index),
          0,
        ),
      );
      const dy = cat(
        parts.map(({ rows }) => rows),
        0,
      );
      const rows = keep(zeros([...dy.shape], { dtype: dy.dtype }));
      addRows(rows, lastEqual(index, leaf.shape[0]!), dy);
      return { index, rows };
    }),
  );
  setRowGradient(leaf, whole);
  return whole;
}

/** Adds the rows to the dense gradient that the leaf also has. */
export function mergeRows(leaf: Tensor, grad: Tensor): void {
  for (const { index, rows } of rowGradients(leaf) ?? []) addRows(grad, index, rows);
  clearRowGradients(leaf);
}

/**
 * Updates those rows of a parameter and of its state that have a gradient: they are taken out, updated as whole tensors are, and put
 * back; rows that stand several times are updated alike.
 */
export function stepRows(
  fn: string,
  op: OpName,
  { index, rows }: RowGradient,
  tensors: readonly Tensor[],
  params: readonly number[],
): void {
  if (index.numel === 0) return;
  scope(() =>
    noGrad(() => {
      const sums = indexSelect(rows, 0, lastEqual(index, tensors[0]!.shape[0]!));
      const taken = tensors.map((t) => indexSelect(t.detach(), 0, index));
      foreach(fn, op, [sums], taken, params);
      tensors.forEach((t, i) => writeRows(t, index, taken[i]!));
    }),
  );
}
