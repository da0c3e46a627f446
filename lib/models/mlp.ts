import { noGrad } from '../autograd/graph.js';
import { checkInteger, show } from '../check.js';
import { ValueError } from '../errors.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { zeros } from '../ops/create.js';
import type { Generator } from '../random.js';
import type { Tensor } from '../tensor.js';
import { hiddenActivation, type HiddenActivation } from './shallow.js';

/** Where initial weights come from; the default generator. */
export interface ModelOptions {
  readonly generator?: Generator | undefined;
}

/** Options of {@link MLP}. */
export interface MLPOptions extends ModelOptions {
  /** What stands between the linear layers: `relu` (the default), `sigmoid`, `tanh` or `linear` (nothing). */
  readonly activation?: HiddenActivation;
}

/**
 * A multilayer perceptron: linear layers with ReLU between them, or another function. `sizes` runs from the input to the output; two sizes
 * alone are a linear classifier. 784-200-200-10 has 199,210 parameters. x (N, sizes[0]), or more dimensions after the
 * first that hold as many elements, to logits (N, sizes.at(-1)). State dict: `fc.0.weight`, `fc.0.bias`, `fc.1.weight`,
 * ….
 */
export class MLP extends Module {
  readonly fc: readonly Linear[];
  /** What stands between the layers. */
  readonly activation: HiddenActivation;
  readonly #activation: (x: Tensor) => Tensor;

  constructor(sizes: readonly number[], { activation = 'relu', ...options }: MLPOptions = {}) {
    super();
    this.activation = activation;
    this.#activation = hiddenActivation('MLP', activation);
    if (!Array.isArray(sizes) || sizes.length < 2) {
      throw new ValueError(`MLP: expected sizes to be two numbers or more, got ${show(sizes)}`);
    }
    const widths = (sizes as readonly unknown[]).map((size) => checkInteger('MLP', 'sizes', size, { min: 1 }));
    this.fc = widths.slice(1).map((size, i) => new Linear(widths[i]!, size, options));
  }

  forward(x: Tensor): Tensor {
    const { fc } = this;
    const activation = this.#activation;
    const last = fc.length - 1;
    let h = x.ndim > 2 ? x.flatten(1) : x;
    for (let i = 0; i < last; i++) h = activation(fc[i]!.forward(h));
    return fc[last]!.forward(h);
  }
}

/**
 * Weights of an MLP without its biases: d·H + (L − 1)·H² + H·K for d inputs, L hidden layers of H units and K outputs. The biases
 * add L·H + K.
 */
export const mlpWeights = (d: number, h: number, l: number, k: number): number => d * h + (l - 1) * h * h + h * k;

/**
 * The one linear layer that does what `layers` do one after the other: W̃ = W_L … W₁, b̃ = W_L(… + b₁) + b_L. Without
 * nonlinearities between them depth adds nothing.
 */
export function collapse(layers: readonly Linear[]): Linear {
  const [first] = layers;
  const last = layers.at(-1);
  if (first === undefined || last === undefined)
    throw new ValueError('collapse: expected at least one layer, got none');
  const { dtype } = first.weight;
  return noGrad(() => {
    const one = new Linear(first.inFeatures, last.outFeatures, { dtype });
    let weight: Tensor = first.weight;
    let bias: Tensor = first.bias ?? zeros([first.outFeatures], { dtype });
    for (const layer of layers.slice(1)) {
      bias = layer.forward(bias);
      weight = layer.weight.matmul(weight);
    }
    one.weight.copy_(weight);
    one.bias!.copy_(bias);
    return one;
  });
}
