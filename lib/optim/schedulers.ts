import { checkInteger, checkNumber, show } from '../check.js';
import { ValueError } from '../errors.js';
import type { Optimizer } from './optimizer.js';
import { LRScheduler } from './scheduler.js';

/** Multiplies the rate by `gamma` (0.1) every `stepSize` steps. */
export class StepLR extends LRScheduler {
  readonly stepSize: number;
  readonly gamma: number;

  constructor(optimizer: Optimizer, { stepSize, gamma = 0.1 }: { readonly stepSize: number; readonly gamma?: number }) {
    super(optimizer);
    this.stepSize = checkInteger('StepLR', 'stepSize', stepSize, { min: 1 });
    this.gamma = checkNumber('StepLR', 'gamma', gamma);
    this.update();
  }

  protected rates(): number[] {
    const due = this.lastEpoch > 0 && this.lastEpoch % this.stepSize === 0;
    return due ? this.lrs.map((lr) => lr * this.gamma) : this.lrs;
  }
}

/** Multiplies the rate by `gamma` (0.1) at each of `milestones`; one that is named twice counts twice. */
export class MultiStepLR extends LRScheduler {
  readonly milestones: readonly number[];
  readonly gamma: number;

  constructor(
    optimizer: Optimizer,
    { milestones, gamma = 0.1 }: { readonly milestones: readonly number[]; readonly gamma?: number },
  ) {
    super(optimizer);
    if (!Array.isArray(milestones)) {
      throw new ValueError(`MultiStepLR: expected milestones to be an array, got ${show(milestones)}`);
    }
    this.milestones = milestones.map((milestone) => checkInteger('MultiStepLR', 'milestones', milestone, { min: 0 }));
    this.gamma = checkNumber('MultiStepLR', 'gamma', gamma);
    this.update();
  }

  protected rates(): number[] {
    const times = this.milestones.filter((milestone) => milestone === this.lastEpoch).length;
    return this.lrs.map((lr) => lr * this.gamma ** times);
  }
}

/** Multiplies the rate by `gamma` at every step. */
export class ExponentialLR extends LRScheduler {
  readonly gamma: number;

  constructor(optimizer: Optimizer, { gamma }: { readonly gamma: number }) {
    super(optimizer);
    this.gamma = checkNumber('ExponentialLR', 'gamma', gamma);
    this.update();
  }

  protected rates(): number[] {
    return this.lastEpoch === 0 ? this.lrs : this.lrs.map((lr) => lr * this.gamma);
  }
}

/** The first rate times `lambda(step)`; one function for all groups or one for each. */
export class LambdaLR extends LRScheduler {
  readonly #lambdas: readonly ((step: number) => number)[];

  constructor(optimizer: Optimizer, lambda: ((step: number) => number) | readonly ((step: number) => number)[]) {
    super(optimizer);
    const { length } = this.optimizer.paramGroups;
    const list = typeof lambda === 'function' ? new Array<(step: number) => number>(length).fill(lambda) : lambda;
    if (!Array.isArray(list) || list.length !== length || list.some((item) => typeof item !== 'function')) {
      throw new ValueError(`LambdaLR: expected a function or ${length}, one for each group, got ${show(lambda)}`);
    }
    this.#lambdas = list as readonly ((step: number) => number)[];
    this.update();
  }

  protected rates(): number[] {
    return this.baseLrs.map(
      (lr, i) => lr * checkNumber('LambdaLR', "lambda's result", this.#lambdas[i]?.(this.lastEpoch) ?? 1),
    );
  }
}

/** Options of {@link LinearLR}. */
export interface LinearLROptions {
  /** Factor on the rate at step 0, above 0 to 1; 1/3. */
  readonly startFactor?: number;
  /** Factor from step `totalIters` on, 0 to 1; 1. */
  readonly endFactor?: number;
  /** Steps between the two; 5. */
  readonly totalIters?: number;
}

/** Moves a factor on the rate linearly from one value to another: a warm-up by default. */
export class LinearLR extends LRScheduler {
  readonly startFactor: number;
  readonly endFactor: number;
  readonly totalIters: number;

  constructor(optimizer: Optimizer, { startFactor = 1 / 3, endFactor = 1, totalIters = 5 }: LinearLROptions = {}) {
    super(optimizer);
    this.startFactor = checkNumber('LinearLR', 'startFactor', startFactor, { min: Number.MIN_VALUE, max: 1 });
    this.endFactor = checkNumber('LinearLR', 'endFactor', endFactor, { min: 0, max: 1 });
    this.totalIters = checkInteger('LinearLR', 'totalIters', totalIters, { min: 1 });
    this.update();
  }

  protected rates(): number[] {
    const { lastEpoch, startFactor, totalIters } = this;
    if (lastEpoch === 0) return this.lrs.map((lr) => lr * startFactor);
    if (lastEpoch > totalIters) return this.lrs;
    const change = this.endFactor - startFactor;
    return this.lrs.map((lr) => lr * (1 + change / (totalIters * startFactor + (lastEpoch - 1) * change)));
  }
}

/**
 * etaMin + (lr₀ − etaMin)(1 + cos(π t / tMax))/2, which rises again after step tMax. Loshchilov & Hutter, "SGDR"
 * (2016), without the restarts.
 */
export class CosineAnnealingLR extends LRScheduler {
  readonly tMax: number;
  readonly etaMin: number;

  constructor(optimizer: Optimizer, { tMax, etaMin = 0 }: { readonly tMax: number; readonly etaMin?: number }) {
    super(optimizer);
    this.tMax = checkInteger('CosineAnnealingLR', 'tMax', tMax, { min: 1 });
    this.etaMin = checkNumber('CosineAnnealingLR', 'etaMin', etaMin, { min: 0 });
    this.update();
  }

  protected rates(): number[] {
    const { lastEpoch, tMax, etaMin, lrs } = this;
    if (lastEpoch === 0) return lrs;
    // At the bottom of the curve the ratio below is 0/0.
    if ((lastEpoch - 1 - tMax) % (2 * tMax) === 0) {
      return lrs.map((lr, i) => lr + ((this.baseLrs[i]! - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2);
    }
    const ratio = (1 + Math.cos((Math.PI * lastEpoch) / tMax)) / (1 + Math.cos((Math.PI * (lastEpoch - 1)) / tMax));
    return lrs.map((lr) => ratio * (lr - etaMin) + etaMin);
  }
}

/** Options of {@link NoamLR}. */
export interface NoamLROptions {
  /** Width of the model, d. */
  readonly modelSize: number;
  /** Steps during which the rate rises; 4000. */
  readonly warmupSteps?: number;
  /** Factor on the rate; 1. */
  readonly factor?: number;
}

/**
 * factor · d^−½ · min(t^−½, t · warmupSteps^−1.5) for the t-th step of the optimizer, t from 1, whatever the group's
 * own rate. Vaswani et al., "Attention is all you need" (2017), section 5.3.
 */
export class NoamLR extends LRScheduler {
  readonly modelSize: number;
  readonly warmupSteps: number;
  readonly factor: number;

  constructor(optimizer: Optimizer, { modelSize, warmupSteps = 4000, factor = 1 }: NoamLROptions) {
    super(optimizer);
    this.modelSize = checkInteger('NoamLR', 'modelSize', modelSize, { min: 1 });
    this.warmupSteps = checkInteger('NoamLR', 'warmupSteps', warmupSteps, { min: 1 });
    this.factor = checkNumber('NoamLR', 'factor', factor, { min: 0 });
    this.update();
  }

  protected rates(): number[] {
    const t = this.lastEpoch + 1;
    const rate = this.factor * this.modelSize ** -0.5 * Math.min(t ** -0.5, t * this.warmupSteps ** -1.5);
    return this.baseLrs.map(() => rate);
  }
}
