import type { Tensor } from '../tensor.js';

/** A gradient that is zero but for some rows: `rows` (n, …) are to be added at `index` (n), in which a row may stand several times. */
export interface RowGradient {
  readonly index: Tensor;
  readonly rows: Tensor;
}

/** What backward has added up for the leaves that were looked up with `sparse: true`, part by part; the tensors are its own. */
const given = new WeakMap<Tensor, RowGradient[]>();
/** Whether there ever was one: programs without pay nothing. */
let some = false;

/** Adds a part to the gradient of a leaf. */
export function addRowGradient(leaf: Tensor, part: RowGradient): void {
  some = true;
  const parts = given.get(leaf);
  if (parts === undefined) given.set(leaf, [part]);
  else parts.push(part);
}

/** The parts of a leaf's gradient, or null. */
export const rowGradients = (leaf: Tensor): readonly RowGradient[] | null => (some ? (given.get(leaf) ?? null) : null);

/** Puts one part in the place of all. */
export function setRowGradient(leaf: Tensor, part: RowGradient): void {
  clearRowGradients(leaf);
  addRowGradient(leaf, part);
}

/** Frees the parts of a leaf's gradient. */
export function clearRowGradients(leaf: Tensor): void {
  const parts = rowGradients(leaf);
  if (parts === null) return;
  given.delete(leaf);
  for (const { index, rows } of parts) for (const t of [index, rows]) t.dispose();
}
