import { checkBoolean, checkInteger, checkNumber, checkOneOf } from '../check.js';
import { ValueError } from '../errors.js';
import type { Optimizer, ParamGroup } from './optimizer.js';
import { LRScheduler, perGroup, type SchedulerState } from './scheduler.js';

/** Options of {@link OneCycleLR}. */
export interface OneCycleLROptions {
  /** The highest rate, for all groups or for each. */
  readonly maxLr: number | readonly number[];
  /** Steps of the whole cycle; or give `epochs` and `stepsPerEpoch`. */
  readonly totalSteps?: number;
  readonly epochs?: number;
  readonly stepsPerEpoch?: number;
  /** Share of the steps during which the rate rises; 0.3. */
  readonly pctStart?: number;
  /** Form of the curve between two rates; `cos`. */
  readonly annealStrategy?: 'cos' | 'linear';
  /** Whether momentum (or Adam's first beta) moves the other way; true. */
  readonly cycleMomentum?: boolean;
  /** Lowest and highest momentum; 0.85 and 0.95. */
  readonly baseMomentum?: number | readonly number[];
  readonly maxMomentum?: number | readonly number[];
  /** The first rate is maxLr / divFactor; 25. */
  readonly divFactor?: number;
  /** The last rate is the first / finalDivFactor; 1e4. */
  readonly finalDivFactor?: number;
  /** Whether to fall to the first rate as slowly as it rose, and then to the last; false. */
  readonly threePhase?: boolean;
}

/** Part of the cycle that ends at step `end`; rates and momenta as indices into {first, max, last} and {max, base}. */
interface Phase {
  readonly end: number;
  readonly lr: readonly ['first' | 'max', 'first' | 'max' | 'last'];
  readonly momentum: readonly ['max' | 'base', 'max' | 'base'];
}

type MomentumGroup = ParamGroup & { momentum?: number; betas?: readonly [number, number] };

/**
 * One cycle of the rate, from low to `maxLr` and down to almost nothing, with momentum moving the other way. `step()`
 * is called after every batch. Smith & Topin, "Super-convergence" (2017).
 */
export class OneCycleLR extends LRScheduler {
  readonly totalSteps: number;
  readonly #phases: readonly Phase[];
  readonly #lrs: { first: number; max: number; last: number }[];
  readonly #momenta: { base: number; max: number }[] | null;
  readonly #anneal: (from: number, to: number, share: number) => number;

  constructor(optimizer: Optimizer, options: OneCycleLROptions) {
    super(optimizer);
    const { pctStart = 0.3, annealStrategy = 'cos', cycleMomentum = true, threePhase = false } = options;
    const { baseMomentum = 0.85, maxMomentum = 0.95, divFactor = 25, finalDivFactor = 1e4 } = options;
    this.totalSteps = totalSteps(options);
    checkNumber('OneCycleLR', 'pctStart', pctStart, { min: 0, max: 1 });
    checkNumber('OneCycleLR', 'divFactor', divFactor, { min: Number.MIN_VALUE });
    checkNumber('OneCycleLR', 'finalDivFactor', finalDivFactor, { min: Number.MIN_VALUE });
    checkBoolean('OneCycleLR', 'cycleMomentum', cycleMomentum);
    checkBoolean('OneCycleLR', 'threePhase', threePhase);
    this.#anneal =
      checkOneOf('OneCycleLR', 'annealStrategy', annealStrategy, ['cos', 'linear']) === 'cos' ? cosine : line;
    this.#phases = phases(this.totalSteps, pctStart, threePhase);
    this.#lrs = perGroup('OneCycleLR', 'maxLr', options.maxLr, optimizer).map((max) => {
      const first = max / divFactor;
      return { first, max, last: first / finalDivFactor };
    });
    const groups = optimizer.paramGroups as readonly MomentumGroup[];
    if (cycleMomentum && !groups.every((group) => group.betas !== undefined || group.momentum !== undefined)) {
      throw new ValueError('OneCycleLR: expected an optimizer with momentum or betas; pass cycleMomentum: false');
    }
    const base = perGroup('OneCycleLR', 'baseMomentum', baseMomentum, optimizer);
    const top = perGroup('OneCycleLR', 'maxMomentum', maxMomentum, optimizer);
    this.#momenta = cycleMomentum ? base.map((low, i) => ({ base: low, max: top[i]! })) : null;
    groups.forEach((group, i) => (group.initialLr = this.#lrs[i]!.first));
    this.baseLrs = this.#lrs.map(({ first }) => first);
    this.update();
  }

  override step(): void {
    if (this.lastEpoch >= this.totalSteps) {
      throw new ValueError(`OneCycleLR: expected at most ${this.totalSteps} steps, got one more`);
    }
    super.step();
  }

  protected rates(): number[] {
    const at = this.lastEpoch;
    let from = 0;
    let i = 0;
    while (i < this.#phases.length - 1 && at > this.#phases[i]!.end) from = this.#phases[i++]!.end;
    const { end, lr, momentum } = this.#phases[i]!;
    const share = end === from ? 1 : (at - from) / (end - from);
    if (this.#momenta !== null) {
      this.#momenta.forEach((values, g) =>
        this.#setMomentum(g, this.#anneal(values[momentum[0]], values[momentum[1]], share)),
      );
    }
    return this.#lrs.map((values) => this.#anneal(values[lr[0]], values[lr[1]], share));
  }

  #setMomentum(g: number, value: number): void {
    const group = this.optimizer.paramGroups[g] as MomentumGroup;
    if (group.betas !== undefined) group.betas = [value, group.betas[1]];
    else group.momentum = value;
  }

  override loadStateDict(state: SchedulerState): void {
    super.loadStateDict(state);
    this.update();
  }
}

function totalSteps({ totalSteps: total, epochs, stepsPerEpoch }: OneCycleLROptions): number {
  if (total !== undefined) return checkInteger('OneCycleLR', 'totalSteps', total, { min: 1 });
  if (epochs === undefined || stepsPerEpoch === undefined) {
    throw new ValueError('OneCycleLR: expected totalSteps, or epochs and stepsPerEpoch');
  }
  checkInteger('OneCycleLR', 'epochs', epochs, { min: 1 });
  return epochs * checkInteger('OneCycleLR', 'stepsPerEpoch', stepsPerEpoch, { min: 1 });
}

function phases(total: number, pctStart: number, threePhase: boolean): Phase[] {
  const rise: Phase = { end: pctStart * total - 1, lr: ['first', 'max'], momentum: ['max', 'base'] };
  if (!threePhase) return [rise, { end: total - 1, lr: ['max', 'last'], momentum: ['base', 'max'] }];
  return [
    rise,
    { end: 2 * pctStart * total - 2, lr: ['max', 'first'], momentum: ['base', 'max'] },
    { end: total - 1, lr: ['first', 'last'], momentum: ['max', 'max'] },
  ];
}

const cosine = (from: number, to: number, share: number): number =>
  to + ((from - to) / 2) * (Math.cos(Math.PI * share) + 1);

const line = (from: number, to: number, share: number): number => (to - from) * share + from;
