import { checkInteger, checkNumber } from '../check.js';
import { ShapeError } from '../errors.js';
import { checkFloat } from '../ops/apply.js';
import { avgPool3d } from '../ops/pool.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { Module } from './module.js';

/** Options of {@link LocalResponseNorm}. */
export interface LocalResponseNormOptions {
  /** Factor on the mean square; 1e-4. */
  readonly alpha?: number;
  /** Exponent; 0.75. */
  readonly beta?: number;
  /** Added to the mean square; 1. */
  readonly k?: number;
}

/**
 * Normalises across `size` neighbouring channels: x / (k + α/size · Σ x²)^β, the sum over the channels around each, beyond the
 * ends 0. x (N, C, …) keeps its shape. Krizhevsky et al. (2012), whose α is not divided by the size.
 */
export class LocalResponseNorm extends Module {
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;

  /** @param size odd number of channels */
  constructor(
    readonly size: number,
    { alpha = 1e-4, beta = 0.75, k = 1 }: LocalResponseNormOptions = {},
  ) {
    super();
    checkInteger('LocalResponseNorm', 'size', size, { min: 1 });
    if (size % 2 === 0) throw new ShapeError(`LocalResponseNorm: expected an odd size, got ${size}`);
    this.alpha = checkNumber('LocalResponseNorm', 'alpha', alpha);
    this.beta = checkNumber('LocalResponseNorm', 'beta', beta);
    this.k = checkNumber('LocalResponseNorm', 'k', k);
  }

  forward(x: Tensor): Tensor {
    checkFloat('LocalResponseNorm', 'x', x);
    if (x.ndim < 3) {
      throw new ShapeError(`LocalResponseNorm: expected x of shape [N, C, ...], got ${formatShape(x.shape)}`);
    }
    const [n, c] = x.shape as [number, number];
    const { size, alpha, beta, k } = this;
    const squares = x.square().reshape([n, 1, c, 1, -1]);
    const mean = avgPool3d(squares, [size, 1, 1], { stride: 1, padding: [(size - 1) / 2, 0, 0] });
    return x.div(mean.reshape(x.shape).mul(alpha).add(k).pow(beta));
  }

  protected override extraRepr(): string {
    return `${this.size}, alpha=${this.alpha}, beta=${this.beta}, k=${this.k}`;
  }
}
