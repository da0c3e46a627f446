import { checkInteger, checkOneOf } from '../check.js';
import { ValueError } from '../errors.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { relu } from '../ops/activation.js';
import { sigmoid, tanh } from '../ops/unary.js';
import type { Tensor } from '../tensor.js';
import type { ModelOptions } from './mlp.js';

/** Functions of hidden units by name. */
export const hiddenActivations = { relu, sigmoid, tanh, linear: (x: Tensor): Tensor => x } as const;

/** One of {@link hiddenActivations}. */
export type HiddenActivation = keyof typeof hiddenActivations;

/** The function of a name; throws {@link ValueError} that lists the names. */
export function hiddenActivation(fn: string, name: HiddenActivation): (x: Tensor) => Tensor {
  return hiddenActivations[checkOneOf(fn, 'activation', name, Object.keys(hiddenActivations) as HiddenActivation[])];
}

/**
 * One hidden layer: y = φ₀ + Φ a[θ₀ + Θ x], with a = ReLU unless named otherwise. With ReLU it is piecewise linear; 1-3-1 has 10
 * parameters, 2-3-1 13, 1-4-2 18. x (N, inputs) to (N, outputs). State dict: `hidden.{weight,bias}` is θ,
 * `output.{weight,bias}` is φ.
 */
export class ShallowNetwork extends Module {
  readonly hidden: Linear;
  readonly output: Linear;
  readonly #activation: (x: Tensor) => Tensor;

  constructor(
    inputs: number,
    hidden: number,
    outputs = 1,
    { activation = 'relu', ...options }: ModelOptions & { readonly activation?: HiddenActivation } = {},
  ) {
    super();
    this.#activation = hiddenActivation('ShallowNetwork', activation);
    for (const [name, size] of Object.entries({ inputs, hidden, outputs })) {
      checkInteger('ShallowNetwork', name, size, { min: 1 });
    }
    this.hidden = new Linear(inputs, hidden, options);
    this.output = new Linear(hidden, outputs, options);
  }

  forward(x: Tensor): Tensor {
    return this.output.forward(this.#activation(this.hidden.forward(x)));
  }

  /** Which hidden units are on, bool (N, hidden): rows of one pattern lie in one linear region, a convex polytope. */
  activationPattern(x: Tensor): Tensor {
    return this.hidden.forward(x).gt(0);
  }

  /** Where the function of one input bends: −θ₀/θ₁ of each hidden unit with θ₁ ≠ 0, in ascending order. */
  async joints(): Promise<number[]> {
    if (this.hidden.inFeatures !== 1) {
      throw new ValueError(`joints: expected a network of one input, got ${this.hidden.inFeatures}`);
    }
    const [slopes, offsets] = await Promise.all([this.hidden.weight.data(), this.hidden.bias!.data()]);
    const joints = Array.from(slopes, (slope, i) => -offsets[i]! / slope);
    return joints.filter((x) => Number.isFinite(x)).sort((a, b) => a - b);
  }
}

/**
 * The two-layer network of logistic units: σ(w₀ + wᵀ σ(v₀ + V x)), a probability; (d + 1)m + m + 1 parameters for d inputs and m
 * hidden units. x (N, d) to (N, 1). State dict as {@link ShallowNetwork}'s.
 */
export class TwoLayerNetwork extends ShallowNetwork {
  constructor(inputs: number, hidden: number, options: ModelOptions = {}) {
    super(inputs, hidden, 1, { ...options, activation: 'sigmoid' });
  }

  override forward(x: Tensor): Tensor {
    return sigmoid(super.forward(x));
  }
}
