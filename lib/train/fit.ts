import { mkdir } from 'node:fs/promises';
import { checkInteger, checkNumber, checkOneOf, show } from '../check.js';
import { MyelinError, ValueError } from '../errors.js';
import { ioError } from '../io/atomic.js';
import { Tensor } from '../tensor.js';
import type { EarlyStoppingOptions } from './early_stopping.js';
import type { Batch, BatchSource } from './types.js';

/** How far and under which conditions {@link Trainer.fit} goes. */
export interface FitOptions<I = Tensor> {
  /** Epochs in all, those before a resume included. One of `epochs` and `steps` is needed; the first one reached ends the run. */
  epochs?: number;
  /** Steps in all, those before a resume included. */
  steps?: number;
  /** Evaluated after every epoch. */
  validation?: BatchSource<I>;
  /** Ends the run when the watched figure no longer improves. Default: never. */
  earlyStopping?: EarlyStoppingOptions;
  /** When `out` is given: how often the checkpoint is written besides at the end. Default `{ minutes: 1 }`. */
  checkpointEvery?: { epochs?: number; minutes?: number };
  /** A checkpoint to go on from, bit for bit; `true` is the one in `out`. */
  resume?: string | boolean;
  /** Aborting it ends the run after the step in progress; a checkpoint is written if `out` is given. */
  signal?: AbortSignal;
  /** What to do when a training loss is NaN or infinite. Default `throw`. */
  nonFinite?: 'throw' | 'ignore';
}

/** Calls `visit` with each batch until it answers false; one walk is one epoch, or the rest of one. */
export async function walk<I>(loader: BatchSource<I>, visit: (batch: Batch<I>) => Promise<boolean>): Promise<void> {
  const iterator = loader[Symbol.iterator]?.() ?? loader[Symbol.asyncIterator]?.();
  if (iterator === undefined) return;
  let ended = false;
  try {
    for (;;) {
      const next = iterator.next();
      const result = next instanceof Promise ? await next : next;
      if (result.done === true) {
        ended = true;
        return;
      }
      const value: unknown = result.value;
      const batch: unknown = value instanceof Promise ? await value : value;
      const [, target, weight = 1] = Array.isArray(batch) ? (batch as unknown[]) : [];
      if (!(target instanceof Tensor) || !((weight as number) >= 0) || (batch as unknown[]).length > 3) {
        throw new ValueError(
          `Trainer: expected batches [input, target] or [input, target, weight], got ${show(batch)}`,
        );
      }
      if (!(await visit(batch as Batch<I>))) return;
    }
  } finally {
    if (!ended) await iterator.return?.();
  }
}

/** Rows of a batch: the size of the input's first dimension, or of the target's where the input is not one tensor. */
export const rowsOf = ([input, target]: Batch<unknown>): number =>
  (input instanceof Tensor ? input : target).shape[0] ?? 1;

/** What a batch counts for in means. */
export const weightOf = (batch: Batch<unknown>): number => batch[2] ?? rowsOf(batch);

/** Steps that a run will take, if that can be told beforehand. */
export function stepsInAll(
  loader: BatchSource<unknown>,
  epochs: number | undefined,
  steps: number | undefined,
): number | undefined {
  const byEpochs = epochs === undefined || loader.length === undefined ? undefined : epochs * loader.length;
  if (byEpochs === undefined) return steps;
  return steps === undefined ? byEpochs : Math.min(steps, byEpochs);
}

/** The error of a loss that is NaN or infinite. */
export function nonFinite({ step, loss }: { step: number; loss: number }): MyelinError {
  return new MyelinError(
    'ERR_NON_FINITE',
    `Trainer.fit: expected a finite loss, got ${loss} at step ${step}; try a smaller learning rate, clipGradNorm, or detectAnomaly to find the operation`,
  );
}

/** Makes a directory and those above it. */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw ioError('Trainer.fit', 'create', path, error);
  }
}

/** Throws unless `source` can be walked. */
export function checkSource(fn: string, name: string, source: unknown): void {
  const walkable =
    typeof source === 'object' && source !== null && (Symbol.iterator in source || Symbol.asyncIterator in source);
  if (!walkable)
    throw new ValueError(
      `${fn}: expected ${name} to be a DataLoader or another iterable of batches, got ${show(source)}`,
    );
}

/** Checks the arguments of `Trainer.fit`. */
export function checkFit(loader: BatchSource<unknown>, options: FitOptions<unknown>): void {
  const fn = 'Trainer.fit';
  checkSource(fn, 'loader', loader);
  if (options === null || typeof options !== 'object')
    throw new ValueError(`${fn}: expected an object of options, got ${show(options)}`);
  const { epochs, steps, validation, checkpointEvery, nonFinite: policy } = options;
  if (epochs === undefined && steps === undefined) throw new ValueError(`${fn}: expected epochs or steps, got neither`);
  if (epochs !== undefined) checkInteger(fn, 'epochs', epochs, { min: 1 });
  if (steps !== undefined) checkInteger(fn, 'steps', steps, { min: 1 });
  if (validation !== undefined) checkSource(fn, 'validation', validation);
  if (checkpointEvery?.epochs !== undefined)
    checkInteger(fn, 'checkpointEvery.epochs', checkpointEvery.epochs, { min: 1 });
  if (checkpointEvery?.minutes !== undefined)
    checkNumber(fn, 'checkpointEvery.minutes', checkpointEvery.minutes, { min: 0, finite: false });
  if (policy !== undefined) checkOneOf(fn, 'nonFinite', policy, ['throw', 'ignore']);
}
