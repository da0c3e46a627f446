import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { checkInteger } from '../check.js';
import { ShapeError } from '../errors.js';
import { normal_ } from '../nn/init.js';
import { Module } from '../nn/module.js';
import { Parameter } from '../nn/parameter.js';
import { checkFloat } from '../ops/apply.js';
import { empty, zeros } from '../ops/create.js';
import { linear } from '../ops/matmul.js';
import { rand } from '../ops/random.js';
import { softplus } from '../ops/activation.js';
import { sigmoid } from '../ops/unary.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import type { ModelOptions } from './mlp.js';

/** Options of sampling from an {@link RBM}. */
export interface GibbsOptions {
  /** Alternations of hidden and visible units; 1. */
  readonly steps?: number;
  readonly generator?: Generator | undefined;
}

/**
 * A restricted Boltzmann machine of binary units: E(v, h) = −aᵀv − bᵀh − hᵀWv, so that a hidden unit is on with probability
 * σ(b + Wv) and a visible one with σ(a + Wᵀh). `forward` gives the hidden probabilities, the features of v: (N, visible) to (N,
 * hidden). State dict: `weight` (hidden, visible), `v_bias`, `h_bias`. Smolensky (1986); Hinton, "Training products of experts
 * by minimizing contrastive divergence" (2002).
 *
 * @example
 * const optimizer = new SGD(rbm.parameters(), { lr: 0.1 });
 * for (const v of batches) {
 *   optimizer.zeroGrad();
 *   rbm.contrastiveDivergence(v).backward();
 *   optimizer.step();
 * }
 */
export class RBM extends Module {
  readonly weight: Parameter;
  readonly v_bias: Parameter;
  readonly h_bias: Parameter;
  /** Visible units of the persistent chains, (chains, visible); null before {@link persistentContrastiveDivergence}. */
  chains: Tensor | null = null;

  constructor(
    readonly visible: number,
    readonly hidden: number,
    { generator }: ModelOptions = {},
  ) {
    super();
    checkInteger('RBM', 'visible', visible, { min: 1 });
    checkInteger('RBM', 'hidden', hidden, { min: 1 });
    this.weight = new Parameter(normal_(empty([hidden, visible]), 0, 0.01, generator));
    this.v_bias = new Parameter(zeros([visible]));
    this.h_bias = new Parameter(zeros([hidden]));
  }

  forward(v: Tensor): Tensor {
    return sigmoid(this.#hiddenInput('RBM', v));
  }

  /** Probabilities of the visible units given hidden ones: (N, hidden) to (N, visible). */
  reconstruct(h: Tensor): Tensor {
    return sigmoid(linear(h, this.weight.t(), this.v_bias));
  }

  /** E(v, h) of each row, (N). */
  energy(v: Tensor, h: Tensor): Tensor {
    return this.#hiddenInput('energy', v).mul(h).sum(1).add(v.matmul(this.v_bias)).neg();
  }

  /** F(v) = −ln Σ_h e^(−E(v, h)) = −aᵀv − Σ softplus(b + Wv) of each row, (N). */
  freeEnergy(v: Tensor): Tensor {
    return softplus(this.#hiddenInput('freeEnergy', v)).sum(1).add(v.matmul(this.v_bias)).neg();
  }

  /** Binary hidden units drawn given visible ones. */
  sampleHidden(v: Tensor, generator?: Generator): Tensor {
    return draw(() => this.forward(v), generator);
  }

  /** Binary visible units drawn given hidden ones. */
  sampleVisible(h: Tensor, generator?: Generator): Tensor {
    return draw(() => this.reconstruct(h), generator);
  }

  /** Block Gibbs sampling: visible units after `steps` rounds of h ~ p(h|v), v ~ p(v|h) from `v`. */
  gibbs(v: Tensor, { steps = 1, generator }: GibbsOptions = {}): Tensor {
    checkInteger('gibbs', 'steps', steps, { min: 0 });
    return scope(() => {
      let sample = v;
      for (let i = 0; i < steps; i++) sample = this.sampleVisible(this.sampleHidden(sample, generator), generator);
      return sample;
    });
  }

  /**
   * CD-k: the mean of F(v) − F(v_k), where v_k is v after k = `steps` rounds of Gibbs sampling. Its gradient is the difference of
   * the statistics vhᵀ of data and of samples; its value is no likelihood.
   */
  contrastiveDivergence(v: Tensor, options: GibbsOptions = {}): Tensor {
    return this.#contrast(v, this.gibbs(v, options));
  }

  /**
   * PCD-k: as {@link contrastiveDivergence}, but the samples go on from where the last call left them, {@link chains}. The first
   * call starts as many chains as v has rows. Tieleman, "Training restricted Boltzmann machines using approximations to the
   * likelihood gradient" (2008).
   */
  persistentContrastiveDivergence(v: Tensor, options: GibbsOptions = {}): Tensor {
    this.#hiddenInput('persistentContrastiveDivergence', v);
    const before = this.chains;
    const after = this.gibbs(before ?? v, options);
    this.chains = after === v ? v.clone() : after;
    if (before !== null && before !== after) before.dispose();
    return this.#contrast(v, this.chains);
  }

  #contrast(v: Tensor, sample: Tensor): Tensor {
    return scope(() => this.freeEnergy(v).mean().sub(this.freeEnergy(sample).mean()));
  }

  #hiddenInput(fn: string, v: Tensor): Tensor {
    checkFloat(fn, 'v', v);
    if (v.ndim !== 2 || v.shape[1] !== this.visible) {
      throw new ShapeError(`${fn}: expected v of shape [N, ${this.visible}], got ${formatShape(v.shape)}`);
    }
    return linear(v, this.weight, this.h_bias);
  }
}

/** 1 with the given probabilities, else 0. */
function draw(probabilities: () => Tensor, generator?: Generator): Tensor {
  return scope(() =>
    noGrad(() => {
      const p = probabilities();
      return rand(p.shape, { dtype: p.dtype, generator }).lt(p).to(p.dtype);
    }),
  );
}
