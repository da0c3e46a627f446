import { noGrad, type Module, type Optimizer, type Tensor } from 'myelin';
import { initialise } from '../data.js';

/** What a workload repeats. */
export interface Job {
  /** Training: zeroed gradients, forward, loss, backward, update, the loss read. Inference: a forward pass, one value read. */
  step(): Promise<number>;
  readonly params: number;
}

/** A row of the suite. */
export interface Workload {
  readonly name: string;
  readonly kind: 'training' | 'inference';
  /** Rows, images or predicted tokens a step. */
  readonly samples: number;
  /** What the first and the tenth step return (inference: the first and the third) in every correct implementation. */
  readonly check: readonly [first: number, last: number];
  /** Relative differences that are allowed; 1e-4 and 1e-3. */
  readonly tolerance?: readonly [first: number, last: number];
  /** Multiplications and additions of matrix products and direct convolutions of a step. */
  readonly flops: number;
  /** Bytes that a step with every elementwise operation fused must move: see {@link stepBytes}. */
  readonly bytes: number;
  /** Makes the model, initialised, and its data. */
  make(): Job | Promise<Job>;
}

/** Bytes a parameter by optimizer: read forward and backward, written, and its state read and written. */
const parameterBytes = { sgd: 12, momentum: 20, adam: 28, inference: 4 } as const;

/**
 * Least traffic of a step. A stored activation costs 20 bytes in training (written, read forward and backward, its gradient written
 * and read) and 8 in inference.
 */
export const stepBytes = (params: number, activations: number, optimizer: keyof typeof parameterBytes): number =>
  params * parameterBytes[optimizer] + activations * (optimizer === 'inference' ? 8 : 20);

const countParameters = (model: Module): number => model.parameters().reduce((sum, p) => sum + p.numel, 0);

/** Trains `model`, whose weights are set by their names, on what `loss` computes. */
export function training<M extends Module>(
  model: M,
  loss: (model: M) => Tensor,
  optimizerOf: (model: M) => Optimizer,
): Job {
  initialise(model);
  const optimizer = optimizerOf(model);
  return {
    async step() {
      const value = loss(model);
      optimizer.zeroGrad();
      value.backward();
      optimizer.step();
      return await value.item();
    },
    params: countParameters(model),
  };
}

/** Runs `model`, whose weights are set by their names, in evaluation mode and without gradients; `output` gives one value. */
export function inference<M extends Module>(model: M, output: (model: M) => Tensor): Job {
  initialise(model);
  model.eval();
  return {
    step: async () => await noGrad(() => output(model)).item(),
    params: countParameters(model),
  };
}
