import { checkBoolean, checkNumber } from '../check.js';
import { ValueError } from '../errors.js';
import { Optimizer, type Params } from './optimizer.js';

/** Options of {@link SGD}. */
export interface SGDOptions {
  /** Learning rate; 0.001. */
  lr: number;
  /** Share of the last update direction that is kept; 0. */
  momentum: number;
  /** Share of the gradient that does not enter the momentum; 0. */
  dampening: number;
  /** Factor on the parameters added to the gradients (L2 penalty); 0. */
  weightDecay: number;
  /** Whether to look ahead along the momentum; false. Needs momentum and no dampening. */
  nesterov: boolean;
  /** Whether to go up the gradient; false. */
  maximize: boolean;
}

const defaults: SGDOptions = {
  lr: 0.001,
  momentum: 0,
  dampening: 0,
  weightDecay: 0,
  nesterov: false,
  maximize: false,
};

const none: readonly string[] = [];
const withMomentum: readonly string[] = ['momentum_buffer'];

/**
 * Stochastic gradient descent: with g = grad + weightDecay·p, b ← momentum·b + (1 − dampening)·g (b ← g at first) and p
 * ← p − lr·b; Nesterov: p ← p − lr·(g + momentum·b). Sutskever et al., "On the importance of initialization and
 * momentum in deep learning" (2013).
 */
export class SGD extends Optimizer<SGDOptions> {
  constructor(params: Params<SGDOptions>, options: Partial<SGDOptions> = {}) {
    super(params, defaults, options);
  }

  protected get op(): 'sgd_step' {
    return 'sgd_step';
  }

  protected stateNames(group: SGDOptions): readonly string[] {
    return group.momentum === 0 ? none : withMomentum;
  }

  protected override refusesRows(group: SGDOptions): string | null {
    return group.momentum === 0 && group.weightDecay === 0 ? null : 'a dense gradient with momentum or weight decay';
  }

  // The first update fills the momentum instead of mixing into it; without momentum all updates are alike.
  protected override stepKey(group: SGDOptions, step: number): number {
    return group.momentum === 0 ? 0 : Math.min(step, 1);
  }

  protected override counts(group: SGDOptions): boolean {
    return group.momentum !== 0;
  }

  protected writeParameters(group: SGDOptions, step: number, into: number[]): void {
    into[0] = group.lr;
    into[1] = group.momentum;
    into[2] = group.dampening;
    into[3] = group.weightDecay;
    into[4] = group.nesterov ? 1 : 0;
    into[5] = group.maximize ? 1 : 0;
    into[6] = step === 1 ? 1 : 0;
  }

  protected checkOptions(fn: string, options: SGDOptions): void {
    checkNumber(fn, 'lr', options.lr, { min: 0 });
    checkNumber(fn, 'momentum', options.momentum, { min: 0 });
    checkNumber(fn, 'dampening', options.dampening);
    checkNumber(fn, 'weightDecay', options.weightDecay, { min: 0 });
    checkBoolean(fn, 'nesterov', options.nesterov);
    checkBoolean(fn, 'maximize', options.maximize);
    if (options.nesterov && (options.momentum <= 0 || options.dampening !== 0)) {
      throw new ValueError(`${fn}: expected momentum above 0 and dampening 0 with nesterov`);
    }
  }
}
