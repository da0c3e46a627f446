import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { ShapeError } from '../errors.js';
import { cat } from '../ops/views.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';

/** The tensors, of one element each, without their graphs. */
export function detached(tensors: readonly Tensor[]): Tensor[] {
  return tensors.map((t) => {
    if (t.numel === 1) return t.detach();
    throw new ShapeError(`Trainer: expected losses and metrics of one element, got shape ${formatShape(t.shape)}`);
  });
}

/** Reads tensors of one element each in one transfer, in order. */
export function readValues(tensors: readonly Tensor[]): Promise<ArrayLike<number>> {
  const [first] = tensors;
  if (first === undefined) return Promise.resolve([]);
  if (tensors.length === 1) return first.data();
  const dtype = tensors.every((t) => t.dtype === first.dtype) ? first.dtype : 'float64';
  return scope(() => {
    const row = noGrad(() =>
      cat(
        tensors.map((t) => t.to(dtype).reshape([1])),
        0,
      ),
    );
    return row.data();
  });
}

/** Longest stretch of a loop without a turn of the event loop. */
const BREATH_MS = 4;

/** Gives timers, sockets and files their turn every few milliseconds of a loop that would otherwise keep the thread. */
export class Breather {
  #last = performance.now();

  /** A promise when it is time for a pause. */
  breathe(): Promise<void> | undefined {
    if (performance.now() - this.#last < BREATH_MS) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#last = performance.now();
        resolve();
      });
    });
  }
}
