import { show } from '../check.js';
import { FileFormatError, ValueError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import type { BestState, EarlyStoppingOptions } from './early_stopping.js';
import type { MeterState } from './meter.js';
import type { EpochRecord } from './record.js';

/** The watched figure of a run. */
export interface Monitor {
  name: `train_${string}` | `test_${string}`;
  mode: 'min' | 'max';
}

/** The trainer's own part of a checkpoint. */
export interface TrainerState {
  epoch: number;
  step: number;
  /** Steps of the epoch in progress; 0 between epochs. */
  stepInEpoch: number;
  seconds: number;
  meter: MeterState;
  history: readonly EpochRecord[];
  monitor?: Monitor;
  best?: BestState;
  bestModel?: Record<string, Tensor>;
}

/** The figure to watch: what was asked for, else test accuracy, test loss or train loss, whichever the record has first. */
export function defaultMonitor(record: EpochRecord, { monitor, mode }: EarlyStoppingOptions = {}): Monitor {
  const name =
    monitor ?? (['test_accuracy', 'test_loss'] as const).find((key) => record[key] !== undefined) ?? 'train_loss';
  if (record[name] === undefined) {
    const known = Object.keys(record).filter((key) => /^(train|test)_/.test(key));
    throw new ValueError(`EarlyStopping: expected monitor to be one of ${known.join(', ')}, got ${show(name)}`);
  }
  return { name, mode: mode ?? (/accuracy|precision|recall|f1/.test(name) ? 'max' : 'min') };
}

/** The trainer's part of a checkpoint's `extra`, or a typed error. */
export function checkTrainerState(path: string, extra: unknown, width: number): TrainerState {
  const state = (extra as { trainer?: Partial<TrainerState> } | undefined)?.trainer;
  const wrong = (what: string): never => {
    throw new FileFormatError(`Trainer.load: expected ${path} to hold ${what}`, path);
  };
  if (state === null || typeof state !== 'object') return wrong('the state of a Trainer');
  const { epoch, step, stepInEpoch, seconds, meter, history } = state;
  for (const count of [epoch, step, stepInEpoch]) {
    if (!Number.isSafeInteger(count) || (count ?? -1) < 0) wrong('non-negative counters');
  }
  if (typeof seconds !== 'number' || !Array.isArray(history)) wrong('the seconds and the history of its run');
  if (typeof meter?.rows !== 'number' || meter.sums?.length !== width)
    wrong('sums for the loss and every metric of this Trainer');
  return state as TrainerState;
}
