import { checkInteger, show } from '../check.js';
import { ValueError } from '../errors.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { relu } from '../ops/unary.js';
import type { Generator } from '../random.js';
import type { Tensor } from '../tensor.js';

/** Where initial weights come from; the default generator. */
export interface ModelOptions {
  readonly generator?: Generator | undefined;
}

/**
 * A multilayer perceptron: linear layers with ReLU between them. `sizes` runs from the input to the output; two sizes
 * alone are a linear classifier. 784-200-200-10 has 199,210 parameters. x (N, sizes[0]), or more dimensions after the
 * first that hold as many elements, to logits (N, sizes.at(-1)). State dict: `fc.0.weight`, `fc.0.bias`, `fc.1.weight`,
 * ….
 */
export class MLP extends Module {
  readonly fc: readonly Linear[];

  constructor(sizes: readonly number[], options: ModelOptions = {}) {
    super();
    if (!Array.isArray(sizes) || sizes.length < 2) {
      throw new ValueError(`MLP: expected sizes to be two numbers or more, got ${show(sizes)}`);
    }
    const widths = (sizes as readonly unknown[]).map((size) => checkInteger('MLP', 'sizes', size, { min: 1 }));
    this.fc = widths.slice(1).map((size, i) => new Linear(widths[i]!, size, options));
  }

  forward(x: Tensor): Tensor {
    const { fc } = this;
    const last = fc.length - 1;
    let h = x.ndim > 2 ? x.flatten(1) : x;
    for (let i = 0; i < last; i++) h = relu(fc[i]!.forward(h));
    return fc[last]!.forward(h);
  }
}
