import type { Module } from '../nn/module.js';
import type { Tensor } from '../tensor.js';
import type { Optimizer } from '../optim/optimizer.js';
import type { Setting } from './experiment.js';

/** The numbers of a tensor, by rows. */
export async function numbersOf(t: Tensor): Promise<number[]> {
  return Array.from(await t.data());
}

/** Steps between two looks at a loss. */
const STRIDE = 50;

/**
 * `steps` steps of an optimizer down `loss`, which makes a new batch of its own accord; gives the losses of every 50th step and the
 * last.
 */
export async function minimise(
  setting: Setting,
  optimizer: Optimizer,
  steps: number,
  loss: (step: number) => Tensor,
  after?: () => void,
): Promise<{ steps: number[]; losses: number[] }> {
  const curve = { steps: [] as number[], losses: [] as number[] };
  for (let step = 1; step <= steps; step++) {
    const value = loss(step - 1);
    optimizer.zeroGrad();
    value.backward();
    optimizer.step();
    after?.();
    if (step % STRIDE === 0 || step === steps) {
      setting.check();
      curve.steps.push(step);
      curve.losses.push(await value.item());
    }
    value.dispose();
  }
  return curve;
}

/** Evenly spaced numbers, both ends included. */
export function spaced(low: number, high: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
}

/** Trainable numbers of a model. */
export const countOf = (model: Module): number => model.parameters().reduce((sum, p) => sum + p.numel, 0);

/** A number with so many digits that files stay readable. */
export const short = (value: number, digits = 6): number => Number(value.toPrecision(digits));
