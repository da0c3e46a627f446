import { checkInteger, checkNumber, checkOneOf } from '../check.js';

/** What is watched, and for how long. */
export interface EarlyStoppingOptions {
  /** The record's figure to watch, such as `test_loss`. Default: `test_accuracy` if there, else `test_loss`, else `train_loss`. */
  monitor?: `train_${string}` | `test_${string}`;
  /** Whether smaller or larger is better. Default: `max` for accuracies and other shares, `min` otherwise. */
  mode?: 'min' | 'max';
  /** Epochs without improvement after which training stops. Default 10. */
  patience?: number;
  /** Smallest change that counts as an improvement. Default 0. */
  minDelta?: number;
  /** Whether the best epoch's parameters come back at the end. Default true. */
  restoreBest?: boolean;
}

/** Exact in JSON; `value` is null before the first epoch. */
export interface BestState {
  value: number | null;
  epoch: number;
  waited: number;
}

/** Remembers the best epoch and says when it has been too long ago (Prechelt, "Early stopping — but when?", 1998). */
export class BestTracker {
  readonly mode: 'min' | 'max';
  readonly patience: number;
  readonly minDelta: number;
  #state: BestState = { value: null, epoch: 0, waited: 0 };

  constructor({
    mode = 'min',
    patience = Infinity,
    minDelta = 0,
  }: { mode?: 'min' | 'max'; patience?: number; minDelta?: number } = {}) {
    this.mode = checkOneOf('EarlyStopping', 'mode', mode, ['min', 'max']);
    this.patience = patience === Infinity ? patience : checkInteger('EarlyStopping', 'patience', patience, { min: 1 });
    this.minDelta = checkNumber('EarlyStopping', 'minDelta', minDelta, { min: 0 });
  }

  /** The best value so far, or null. */
  get value(): number | null {
    return this.#state.value;
  }

  /** The epoch it came from; 0 before the first. */
  get epoch(): number {
    return this.#state.epoch;
  }

  /** Whether `patience` epochs in a row brought nothing. */
  get exhausted(): boolean {
    return this.#state.waited >= this.patience;
  }

  /** Takes an epoch's value; true if it is the best so far. NaN never is. */
  update(value: number, epoch: number): boolean {
    const best = this.#state.value;
    const gain = best === null ? Infinity : this.mode === 'max' ? value - best : best - value;
    const better = !Number.isNaN(value) && (best === null || (gain > 0 && gain >= this.minDelta));
    this.#state = better ? { value, epoch, waited: 0 } : { ...this.#state, waited: this.#state.waited + 1 };
    return better;
  }

  state(): BestState {
    return { ...this.#state };
  }

  loadState(state: BestState): void {
    this.#state = { ...state };
  }
}
