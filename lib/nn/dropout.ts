import { checkNumber } from '../check.js';
import { dropout } from '../ops/random.js';
import type { Generator } from '../random.js';
import type { Tensor } from '../tensor.js';
import { Module } from './module.js';

/**
 * In training, sets each element to 0 with probability `p` (0.5) and multiplies the others by 1/(1 − p); in evaluation
 * gives back its input. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014).
 */
export class Dropout extends Module {
  readonly p: number;
  readonly #generator: Generator | undefined;

  constructor(p = 0.5, { generator }: { readonly generator?: Generator } = {}) {
    super();
    this.p = checkNumber('Dropout', 'p', p, { min: 0, max: 1 });
    this.#generator = generator;
  }

  forward(x: Tensor): Tensor {
    return dropout(x, { p: this.p, training: this.training, generator: this.#generator });
  }

  protected override extraRepr(): string {
    return `p=${this.p}`;
  }
}
