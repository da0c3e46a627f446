import { checkBoolean, checkInteger, checkNumber } from '../check.js';
import type { DType } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { ones, zeros } from '../ops/create.js';
import { localResponseNorm, type LocalResponseNormOptions } from '../ops/local_norm.js';
import { groupNorm, layerNorm, rmsNorm } from '../ops/norm.js';
import { formatShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { ones_, zeros_ } from './init.js';
import { checkFloatDType } from './linear.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

/** Options of {@link LayerNorm}. */
export interface LayerNormOptions {
  /** Added to the variance; 1e-5. */
  readonly eps?: number;
  /** Whether there are a `weight` (1 at first) and a `bias` (0); true. */
  readonly elementwiseAffine?: boolean;
  /** Whether there is a `bias`, too; true. */
  readonly bias?: boolean;
  /** `float32` (the default) or `float64`. */
  readonly dtype?: DType;
}

const sizes = (shape: number | Shape): Shape => (typeof shape === 'number' ? [shape] : [...shape]);

/** Layer normalisation over the trailing dimensions `normalizedShape`, as {@link layerNorm}. */
export class LayerNorm extends Module {
  readonly normalizedShape: Shape;
  readonly eps: number;
  readonly elementwiseAffine: boolean;
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;

  constructor(normalizedShape: number | Shape, options: LayerNormOptions = {}) {
    super();
    const { eps = 1e-5, elementwiseAffine = true, bias = true, dtype = 'float32' } = options;
    this.normalizedShape = sizes(normalizedShape);
    this.eps = checkNumber('LayerNorm', 'eps', eps);
    this.elementwiseAffine = checkBoolean('LayerNorm', 'elementwiseAffine', elementwiseAffine);
    checkBoolean('LayerNorm', 'bias', bias);
    checkFloatDType('LayerNorm', dtype);
    this.weight = elementwiseAffine ? new Parameter(ones(this.normalizedShape, { dtype })) : null;
    this.bias = elementwiseAffine && bias ? new Parameter(zeros(this.normalizedShape, { dtype })) : null;
  }

  /** Sets the weight to 1 and the bias to 0. */
  resetParameters(): void {
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  forward(x: Tensor): Tensor {
    const { weight, bias, eps } = this;
    return layerNorm(x, this.normalizedShape, { weight, bias, eps });
  }

  protected override extraRepr(): string {
    return `${formatShape(this.normalizedShape)}, eps=${this.eps}, elementwiseAffine=${this.elementwiseAffine}`;
  }
}

/** Options of {@link RMSNorm}. */
export interface RMSNormOptions {
  /** Added to the mean square; null (the default) is the machine epsilon of the input's dtype. */
  readonly eps?: number | null;
  /** Whether there is a `weight` (1 at first); true. */
  readonly elementwiseAffine?: boolean;
  /** `float32` (the default) or `float64`. */
  readonly dtype?: DType;
}

/** Root-mean-square normalisation over the trailing dimensions `normalizedShape`, as {@link rmsNorm}. */
export class RMSNorm extends Module {
  readonly normalizedShape: Shape;
  readonly eps: number | null;
  readonly elementwiseAffine: boolean;
  readonly weight: Parameter | null;

  constructor(normalizedShape: number | Shape, options: RMSNormOptions = {}) {
    super();
    const { eps = null, elementwiseAffine = true, dtype = 'float32' } = options;
    this.normalizedShape = sizes(normalizedShape);
    this.eps = eps === null ? null : checkNumber('RMSNorm', 'eps', eps);
    this.elementwiseAffine = checkBoolean('RMSNorm', 'elementwiseAffine', elementwiseAffine);
    checkFloatDType('RMSNorm', dtype);
    this.weight = elementwiseAffine ? new Parameter(ones(this.normalizedShape, { dtype })) : null;
  }

  /** Sets the weight to 1. */
  resetParameters(): void {
    if (this.weight !== null) ones_(this.weight);
  }

  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.normalizedShape, { weight: this.weight, eps: this.eps });
  }

  protected override extraRepr(): string {
    return `${formatShape(this.normalizedShape)}, eps=${this.eps}, elementwiseAffine=${this.elementwiseAffine}`;
  }
}

/** Options of {@link GroupNorm}. */
export interface GroupNormOptions {
  /** Added to the variance; 1e-5. */
  readonly eps?: number;
  /** Whether there are a `weight` (1 at first) and a `bias` (0), one value a channel; true. */
  readonly affine?: boolean;
  /** `float32` (the default) or `float64`. */
  readonly dtype?: DType;
}

/** Group normalisation of (N, numChannels, …) in `numGroups` groups, as {@link groupNorm}. */
export class GroupNorm extends Module {
  readonly numGroups: number;
  readonly numChannels: number;
  readonly eps: number;
  readonly affine: boolean;
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;

  constructor(numGroups: number, numChannels: number, options: GroupNormOptions = {}) {
    super();
    const { eps = 1e-5, affine = true, dtype = 'float32' } = options;
    this.numGroups = checkInteger('GroupNorm', 'numGroups', numGroups, { min: 1 });
    this.numChannels = checkInteger('GroupNorm', 'numChannels', numChannels, { min: 1 });
    if (numChannels % numGroups !== 0) {
      throw new ShapeError(`GroupNorm: expected numChannels that ${numGroups} groups divide, got ${numChannels}`);
    }
    this.eps = checkNumber('GroupNorm', 'eps', eps);
    this.affine = checkBoolean('GroupNorm', 'affine', affine);
    checkFloatDType('GroupNorm', dtype);
    this.weight = affine ? new Parameter(ones([numChannels], { dtype })) : null;
    this.bias = affine ? new Parameter(zeros([numChannels], { dtype })) : null;
  }

  /** Sets the weight to 1 and the bias to 0. */
  resetParameters(): void {
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  forward(x: Tensor): Tensor {
    const { weight, bias, eps } = this;
    return groupNorm(x, this.numGroups, { weight, bias, eps });
  }

  protected override extraRepr(): string {
    return `${this.numGroups}, ${this.numChannels}, eps=${this.eps}, affine=${this.affine}`;
  }
}

/** Local response normalisation over `size` channels (alpha = 1e-4, beta = 0.75, k = 1), as {@link localResponseNorm}. */
export class LocalResponseNorm extends Module {
  readonly size: number;
  readonly alpha: number;
  readonly beta: number;
  readonly k: number;

  constructor(size: number, { alpha = 1e-4, beta = 0.75, k = 1 }: LocalResponseNormOptions = {}) {
    super();
    this.size = checkInteger('LocalResponseNorm', 'size', size, { min: 1 });
    this.alpha = checkNumber('LocalResponseNorm', 'alpha', alpha);
    this.beta = checkNumber('LocalResponseNorm', 'beta', beta);
    this.k = checkNumber('LocalResponseNorm', 'k', k);
  }

  forward(x: Tensor): Tensor {
    const { alpha, beta, k } = this;
    return localResponseNorm(x, this.size, { alpha, beta, k });
  }

  protected override extraRepr(): string {
    return `${this.size}, alpha=${this.alpha}, beta=${this.beta}, k=${this.k}`;
  }
}
