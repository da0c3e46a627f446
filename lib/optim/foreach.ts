import { DisposedError } from '../errors.js';
import type { OpName } from '../native/ops.generated.js';
import { Owner } from '../native/storage.js';
import { runInPlace } from '../native/stream.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';

/**
 * Puts an op over lists of tensors into the stream; it updates `outputs` in place. Inputs and outputs are contiguous,
 * as the op's row in native/ops.def says, and at most `MAX_LIST` together.
 * @throws DisposedError when one of the tensors was disposed
 */
export function foreach(
  fn: string,
  op: OpName,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  params: readonly number[],
): void {
  for (let i = 0; i < inputs.length; i++) checkLive(fn, inputs[i]!);
  for (let i = 0; i < outputs.length; i++) checkLive(fn, outputs[i]!);
  runInPlace(op, inputs, outputs, params);
}

function checkLive(fn: string, tensor: Tensor): void {
  if (tensor.storage.owner !== Owner.Freed) return;
  throw new DisposedError(`${fn}: a tensor of shape ${formatShape(tensor.shape)} was disposed`);
}
