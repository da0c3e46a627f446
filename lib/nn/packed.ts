import { checkInteger, show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { checkTensor } from '../ops/apply.js';
import { full } from '../ops/create.js';
import { cat, narrow, stack, transpose } from '../ops/views.js';
import { formatShape, sameShape } from '../shape.js';
import { Tensor } from '../tensor.js';

/**
 * Sequences of several lengths for {@link RNN}, {@link LSTM} and {@link GRU}: padded, with their lengths. Made by
 * {@link packPaddedSequence} and {@link packSequence}.
 */
export interface PackedSequence {
  /** (T, B, …), or (B, T, …) when batch first. What stands after a row's length does not count. */
  readonly padded: Tensor;
  /** Steps of each row, 1 to T; in any order. */
  readonly lengths: readonly number[];
  readonly batchFirst: boolean;
}

/** Whether a value is a {@link PackedSequence}. @internal */
export const isPacked = (value: unknown): value is PackedSequence =>
  typeof value === 'object' && value !== null && !(value instanceof Tensor) && 'padded' in value && 'lengths' in value;

/** Gives the rows of `padded` (T, B, …), or (B, T, …) when batch first, their lengths. */
export function packPaddedSequence(
  padded: Tensor,
  lengths: readonly number[],
  { batchFirst = false }: { readonly batchFirst?: boolean } = {},
): PackedSequence {
  const fn = 'packPaddedSequence';
  if (checkTensor(fn, 'padded', padded).ndim < 2) {
    throw new ShapeError(`${fn}: expected padded of shape [T, B, ...], got ${formatShape(padded.shape)}`);
  }
  const [steps, batch] = (batchFirst ? [1, 0] : [0, 1]).map((d) => padded.shape[d]!) as [number, number];
  if (!Array.isArray(lengths) || lengths.length !== batch) {
    throw new ShapeError(`${fn}: expected ${batch} lengths, one for each row, got ${show(lengths)}`);
  }
  lengths.forEach((length, i) => checkInteger(fn, `lengths[${i}]`, length, { min: 1, max: steps }));
  return { padded, lengths: [...(lengths as readonly number[])], batchFirst };
}

/** The sequences (T_i, …) as one tensor (T, B, …), or (B, T, …) when batch first, filled up with `paddingValue`. */
export function padSequence(
  sequences: readonly Tensor[],
  { batchFirst = false, paddingValue = 0 }: { readonly batchFirst?: boolean; readonly paddingValue?: number } = {},
): Tensor {
  const fn = 'padSequence';
  if (!Array.isArray(sequences) || sequences.length === 0) {
    throw new ValueError(`${fn}: expected at least one sequence, got ${show(sequences)}`);
  }
  const list = sequences as readonly Tensor[];
  const inner = checkTensor(fn, 'sequences[0]', list[0]).shape.slice(1);
  list.forEach((x, i) => {
    if (checkTensor(fn, `sequences[${i}]`, x).ndim === 0 || !sameShape(x.shape.slice(1), inner)) {
      throw new ShapeError(
        `${fn}: expected sequences[${i}] of shape ${formatShape([-1, ...inner]).replace('-1', 'T')}, got ${formatShape(x.shape)}`,
      );
    }
  });
  const steps = Math.max(...list.map((x) => x.shape[0]!));
  const rows = list.map((x) => {
    const missing = steps - x.shape[0]!;
    return missing === 0 ? x : cat([x, full([missing, ...inner], paddingValue, { dtype: x.dtype })], 0);
  });
  return stack(rows, batchFirst ? 0 : 1);
}

/** Sequences (T_i, …) of several lengths for a recurrent layer. */
export const packSequence = (sequences: readonly Tensor[]): PackedSequence =>
  packPaddedSequence(
    padSequence(sequences),
    sequences.map((x) => x.shape[0]!),
  );

/** The padded tensor and the lengths of `packed`: (T, B, …), or (B, T, …) when batch first. */
export function padPackedSequence(
  packed: PackedSequence,
  { batchFirst = false }: { readonly batchFirst?: boolean } = {},
): [padded: Tensor, lengths: readonly number[]] {
  if (!isPacked(packed)) {
    throw new ValueError(`padPackedSequence: expected a packed sequence, got ${show(packed)}`);
  }
  const { padded, lengths } = packed;
  const steps = Math.max(...lengths);
  const used = narrow(padded, packed.batchFirst ? 1 : 0, 0, steps);
  return [packed.batchFirst === batchFirst ? used : transpose(used, 0, 1), lengths];
}
