import { checkInteger, checkNumber, checkOneOf, show } from '../check.js';
import { StateDictError, ValueError } from '../errors.js';
import type { Optimizer } from './optimizer.js';
import { checkOptimizer, perGroup, stateInteger, stateNumbers, type SchedulerState } from './scheduler.js';

/** Options of {@link ReduceLROnPlateau}. */
export interface ReduceLROnPlateauOptions {
  /** Whether the metric is to fall or to rise; `min`. */
  readonly mode?: 'min' | 'max';
  /** Factor on the rate, below 1; 0.1. */
  readonly factor?: number;
  /** Steps without improvement that are let pass; 10. */
  readonly patience?: number;
  /** How much counts as an improvement; 1e-4. */
  readonly threshold?: number;
  /** Whether the threshold is a share of the best value or a difference; `rel`. */
  readonly thresholdMode?: 'rel' | 'abs';
  /** Steps after a reduction in which nothing is counted; 0. */
  readonly cooldown?: number;
  /** Lowest rate, for all groups or for each; 0. */
  readonly minLr?: number | readonly number[];
  /** A smaller change of the rate is not made; 1e-8. */
  readonly eps?: number;
}

/** Lowers every group's rate when a metric has stopped improving. `step(metric)` is called after each evaluation. */
export class ReduceLROnPlateau {
  readonly optimizer: Optimizer;
  /** Steps taken. */
  lastEpoch = 0;
  readonly #options: Required<Omit<ReduceLROnPlateauOptions, 'minLr'>>;
  readonly #minLrs: readonly number[];
  #best: number;
  #badEpochs = 0;
  #cooldown = 0;

  constructor(optimizer: Optimizer, options: ReduceLROnPlateauOptions = {}) {
    const fn = 'ReduceLROnPlateau';
    const { mode = 'min', factor = 0.1, patience = 10, threshold = 1e-4, thresholdMode = 'rel' } = options;
    const { cooldown = 0, minLr = 0, eps = 1e-8 } = options;
    this.optimizer = checkOptimizer(fn, optimizer);
    checkOneOf(fn, 'mode', mode, ['min', 'max']);
    checkNumber(fn, 'factor', factor, { min: 0, max: 1 });
    if (factor === 1) throw new ValueError(`${fn}: expected factor to be below 1, got 1`);
    checkInteger(fn, 'patience', patience, { min: 0 });
    checkNumber(fn, 'threshold', threshold);
    checkOneOf(fn, 'thresholdMode', thresholdMode, ['rel', 'abs']);
    checkInteger(fn, 'cooldown', cooldown, { min: 0 });
    checkNumber(fn, 'eps', eps, { min: 0 });
    this.#minLrs = perGroup(fn, 'minLr', minLr, optimizer);
    this.#options = { mode, factor, patience, threshold, thresholdMode, cooldown, eps };
    this.#best = mode === 'min' ? Infinity : -Infinity;
  }

  /** Takes the latest value of the metric, a number: `await loss.item()`. NaN counts as no improvement. */
  step(metric: number): void {
    if (typeof metric !== 'number') {
      throw new ValueError(`ReduceLROnPlateau.step: expected metric to be a number, got ${show(metric)}`);
    }
    const { patience, cooldown } = this.#options;
    this.lastEpoch++;
    if (this.#improves(metric)) {
      this.#best = metric;
      this.#badEpochs = 0;
    } else this.#badEpochs++;
    if (this.#cooldown > 0) {
      this.#cooldown--;
      this.#badEpochs = 0;
    }
    if (this.#badEpochs > patience) {
      this.#reduce();
      this.#cooldown = cooldown;
      this.#badEpochs = 0;
    }
  }

  #improves(metric: number): boolean {
    const { mode, threshold, thresholdMode } = this.#options;
    if (mode === 'min') {
      return metric < (thresholdMode === 'rel' ? this.#best * (1 - threshold) : this.#best - threshold);
    }
    return metric > (thresholdMode === 'rel' ? this.#best * (threshold + 1) : this.#best + threshold);
  }

  #reduce(): void {
    const { factor, eps } = this.#options;
    this.optimizer.paramGroups.forEach((group, i) => {
      const lr = Math.max(group.lr * factor, this.#minLrs[i] ?? 0);
      if (group.lr - lr > eps) group.lr = lr;
    });
  }

  /** The rates that the groups have. */
  getLastLr(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr);
  }

  /** Position, best value (null before the first) and rates. */
  stateDict(): SchedulerState {
    return {
      lastEpoch: this.lastEpoch,
      best: Number.isFinite(this.#best) ? this.#best : null,
      badEpochs: this.#badEpochs,
      cooldown: this.#cooldown,
      lastLr: this.getLastLr(),
    };
  }

  /** Continues from {@link ReduceLROnPlateau.stateDict}, and gives every group the rate that it had. */
  loadStateDict(state: SchedulerState): void {
    const name = 'ReduceLROnPlateau';
    const lastEpoch = stateInteger(name, state, 'lastEpoch');
    const badEpochs = stateInteger(name, state, 'badEpochs');
    const cooldown = stateInteger(name, state, 'cooldown');
    const lastLr = stateNumbers(name, state, 'lastLr', this.optimizer);
    const { best } = state;
    if (best !== null && typeof best !== 'number') {
      throw new StateDictError(`${name}.loadStateDict: expected best to be a number or null, got ${show(best)}`);
    }
    this.lastEpoch = lastEpoch;
    this.#badEpochs = badEpochs;
    this.#cooldown = cooldown;
    this.#best = best ?? (this.#options.mode === 'min' ? Infinity : -Infinity);
    this.optimizer.paramGroups.forEach((group, i) => (group.lr = lastLr[i]!));
  }
}
