import { fromTypedArray, zeros } from '../../lib/ops/create.js';
import type { Module } from '../../lib/nn/module.js';
import { noGrad } from '../../lib/autograd/graph.js';
import { memory, synchronize } from '../../lib/runtime.js';
import type { DType } from '../../lib/dtype.js';
import type { Tensor } from '../../lib/tensor.js';

/** The numbers that the scripts of test/golden make: exact in both languages. */
export function values(count: number, seed: number, low = -0.5, high = 0.5): number[] {
  return Array.from(
    { length: count },
    (_, i) => low + ((high - low) * (((i + 1) * (7919 + 2 * seed) + seed) % 1009)) / 1009,
  );
}

/** A float tensor of row-major numbers. */
export function floats(numbers: readonly number[], shape: readonly number[], dtype: DType = 'float64'): Tensor {
  return fromTypedArray(Float64Array.from(numbers), [...shape], { dtype });
}

/** Fills the parameters of a model as the golden scripts do. */
export function fillParameters(model: Module): void {
  noGrad(() => {
    model.parameters().forEach((p, seed) => {
      const bound = 1 / Math.sqrt(p.shape.at(-1)!);
      p.copy_(floats(values(p.numel, seed, -bound, bound), p.shape));
    });
  });
}

/** The elements as plain numbers. */
export const numbers = (t: Tensor): number[] => Array.from(t.dataSync());

/** The largest difference of two lists, relative to 1 or the second list's values. */
export function distance(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Infinity;
  return Math.max(0, ...a.map((x, i) => Math.abs(x - b[i]!) / Math.max(1, Math.abs(b[i]!))));
}

/** Live handles, after the collector took what nobody holds and all commands ran. */
export async function liveHandles(): Promise<number> {
  for (let i = 0; i < 2; i++) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setImmediate(resolve));
    // Making a tensor takes up what the finalizers reported.
    zeros([1]).dispose();
    await synchronize();
  }
  return memory().handles;
}
