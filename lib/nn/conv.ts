import { checkBoolean, checkInteger, show } from '../check.js';
import type { DType } from '../dtype.js';
import { DTypeError, ShapeError, ValueError } from '../errors.js';
import { conv1d, conv2d, convTranspose1d, convTranspose2d, scaledConv, type ConvActivation } from '../ops/conv.js';
import { spread, type Sizes } from '../ops/pool.js';
import { empty } from '../ops/create.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { kaimingUniform_, uniform_ } from './init.js';
import { checkFloatDType } from './linear.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

interface CommonOptions {
  /** Distance between neighbouring windows; 1. */
  readonly stride?: Sizes;
  /** Distance between neighbouring elements of a window; 1. */
  readonly dilation?: Sizes;
  /** The channels are split into this many groups that do not see each other; 1. */
  readonly groups?: number;
  /** Whether to add a bias; true. */
  readonly bias?: boolean;
  /** `float32` (the default) or `float64`. */
  readonly dtype?: DType;
  /** Where the initial values come from; the default generator. */
  readonly generator?: Generator | undefined;
}

/** Options of {@link Conv1d} and {@link Conv2d}. */
export interface ConvModuleOptions extends CommonOptions {
  /** Zeros put before and after every dimension, or `'valid'` (none) or `'same'` (output as large as the input, stride 1); 0. */
  readonly padding?: Sizes | 'valid' | 'same';
}

/** Options of {@link ConvTranspose1d} and {@link ConvTranspose2d}. */
export interface ConvTransposeModuleOptions extends CommonOptions {
  /** What the convolution that this is the transpose of would pad; 0. */
  readonly padding?: Sizes;
  /** Added to the output's size at the end; less than stride or dilation; 0. */
  readonly outputPadding?: Sizes;
}

/** What the four layers share. U(±1/√(window · channels in)) starts weight and bias, as in PyTorch. */
abstract class ConvLayer extends Module {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(
    private readonly rank: 1 | 2,
    transposed: boolean,
    inChannels: number,
    outChannels: number,
    kernelSize: Sizes,
    options: CommonOptions,
  ) {
    super();
    const fn = this.constructor.name;
    const { stride = 1, dilation = 1, groups = 1, bias = true, dtype = 'float32', generator } = options;
    this.inChannels = checkInteger(fn, 'inChannels', inChannels, { min: 1 });
    this.outChannels = checkInteger(fn, 'outChannels', outChannels, { min: 1 });
    this.groups = checkInteger(fn, 'groups', groups, { min: 1 });
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new ValueError(
        `${fn}: expected inChannels and outChannels to be multiples of groups, got ${inChannels}, ${outChannels} and ${groups}`,
      );
    }
    this.kernelSize = spread(fn, 'kernelSize', kernelSize, rank, 1);
    this.stride = spread(fn, 'stride', stride, rank, 1);
    this.dilation = spread(fn, 'dilation', dilation, rank, 1);
    checkBoolean(fn, 'bias', bias);
    checkFloatDType(fn, dtype);
    const [first, second] = transposed ? [inChannels, outChannels] : [outChannels, inChannels];
    this.weight = new Parameter(empty([first, second / groups, ...this.kernelSize], { dtype }));
    this.bias = bias ? new Parameter(empty([outChannels], { dtype })) : null;
    this.resetParameters(generator);
  }

  /** Draws new initial values. */
  resetParameters(generator?: Generator): void {
    kaimingUniform_(this.weight, { a: Math.sqrt(5), generator });
    if (this.bias === null) return;
    const bound = 1 / Math.sqrt(this.weight.numel / this.weight.shape[0]!);
    uniform_(this.bias, -bound, bound, generator);
  }

  /** Throws unless `x` fits this layer. */
  protected checkInput(x: Tensor): void {
    const fn = this.constructor.name;
    if (!(x instanceof Tensor)) throw new ValueError(`${fn}: expected a Tensor, got ${show(x)}`);
    const { shape } = x;
    const channels = shape[shape.length - this.rank - 1];
    if ((x.ndim !== this.rank + 1 && x.ndim !== this.rank + 2) || channels !== this.inChannels) {
      const space = this.rank === 1 ? 'L' : 'H, W';
      throw new ShapeError(
        `${fn}: expected input of shape [N, ${this.inChannels}, ${space}] or [${this.inChannels}, ${space}], got ${formatShape(shape)}`,
      );
    }
    if (x.dtype !== this.weight.dtype) {
      throw new DTypeError(`${fn}: expected input of dtype ${this.weight.dtype}, got ${x.dtype}`);
    }
  }

  protected override extraRepr(): string {
    const list = (values: readonly number[]): string =>
      values.length === 1 ? String(values[0]) : `[${values.join(', ')}]`;
    let text = `${this.inChannels}, ${this.outChannels}, kernelSize=${list(this.kernelSize)}, stride=${list(this.stride)}`;
    text += this.paddingRepr(list);
    if (this.dilation.some((d) => d !== 1)) text += `, dilation=${list(this.dilation)}`;
    if (this.groups !== 1) text += `, groups=${this.groups}`;
    return this.bias === null ? `${text}, bias=false` : text;
  }

  protected abstract paddingRepr(list: (values: readonly number[]) => string): string;
}

abstract class Conv extends ConvLayer {
  readonly padding: readonly number[] | 'valid' | 'same';

  constructor(rank: 1 | 2, inChannels: number, outChannels: number, kernelSize: Sizes, options: ConvModuleOptions) {
    super(rank, false, inChannels, outChannels, kernelSize, options);
    const fn = this.constructor.name;
    const { padding = 0 } = options;
    if (padding === 'same' && this.stride.some((s) => s !== 1)) {
      throw new ValueError(`${fn}: expected stride 1 with padding 'same', got ${show(this.stride)}`);
    }
    this.padding = padding === 'same' || padding === 'valid' ? padding : spread(fn, 'padding', padding, rank, 0);
  }

  protected override paddingRepr(list: (values: readonly number[]) => string): string {
    if (typeof this.padding === 'string') return `, padding='${this.padding}'`;
    return this.padding.every((p) => p === 0) ? '' : `, padding=${list(this.padding)}`;
  }
}

/**
 * 1-D convolution (cross-correlation) of (N, inChannels, L) or (inChannels, L). `weight` is (outChannels, inChannels / groups,
 * K), `bias` (outChannels) or null. See {@link conv1d}.
 */
export class Conv1d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: Sizes, options: ConvModuleOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }

  forward(x: Tensor): Tensor {
    this.checkInput(x);
    return conv1d(x, this.weight, this.bias, this);
  }

  /** act(scale · convolution without bias + shift), for results without gradient. @internal */
  forwardScaled(x: Tensor, scale: Tensor, shift: Tensor, activation: ConvActivation): Tensor {
    this.checkInput(x);
    const { stride, padding, dilation, groups } = this;
    return scaledConv(1, x, this.weight, scale, shift, { stride, padding, dilation, groups, activation });
  }
}

/**
 * 2-D convolution (cross-correlation) of (N, inChannels, H, W) or (inChannels, H, W). `weight` is (outChannels, inChannels /
 * groups, KH, KW), `bias` (outChannels) or null. See {@link conv2d}.
 */
export class Conv2d extends Conv {
  constructor(inChannels: number, outChannels: number, kernelSize: Sizes, options: ConvModuleOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }

  forward(x: Tensor): Tensor {
    this.checkInput(x);
    return conv2d(x, this.weight, this.bias, this);
  }

  /** act(scale · convolution without bias + shift), for results without gradient. @internal */
  forwardScaled(x: Tensor, scale: Tensor, shift: Tensor, activation: ConvActivation): Tensor {
    this.checkInput(x);
    const { stride, padding, dilation, groups } = this;
    return scaledConv(2, x, this.weight, scale, shift, { stride, padding, dilation, groups, activation });
  }
}

abstract class ConvTranspose extends ConvLayer {
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];

  constructor(
    rank: 1 | 2,
    inChannels: number,
    outChannels: number,
    kernelSize: Sizes,
    options: ConvTransposeModuleOptions,
  ) {
    super(rank, true, inChannels, outChannels, kernelSize, options);
    const fn = this.constructor.name;
    this.padding = spread(fn, 'padding', options.padding ?? 0, rank, 0);
    this.outputPadding = spread(fn, 'outputPadding', options.outputPadding ?? 0, rank, 0);
    if (this.outputPadding.some((p, d) => p >= Math.max(this.stride[d]!, this.dilation[d]!))) {
      throw new ValueError(
        `${fn}: expected outputPadding less than stride or dilation, got ${show(options.outputPadding)}`,
      );
    }
  }

  protected override paddingRepr(list: (values: readonly number[]) => string): string {
    const padding = this.padding.every((p) => p === 0) ? '' : `, padding=${list(this.padding)}`;
    return this.outputPadding.every((p) => p === 0) ? padding : `${padding}, outputPadding=${list(this.outputPadding)}`;
  }
}

/**
 * The transpose of a {@link Conv1d} with the channels exchanged: `weight` is (inChannels, outChannels / groups, K), `bias`
 * (outChannels) or null. See {@link convTranspose1d}.
 */
export class ConvTranspose1d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: Sizes, options: ConvTransposeModuleOptions = {}) {
    super(1, inChannels, outChannels, kernelSize, options);
  }

  forward(x: Tensor): Tensor {
    this.checkInput(x);
    return convTranspose1d(x, this.weight, this.bias, this);
  }
}

/**
 * The transpose of a {@link Conv2d} with the channels exchanged: `weight` is (inChannels, outChannels / groups, KH, KW), `bias`
 * (outChannels) or null. See {@link convTranspose2d}.
 */
export class ConvTranspose2d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, kernelSize: Sizes, options: ConvTransposeModuleOptions = {}) {
    super(2, inChannels, outChannels, kernelSize, options);
  }

  forward(x: Tensor): Tensor {
    this.checkInput(x);
    return convTranspose2d(x, this.weight, this.bias, this);
  }
}
