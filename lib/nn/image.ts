import { checkInteger, checkShape, show } from '../check.js';
import { ShapeError } from '../errors.js';
import {
  fold,
  interpolate,
  pixelShuffle,
  pixelUnshuffle,
  unfold,
  type InterpolateOptions,
  type UnfoldOptions,
} from '../ops/image.js';
import type { Sizes } from '../ops/pool.js';
import { reshape } from '../ops/views.js';
import { formatShape, normalizeDim, numelOf, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { Module } from './module.js';

/** Options of {@link Upsample}: those of {@link interpolate}. */
export type UpsampleOptions = InterpolateOptions;

/** Resamples (N, C, …) to `size` or by `scaleFactor`, as {@link interpolate}; mode 'nearest' unless given. */
export class Upsample extends Module {
  readonly options: UpsampleOptions;

  constructor(options: UpsampleOptions) {
    super();
    this.options = { ...options };
  }

  forward(x: Tensor): Tensor {
    return interpolate(x, this.options);
  }

  protected override extraRepr(): string {
    return Object.entries(this.options)
      .map(([name, value]) => `${name}=${show(value)}`)
      .join(', ');
  }
}

/** (…, C r², H, W) to (…, C, H r, W r), as {@link pixelShuffle}. */
export class PixelShuffle extends Module {
  readonly upscaleFactor: number;

  constructor(upscaleFactor: number) {
    super();
    this.upscaleFactor = checkInteger('PixelShuffle', 'upscaleFactor', upscaleFactor, { min: 1 });
  }

  forward(x: Tensor): Tensor {
    return pixelShuffle(x, this.upscaleFactor);
  }

  protected override extraRepr(): string {
    return `upscaleFactor=${this.upscaleFactor}`;
  }
}

/** (…, C, H r, W r) to (…, C r², H, W), as {@link pixelUnshuffle}. */
export class PixelUnshuffle extends Module {
  readonly downscaleFactor: number;

  constructor(downscaleFactor: number) {
    super();
    this.downscaleFactor = checkInteger('PixelUnshuffle', 'downscaleFactor', downscaleFactor, { min: 1 });
  }

  forward(x: Tensor): Tensor {
    return pixelUnshuffle(x, this.downscaleFactor);
  }

  protected override extraRepr(): string {
    return `downscaleFactor=${this.downscaleFactor}`;
  }
}

/** The windows of (N, C, H, W) as columns, as {@link unfold}. */
export class Unfold extends Module {
  readonly kernelSize: Sizes;
  readonly options: UnfoldOptions;

  constructor(kernelSize: Sizes, options: UnfoldOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = { ...options };
  }

  forward(x: Tensor): Tensor {
    return unfold(x, this.kernelSize, this.options);
  }
}

/** Adds columns up to (N, C, outputSize), as {@link fold}. */
export class Fold extends Module {
  readonly outputSize: Sizes;
  readonly kernelSize: Sizes;
  readonly options: UnfoldOptions;

  constructor(outputSize: Sizes, kernelSize: Sizes, options: UnfoldOptions = {}) {
    super();
    this.outputSize = outputSize;
    this.kernelSize = kernelSize;
    this.options = { ...options };
  }

  forward(x: Tensor): Tensor {
    return fold(x, this.outputSize, this.kernelSize, this.options);
  }
}

/** Cuts dimension `dim` into several of `unflattenedSize`, one of which may be -1: the reverse of {@link Flatten}. */
export class Unflatten extends Module {
  readonly dim: number;
  readonly unflattenedSize: Shape;

  constructor(dim: number, unflattenedSize: Shape) {
    super();
    this.dim = checkInteger('Unflatten', 'dim', dim, { min: -8, max: 7 });
    checkShape(
      'Unflatten',
      Array.isArray(unflattenedSize) ? unflattenedSize.map((n: unknown) => (n === -1 ? 1 : n)) : unflattenedSize,
    );
    this.unflattenedSize = [...unflattenedSize];
  }

  forward(x: Tensor): Tensor {
    const d = normalizeDim('Unflatten', this.dim, x.ndim);
    const sizes = this.unflattenedSize;
    const known = numelOf(sizes.filter((n) => n !== -1));
    const size = x.shape[d]!;
    if (sizes.includes(-1) ? known === 0 || size % known !== 0 : known !== size) {
      throw new ShapeError(
        `Unflatten: expected dimension ${d} of ${formatShape(x.shape)} to split into ${show(sizes)}`,
      );
    }
    const parts = sizes.map((n) => (n === -1 ? size / known : n));
    return reshape(x, [...x.shape.slice(0, d), ...parts, ...x.shape.slice(d + 1)]);
  }

  protected override extraRepr(): string {
    return `dim=${this.dim}, unflattenedSize=${show(this.unflattenedSize)}`;
  }
}
