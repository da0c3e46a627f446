import { checkBoolean, checkNumber } from '../check.js';
import { Optimizer, type Params } from './optimizer.js';

/** Options of {@link RMSprop}. */
export interface RMSpropOptions {
  /** Learning rate; 0.01. */
  lr: number;
  /** Decay rate of the running mean of the squared gradient, 0 to 1; 0.99. */
  alpha: number;
  /** Added to the denominator; 1e-8. */
  eps: number;
  /** Factor on the parameters added to the gradients; 0. */
  weightDecay: number;
  /** Share of the last update that is kept; 0. */
  momentum: number;
  /** Whether to divide by the estimated variance instead of the mean square; false. */
  centered: boolean;
  /** Whether to go up the gradient; false. */
  maximize: boolean;
}

const defaults: RMSpropOptions = {
  lr: 0.01,
  alpha: 0.99,
  eps: 1e-8,
  weightDecay: 0,
  momentum: 0,
  centered: false,
  maximize: false,
};

const plain: readonly string[] = ['square_avg'];
const withMomentum: readonly string[] = ['square_avg', 'momentum_buffer'];
const centered: readonly string[] = ['square_avg', 'grad_avg'];
const centeredWithMomentum: readonly string[] = ['square_avg', 'momentum_buffer', 'grad_avg'];

/**
 * With g = grad + weightDecay·p: s ← αs + (1 − α)g², p ← p − lr·g/(√s + eps); centered: √(s − ḡ²) with the running mean
 * ḡ of g; momentum: b ← momentum·b + g/(√s + eps), p ← p − lr·b. Hinton, lecture 6e of "Neural networks for machine
 * learning" (2012); centered: Graves (2013).
 */
export class RMSprop extends Optimizer<RMSpropOptions> {
  constructor(params: Params<RMSpropOptions>, options: Partial<RMSpropOptions> = {}) {
    super(params, defaults, options);
  }

  protected get op(): 'rmsprop_step' {
    return 'rmsprop_step';
  }

  protected stateNames(group: RMSpropOptions): readonly string[] {
    if (group.momentum === 0) return group.centered ? centered : plain;
    return group.centered ? centeredWithMomentum : withMomentum;
  }

  // The update does not depend on how many there were.
  protected override stepKey(): number {
    return 0;
  }

  protected writeParameters(group: RMSpropOptions, _step: number, into: number[]): void {
    into[0] = group.lr;
    into[1] = group.alpha;
    into[2] = group.eps;
    into[3] = group.weightDecay;
    into[4] = group.momentum;
    into[5] = group.centered ? 1 : 0;
    into[6] = group.maximize ? 1 : 0;
  }

  protected checkOptions(fn: string, options: RMSpropOptions): void {
    checkNumber(fn, 'lr', options.lr, { min: 0 });
    checkNumber(fn, 'alpha', options.alpha, { min: 0, max: 1 });
    checkNumber(fn, 'eps', options.eps, { min: 0 });
    checkNumber(fn, 'weightDecay', options.weightDecay, { min: 0 });
    checkNumber(fn, 'momentum', options.momentum, { min: 0 });
    checkBoolean(fn, 'centered', options.centered);
    checkBoolean(fn, 'maximize', options.maximize);
  }
}
