import { checkBoolean, checkNumber } from '../check.js';
import { Optimizer, type Params } from './optimizer.js';

/** Options of {@link Adagrad}. */
export interface AdagradOptions {
  /** Learning rate; 0.01. */
  lr: number;
  /** The t-th update uses lr / (1 + (t − 1)·lrDecay); 0. */
  lrDecay: number;
  /** Factor on the parameters added to the gradients; 0. */
  weightDecay: number;
  /** What the sums of squares start with; 0. */
  initialAccumulatorValue: number;
  /** Added to the denominator; 1e-10. */
  eps: number;
  /** Whether to go up the gradient; false. */
  maximize: boolean;
}

const defaults: AdagradOptions = {
  lr: 0.01,
  lrDecay: 0,
  weightDecay: 0,
  initialAccumulatorValue: 0,
  eps: 1e-10,
  maximize: false,
};

const names: readonly string[] = ['sum'];

/**
 * With g = grad + weightDecay·p: s ← s + g², p ← p − lr·g/(√s + eps). Duchi et al., "Adaptive subgradient methods for
 * online learning and stochastic optimization" (2011).
 */
export class Adagrad extends Optimizer<AdagradOptions> {
  constructor(params: Params<AdagradOptions>, options: Partial<AdagradOptions> = {}) {
    super(params, defaults, options);
  }

  protected get op(): 'adagrad_step' {
    return 'adagrad_step';
  }

  protected stateNames(): readonly string[] {
    return names;
  }

  protected override refusesRows(group: AdagradOptions): string | null {
    return group.weightDecay === 0 ? null : 'a dense gradient with weight decay';
  }

  protected override initialValue(group: AdagradOptions): number {
    return group.initialAccumulatorValue;
  }

  protected writeParameters(group: AdagradOptions, step: number, into: number[]): void {
    into[0] = group.lr;
    into[1] = group.lrDecay;
    into[2] = group.weightDecay;
    into[3] = group.eps;
    into[4] = group.maximize ? 1 : 0;
    into[5] = step;
  }

  protected checkOptions(fn: string, options: AdagradOptions): void {
    checkNumber(fn, 'lr', options.lr, { min: 0 });
    checkNumber(fn, 'lrDecay', options.lrDecay, { min: 0 });
    checkNumber(fn, 'weightDecay', options.weightDecay, { min: 0 });
    checkNumber(fn, 'initialAccumulatorValue', options.initialAccumulatorValue, { min: 0 });
    checkNumber(fn, 'eps', options.eps, { min: 0 });
    checkBoolean(fn, 'maximize', options.maximize);
  }
}
