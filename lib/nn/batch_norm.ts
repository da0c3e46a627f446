import { checkBoolean, checkInteger, checkNumber } from '../check.js';
import type { DType } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { checkTensor } from '../ops/apply.js';
import { batchNorm, instanceNorm } from '../ops/batch_norm.js';
import { ones, tensor, zeros } from '../ops/create.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { ones_, zeros_ } from './init.js';
import { checkFloatDType } from './linear.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

/** Options of {@link BatchNorm1d}, {@link BatchNorm2d} and the instance norms. */
export interface BatchNormLayerOptions {
  /** Added to the variance; 1e-5. */
  readonly eps?: number;
  /** Weight of the new value in the running statistics; 0.1. null: they are plain averages over all batches. */
  readonly momentum?: number | null;
  /** Whether there are a `weight` (1 at first) and a `bias` (0); true for batch norm, false for instance norm. */
  readonly affine?: boolean;
  /** Whether running statistics are kept, and used in evaluation; true for batch norm, false for instance norm. */
  readonly trackRunningStats?: boolean;
  /** `float32` (the default) or `float64`. */
  readonly dtype?: DType;
}

/** What batch and instance norms share: parameters, buffers and checks. */
abstract class RunningNorm extends Module {
  readonly numFeatures: number;
  readonly eps: number;
  readonly momentum: number | null;
  readonly affine: boolean;
  readonly trackRunningStats: boolean;
  readonly weight: Parameter | null;
  readonly bias: Parameter | null;
  /** Mean of each channel over the batches so far; null when not tracked. */
  declare readonly running_mean: Tensor | null;
  /** Unbiased variance of each channel over the batches so far; null when not tracked. */
  declare readonly running_var: Tensor | null;
  /** Batches seen in training, int32; null when not tracked. */
  declare readonly num_batches_tracked: Tensor | null;

  constructor(
    numFeatures: number,
    { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true, dtype = 'float32' }: BatchNormLayerOptions,
  ) {
    super();
    const name = this.constructor.name;
    this.numFeatures = checkInteger(name, 'numFeatures', numFeatures, { min: 0 });
    this.eps = checkNumber(name, 'eps', eps);
    this.momentum = momentum === null ? null : checkNumber(name, 'momentum', momentum);
    this.affine = checkBoolean(name, 'affine', affine);
    this.trackRunningStats = checkBoolean(name, 'trackRunningStats', trackRunningStats);
    checkFloatDType(name, dtype);
    this.weight = affine ? new Parameter(ones([numFeatures], { dtype })) : null;
    this.bias = affine ? new Parameter(zeros([numFeatures], { dtype })) : null;
    if (trackRunningStats) {
      this.registerBuffer('running_mean', zeros([numFeatures], { dtype }));
      this.registerBuffer('running_var', ones([numFeatures], { dtype }));
      this.registerBuffer('num_batches_tracked', tensor(0, { dtype: 'int32' }));
    } else {
      this.running_mean = this.running_var = this.num_batches_tracked = null;
    }
  }

  /** Sets the running mean to 0, the variance to 1 and the count of batches to 0. */
  resetRunningStats(): void {
    this.running_mean?.zero_();
    this.running_var?.fill_(1);
    this.num_batches_tracked?.zero_();
  }

  /** Sets the weight to 1 and the bias to 0, and the running statistics to where they start. */
  resetParameters(): void {
    this.resetRunningStats();
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  /** Throws unless x has `dims` dimensions (with a channel for each feature at `channel`). */
  protected check(x: Tensor, dims: readonly number[], shape: string, channel = 1): Tensor {
    const name = this.constructor.name;
    checkTensor(name, 'input', x);
    if (!dims.includes(x.ndim))
      throw new ShapeError(`${name}: expected input of shape ${shape}, got ${formatShape(x.shape)}`);
    if (x.shape[channel] !== this.numFeatures) {
      throw new ShapeError(`${name}: expected ${this.numFeatures} channels, got shape ${formatShape(x.shape)}`);
    }
    return x;
  }

  protected override extraRepr(): string {
    const { numFeatures, eps, momentum, affine, trackRunningStats } = this;
    return `${numFeatures}, eps=${eps}, momentum=${momentum}, affine=${affine}, trackRunningStats=${trackRunningStats}`;
  }
}

/** The body of batch norm for inputs of any number of dimensions. */
abstract class BatchNorm extends RunningNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super(numFeatures, options);
  }

  protected normalize(x: Tensor): Tensor {
    const { weight, bias, eps, training } = this;
    const tracked = training ? this.num_batches_tracked : null;
    tracked?.add_(1);
    const momentum = this.momentum ?? (tracked === null ? 0 : tracked.to('float64').reciprocal());
    // Without running statistics, evaluation goes by those of the batch, too.
    const byBatch = training || this.running_mean === null;
    return batchNorm(x, this.running_mean, this.running_var, { weight, bias, training: byBatch, momentum, eps });
  }
}

/** Batch normalisation of (N, C) or (N, C, L), as {@link batchNorm}; running statistics in evaluation. */
export class BatchNorm1d extends BatchNorm {
  forward(x: Tensor): Tensor {
    return this.normalize(this.check(x, [2, 3], '[N, C] or [N, C, L]'));
  }
}

/** Batch normalisation of (N, C, H, W), as {@link batchNorm}; running statistics in evaluation. */
export class BatchNorm2d extends BatchNorm {
  forward(x: Tensor): Tensor {
    return this.normalize(this.check(x, [4], '[N, C, H, W]'));
  }
}

/** Batch normalisation of (N, C, D, H, W), as {@link batchNorm}; running statistics in evaluation. */
export class BatchNorm3d extends BatchNorm {
  forward(x: Tensor): Tensor {
    return this.normalize(this.check(x, [5], '[N, C, D, H, W]'));
  }
}

/** The body of instance norm; a sample without batch dimension becomes a batch of one. */
abstract class InstanceNorm extends RunningNorm {
  constructor(numFeatures: number, options: BatchNormLayerOptions = {}) {
    super(numFeatures, { affine: false, trackRunningStats: false, ...options });
  }

  protected normalize(x: Tensor, ndim: number, shape: string): Tensor {
    checkTensor(this.constructor.name, 'input', x);
    if (x.ndim === ndim - 1) return this.normalize(x.unsqueeze(0), ndim, shape).squeeze(0);
    this.check(x, [ndim], shape);
    const { weight, bias, eps } = this;
    return instanceNorm(x, {
      runningMean: this.running_mean,
      runningVar: this.running_var,
      weight,
      bias,
      useInputStats: this.training || !this.trackRunningStats,
      momentum: this.momentum ?? 0,
      eps,
    });
  }
}

/** Instance normalisation of (N, C, L) or (C, L), as {@link instanceNorm}. */
export class InstanceNorm1d extends InstanceNorm {
  forward(x: Tensor): Tensor {
    return this.normalize(x, 3, '[N, C, L] or [C, L]');
  }
}

/** Instance normalisation of (N, C, H, W) or (C, H, W), as {@link instanceNorm}. */
export class InstanceNorm2d extends InstanceNorm {
  forward(x: Tensor): Tensor {
    return this.normalize(x, 4, '[N, C, H, W] or [C, H, W]');
  }
}
