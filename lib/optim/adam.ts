import { checkBoolean, checkNumber, show } from '../check.js';
import { ValueError } from '../errors.js';
import { Optimizer, type Params } from './optimizer.js';

/** Options of {@link Adam} and {@link AdamW}. */
export interface AdamOptions {
  /** Learning rate; 0.001. */
  lr: number;
  /** Decay rates of the running means of the gradient and of its square, in [0, 1); 0.9 and 0.999. */
  betas: readonly [number, number];
  /** Added to the denominator; 1e-8. */
  eps: number;
  /**
   * Adam: factor on the parameters added to the gradients, 0. AdamW: share of the parameters taken off times lr, 0.01.
   */
  weightDecay: number;
  /** Whether to divide by the largest running mean so far; false. Reddi et al. (2018). */
  amsgrad: boolean;
  /** Whether to go up the gradient; false. */
  maximize: boolean;
}

const adamDefaults: AdamOptions = {
  lr: 0.001,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  amsgrad: false,
  maximize: false,
};

const moments: readonly string[] = ['exp_avg', 'exp_avg_sq'];
const momentsAndMaximum: readonly string[] = ['exp_avg', 'exp_avg_sq', 'max_exp_avg_sq'];

function checkMoments(fn: string, options: SparseAdamOptions): void {
  const { betas } = options;
  checkNumber(fn, 'lr', options.lr, { min: 0 });
  if (!Array.isArray(betas) || betas.length !== 2) {
    throw new ValueError(`${fn}: expected betas to be two numbers, got ${show(betas)}`);
  }
  for (const beta of betas as readonly number[]) {
    checkNumber(fn, 'betas', beta, { min: 0, max: 1 });
    if (beta === 1) throw new ValueError(`${fn}: expected betas below 1, got 1`);
  }
  checkNumber(fn, 'eps', options.eps, { min: 0 });
  checkBoolean(fn, 'maximize', options.maximize);
}

abstract class AdamBase extends Optimizer<AdamOptions> {
  protected get op(): 'adam_step' {
    return 'adam_step';
  }

  /** Whether weight decay acts on the parameters themselves and not through the gradient. */
  protected abstract readonly decoupled: boolean;

  protected stateNames(group: AdamOptions): readonly string[] {
    return group.amsgrad ? momentsAndMaximum : moments;
  }

  protected writeParameters(group: AdamOptions, step: number, into: number[]): void {
    into[0] = group.lr;
    into[1] = group.betas[0];
    into[2] = group.betas[1];
    into[3] = group.eps;
    into[4] = group.weightDecay;
    into[5] = this.decoupled ? 1 : 0;
    into[6] = group.amsgrad ? 1 : 0;
    into[7] = group.maximize ? 1 : 0;
    into[8] = step;
  }

  protected checkOptions(fn: string, options: AdamOptions): void {
    checkMoments(fn, options);
    checkNumber(fn, 'weightDecay', options.weightDecay, { min: 0 });
    checkBoolean(fn, 'amsgrad', options.amsgrad);
  }
}

/**
 * With g = grad + weightDecay·p: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², p ← p − lr·m̂/(√v̂ + eps), where m̂ = m/(1
 * − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ). Kingma & Ba, "Adam: a method for stochastic optimization" (2014).
 */
export class Adam extends AdamBase {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, adamDefaults, options);
  }

  protected get decoupled(): boolean {
    return false;
  }
}

/**
 * {@link Adam} on the gradient alone, with the parameters multiplied by 1 − lr·weightDecay before each update.
 * Loshchilov & Hutter, "Decoupled weight decay regularization" (2017).
 */
export class AdamW extends AdamBase {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, { ...adamDefaults, weightDecay: 0.01 }, options);
  }

  protected get decoupled(): boolean {
    return true;
  }
}

/** Options of {@link SparseAdam}. */
export type SparseAdamOptions = Pick<AdamOptions, 'lr' | 'betas' | 'eps' | 'maximize'>;

/**
 * {@link Adam} for gradients of rows, as embeddings with `sparse: true` have: only rows that were looked up are updated, and only their
 * running means. As PyTorch's: eps is added to √v before the bias correction, p ← p − lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + eps).
 */
export class SparseAdam extends Optimizer<SparseAdamOptions> {
  constructor(params: Params<SparseAdamOptions>, options: Partial<SparseAdamOptions> = {}) {
    super(params, { lr: 0.001, betas: [0.9, 0.999], eps: 1e-8, maximize: false }, options);
  }

  protected get op(): 'adam_step' {
    return 'adam_step';
  }

  protected stateNames(): readonly string[] {
    return moments;
  }

  protected override refusesRows(): null {
    return null;
  }

  protected override stepKey(): number {
    throw new ValueError('SparseAdam: expected gradients of rows (sparse: true), got a dense one; Adam takes those');
  }

  protected writeParameters(group: SparseAdamOptions, step: number, into: number[]): void {
    const [beta1, beta2] = group.betas;
    const eps = group.eps / Math.sqrt(1 - Math.pow(beta2, step));
    [group.lr, beta1, beta2, eps, 0, 0, 0, group.maximize ? 1 : 0, step].forEach((value, i) => (into[i] = value));
  }

  protected checkOptions(fn: string, options: SparseAdamOptions): void {
    checkMoments(fn, options);
  }
}
