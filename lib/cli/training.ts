import { UsageError } from '../errors.js';
import type { ModelEntry } from '../models/registry.js';
import type { Module } from '../nn/module.js';
import type { Optimizer } from '../optim/optimizer.js';
import type { Tensor } from '../tensor.js';
import type { Metric } from '../train/metrics.js';
import type { TrainerOptions } from '../train/trainer.js';
import type { RunConfig } from './config.js';

/** What a model is trained and judged by. */
export interface Criterion<I = Tensor> {
  /** Calls the model; left out where its own `forward` takes the input. */
  readonly forward?: (input: I) => Tensor;
  readonly loss: (output: Tensor, target: Tensor) => Tensor;
  readonly metrics: Readonly<Record<string, Metric>>;
  readonly derived?: NonNullable<TrainerOptions['derived']>;
}

/**
 * Cross-entropy and accuracy; for models that reconstruct the mean squared error and the sum of squared errors of an example. What
 * a model's own forward pass adds (the penalty of sparse codes, auxiliary classifiers) is added in training.
 */
export async function criterion(model: Module, { reconstructs = false }: ModelEntry): Promise<Criterion> {
  const [{ accuracy, squaredError }, { crossEntropy }, { mseLoss }, { SparseAutoencoder }, googlenet] =
    await Promise.all([
      import('../train/metrics.js'),
      import('../ops/loss.js'),
      import('../ops/loss_pairs.js'),
      import('../models/autoencoder.js'),
      import('../models/googlenet.js'),
    ]);
  if (!reconstructs) {
    const { GoogLeNet, googlenetLoss } = googlenet;
    const loss = (output: Tensor, target: Tensor): Tensor =>
      model instanceof GoogLeNet ? googlenetLoss(model, output, target) : crossEntropy(output, target);
    return { loss, metrics: { accuracy } };
  }
  const loss = (output: Tensor, target: Tensor): Tensor => {
    const error = mseLoss(output, target);
    const sparse = model instanceof SparseAutoencoder && model.training ? model.penalty : null;
    return sparse === null ? error : error.add(sparse);
  };
  return { loss, metrics: { squared_error: squaredError } };
}

/** The optimizer of a run; SGD has a momentum of 0.9. */
export async function makeOptimizer(config: RunConfig, parameters: Iterable<Tensor>): Promise<Optimizer> {
  const { lr, weight_decay: weightDecay } = config;
  switch (config.optimizer) {
    case 'sgd':
      return new (await import('../optim/sgd.js')).SGD(parameters, { lr, momentum: 0.9, weightDecay });
    case 'adam':
      return new (await import('../optim/adam.js')).Adam(parameters, { lr, weightDecay });
    case 'adamw':
      return new (await import('../optim/adam.js')).AdamW(parameters, { lr, weightDecay });
    case 'rmsprop':
      return new (await import('../optim/rmsprop.js')).RMSprop(parameters, { lr, weightDecay });
    case 'adagrad':
      return new (await import('../optim/adagrad.js')).Adagrad(parameters, { lr, weightDecay });
  }
}

/** The scheduler of a run, if it has one, stepped after every batch. */
export async function makeScheduler(
  { schedule, epochs, steps, lr, warmup }: RunConfig,
  optimizer: Optimizer,
  batches: number,
  modelSize?: number,
): Promise<Pick<TrainerOptions, 'scheduler' | 'schedulerEvery'>> {
  if (schedule === 'constant') return {};
  if (schedule === 'noam') {
    if (modelSize === undefined)
      throw new UsageError('--schedule noam is for models with a width, such as seq2seq-transformer');
    const { NoamLR } = await import('../optim/schedulers.js');
    const options = { modelSize, factor: lr, warmupSteps: Math.max(warmup, 1) };
    return { scheduler: new NoamLR(optimizer, options), schedulerEvery: 'step' };
  }
  const total = Math.min(steps ?? Infinity, (epochs ?? Infinity) * batches);
  if (schedule === 'warmup-cosine') {
    const { LambdaLR } = await import('../optim/schedulers.js');
    return { scheduler: new LambdaLR(optimizer, warmupCosine(warmup, total)), schedulerEvery: 'step' };
  }
  if (schedule === 'cosine') {
    const { CosineAnnealingLR } = await import('../optim/schedulers.js');
    return { scheduler: new CosineAnnealingLR(optimizer, { tMax: total }), schedulerEvery: 'step' };
  }
  const { OneCycleLR } = await import('../optim/onecycle.js');
  // The last step of the optimizer is followed by one of the scheduler.
  return { scheduler: new OneCycleLR(optimizer, { maxLr: lr, totalSteps: total + 1 }), schedulerEvery: 'step' };
}

/** Factor on the rate: (t + 1) / warmup at first, then half a cosine from 1 to a tenth at step `total`. */
export const warmupCosine =
  (warmup: number, total: number) =>
  (t: number): number => {
    if (t < warmup) return (t + 1) / warmup;
    const share = Math.min(1, (t - warmup) / Math.max(1, total - warmup));
    return 0.1 + 0.45 * (1 + Math.cos(Math.PI * share));
  };
