import type { Module } from '../nn/module.js';
import type { Tensor } from '../tensor.js';
import type { EpochRecord } from './record.js';

/** A network from one tensor to one tensor. */
export interface TrainableModel extends Module {
  forward(input: Tensor): Tensor;
}

/** A network of any arguments, where a function says how it is called. */
export type AnyModel = Module & { forward(...inputs: never[]): unknown };

/** A model called with one input, whatever that is. @internal */
export interface Callable<I, O> {
  forward(input: I): O;
}

/**
 * A batch: input and target, rows first in both. A third element is what the batch counts for in means, such as its tokens where rows
 * are padded; the number of its rows otherwise.
 */
export type Batch<I = Tensor> = readonly [input: I, target: Tensor, weight?: number];

/**
 * What the trainer walks over, once an epoch: {@link DataLoader}, or an array of batches, or of promises of them. With `state` and
 * `loadState` a run can be resumed in the middle of an epoch: after `loadState(state())` the next walk starts with the batch not yet given.
 */
export interface BatchSource<I = Tensor> {
  /** Batches an epoch, if known: for the time left. */
  readonly length?: number;
  state?(): unknown;
  loadState?(state: never): void;
  [Symbol.asyncIterator]?(): AsyncIterator<Batch<I>>;
  [Symbol.iterator]?(): Iterator<Batch<I> | Promise<Batch<I>>>;
}

/** Anything with a state of its own to be kept in a checkpoint: tensors, numbers, strings, arrays and plain objects. */
export interface Stateful {
  stateDict(): unknown;
  loadStateDict(state: never): unknown;
}

/** What the trainer needs of an optimizer. */
export interface OptimizerLike extends Stateful {
  readonly paramGroups: readonly { lr: number }[];
  zeroGrad(): void;
  step(): unknown;
}

/** What the trainer needs of a scheduler; `step` gets the watched figure once an epoch. */
export interface SchedulerLike extends Stateful {
  step(metric?: number): unknown;
}

/** Where a run stands between two steps. */
export interface Progress {
  /** The epoch that is running, from 1. */
  readonly epoch: number;
  /** Epochs in all, if known. */
  readonly epochs: number | undefined;
  /** Steps finished since the start of the run. */
  readonly step: number;
  /** Steps in all, if known. */
  readonly steps: number | undefined;
  /** Mean training loss of the epoch so far. */
  readonly loss: number;
  /** Rows a second in this epoch. */
  readonly samplesPerSecond: number;
  /** Seconds until the run ends at the present rate, evaluation included; undefined while unknown. */
  readonly secondsLeft: number | undefined;
}

/** How a run ended. */
export type FitStatus = 'completed' | 'stopped-early' | 'interrupted';

/** What {@link Trainer.fit} resolves with. */
export interface FitResult {
  readonly status: FitStatus;
  /** Epochs and steps finished since the start of the run. */
  readonly epoch: number;
  readonly step: number;
  /** One record an epoch. */
  readonly history: readonly EpochRecord[];
  /** The last record; undefined if no epoch was finished. */
  readonly last: EpochRecord | undefined;
  /** The best epoch by the watched figure. */
  readonly best: { readonly monitor: string; readonly value: number; readonly epoch: number } | undefined;
  /** Seconds of training and evaluation, resumed parts included. */
  readonly seconds: number;
}

/** Hooks into a run; every method may be left out, and those that return a promise are awaited. */
export interface Callback {
  onStart?(progress: Progress): void | Promise<void>;
  /** A step's loss and metrics became known; this trails the step itself by a few milliseconds. */
  onStep?(step: { readonly step: number; readonly loss: number }): void;
  /** A few times a second while an epoch runs. */
  onProgress?(progress: Progress): void;
  onEpochEnd?(record: EpochRecord): void | Promise<void>;
  onEnd?(result: FitResult): void | Promise<void>;
  /** The run failed; the error is thrown afterwards. */
  onError?(error: unknown): void;
}
