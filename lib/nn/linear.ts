import { checkBoolean, checkInteger, show } from '../check.js';
import type { DType } from '../dtype.js';
import { DTypeError, ShapeError, ValueError } from '../errors.js';
import { empty } from '../ops/create.js';
import { linear } from '../ops/matmul.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { kaimingUniform_, uniform_ } from './init.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

/** Options of {@link Linear}. */
export interface LinearOptions {
  /** Whether to add a bias; true. */
  readonly bias?: boolean;
  /** `float32` (the default) or `float64`. */
  readonly dtype?: DType;
  /** Where the initial values come from; the default generator. */
  readonly generator?: Generator | undefined;
}

/**
 * `y = x Wᵀ + b`: x (…, inFeatures) to y (…, outFeatures). `weight` is (outFeatures, inFeatures), `bias` (outFeatures)
 * or null. Both start as U(−1/√inFeatures, 1/√inFeatures), as in PyTorch.
 */
export class Linear extends Module {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    const { bias = true, dtype = 'float32', generator } = options;
    this.inFeatures = checkInteger('Linear', 'inFeatures', inFeatures, { min: 0 });
    this.outFeatures = checkInteger('Linear', 'outFeatures', outFeatures, { min: 0 });
    checkBoolean('Linear', 'bias', bias);
    checkFloatDType('Linear', dtype);
    this.weight = new Parameter(empty([outFeatures, inFeatures], { dtype }));
    this.bias = bias ? new Parameter(empty([outFeatures], { dtype })) : null;
    this.resetParameters(generator);
  }

  /** Draws new initial values. */
  resetParameters(generator?: Generator): void {
    if (this.weight.numel > 0) kaimingUniform_(this.weight, { a: Math.sqrt(5), generator });
    if (this.bias === null) return;
    const bound = this.inFeatures > 0 ? 1 / Math.sqrt(this.inFeatures) : 0;
    uniform_(this.bias, -bound, bound, generator);
  }

  forward(x: Tensor): Tensor {
    if (!(x instanceof Tensor)) throw new ValueError(`Linear: expected a Tensor, got ${show(x)}`);
    const { shape } = x;
    if (shape.length === 0 || shape[shape.length - 1] !== this.inFeatures) {
      throw new ShapeError(`Linear: expected input of shape [..., ${this.inFeatures}], got ${formatShape(shape)}`);
    }
    if (x.dtype !== this.weight.dtype) {
      throw new DTypeError(`Linear: expected input of dtype ${this.weight.dtype}, got ${x.dtype}`);
    }
    return linear(x, this.weight, this.bias);
  }

  protected override extraRepr(): string {
    return `inFeatures=${this.inFeatures}, outFeatures=${this.outFeatures}, bias=${this.bias !== null}`;
  }
}

/** Gives back its input. Takes and ignores any arguments, to stand in for another layer. */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}

/** Joins the dimensions startDim … endDim (1 … −1) into one: (N, C, H, W) to (N, C·H·W). */
export class Flatten extends Module {
  readonly startDim: number;
  readonly endDim: number;

  constructor(startDim = 1, endDim = -1) {
    super();
    this.startDim = checkInteger('Flatten', 'startDim', startDim, { min: -8, max: 7 });
    this.endDim = checkInteger('Flatten', 'endDim', endDim, { min: -8, max: 7 });
  }

  forward(x: Tensor): Tensor {
    return x.flatten(this.startDim, this.endDim);
  }

  protected override extraRepr(): string {
    return `startDim=${this.startDim}, endDim=${this.endDim}`;
  }
}

/** Throws unless `dtype` is one that parameters can have. */
export function checkFloatDType(fn: string, dtype: unknown): void {
  if (dtype !== 'float32' && dtype !== 'float64') {
    throw new DTypeError(`${fn}: expected dtype to be float32 or float64, got ${show(dtype)}`);
  }
}
