import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  maxPool1d,
  maxPool2d,
  type AdaptiveMaxPoolOptions,
  type AvgPoolOptions,
  type MaxPoolOptions,
  type OutputSize,
  type Sizes,
} from '../ops/pool.js';
import { show } from '../check.js';
import type { Tensor } from '../tensor.js';
import { Module } from './module.js';

/** A pooling layer's options as its text form shows them. */
const repr = (size: unknown, options: object): string =>
  [show(size), ...Object.entries(options).map(([name, value]) => `${name}=${show(value)}`)].join(', ');

/** A pooling over windows of `kernelSize`; options as of the function of the same name. */
abstract class WindowPool<O extends object> extends Module {
  readonly kernelSize: Sizes;
  readonly options: O;

  constructor(kernelSize: Sizes, options: O = {} as O) {
    super();
    this.kernelSize = kernelSize;
    this.options = { ...options };
  }

  protected override extraRepr(): string {
    return repr(this.kernelSize, this.options);
  }
}

/** A pooling to a result of `outputSize`; options as of the function of the same name. */
abstract class AdaptivePool<O extends object> extends Module {
  readonly outputSize: OutputSize;
  readonly options: O;

  constructor(outputSize: OutputSize, options: O = {} as O) {
    super();
    this.outputSize = outputSize;
    this.options = { ...options };
  }

  protected override extraRepr(): string {
    return repr(this.outputSize, this.options);
  }
}

// With `returnIndices` the functions give a pair, which `forward` hands on; its type is that of the usual case.

/** The maximum of each window of (N, C, L), as {@link maxPool1d}; a pair with `returnIndices`. */
export class MaxPool1d extends WindowPool<MaxPoolOptions> {
  forward(x: Tensor): Tensor {
    return maxPool1d(x, this.kernelSize, this.options as { returnIndices: false });
  }
}

/** The maximum of each window of (N, C, H, W), as {@link maxPool2d}; a pair with `returnIndices`. */
export class MaxPool2d extends WindowPool<MaxPoolOptions> {
  forward(x: Tensor): Tensor {
    return maxPool2d(x, this.kernelSize, this.options as { returnIndices: false });
  }
}

/** The mean of each window of (N, C, L), as {@link avgPool1d}. */
export class AvgPool1d extends WindowPool<AvgPoolOptions> {
  forward(x: Tensor): Tensor {
    return avgPool1d(x, this.kernelSize, this.options);
  }
}

/** The mean of each window of (N, C, H, W), as {@link avgPool2d}. */
export class AvgPool2d extends WindowPool<AvgPoolOptions> {
  forward(x: Tensor): Tensor {
    return avgPool2d(x, this.kernelSize, this.options);
  }
}

/** The mean of each window of (N, C, D, H, W), as {@link avgPool3d}. */
export class AvgPool3d extends WindowPool<AvgPoolOptions> {
  forward(x: Tensor): Tensor {
    return avgPool3d(x, this.kernelSize, this.options);
  }
}

/** Means over windows that cover (N, C, L) evenly, as {@link adaptiveAvgPool1d}. */
export class AdaptiveAvgPool1d extends AdaptivePool<object> {
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool1d(x, this.outputSize);
  }
}

/** Means over windows that cover (N, C, H, W) evenly, as {@link adaptiveAvgPool2d}. */
export class AdaptiveAvgPool2d extends AdaptivePool<object> {
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }
}

/** Maxima over windows that cover (N, C, L) evenly, as {@link adaptiveMaxPool1d}; a pair with `returnIndices`. */
export class AdaptiveMaxPool1d extends AdaptivePool<AdaptiveMaxPoolOptions> {
  forward(x: Tensor): Tensor {
    return adaptiveMaxPool1d(x, this.outputSize, this.options as { returnIndices: false });
  }
}

/** Maxima over windows that cover (N, C, H, W) evenly, as {@link adaptiveMaxPool2d}; a pair with `returnIndices`. */
export class AdaptiveMaxPool2d extends AdaptivePool<AdaptiveMaxPoolOptions> {
  forward(x: Tensor): Tensor {
    return adaptiveMaxPool2d(x, this.outputSize, this.options as { returnIndices: false });
  }
}
