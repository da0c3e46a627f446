import { checkBoolean, checkInteger, checkOneOf, show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { formatShape, numelOf, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, record, recording, result } from './apply.js';
import { contiguous } from './cast.js';
import { spread, type Sizes } from './pool.js';
import { sum } from './reduce.js';
import { gelu, relu } from './activation.js';
import { sigmoid, tanh } from './unary.js';
import { viewAs } from './views.js';

const FORWARD = opcodeOf('conv2d');
const BACKWARD_DATA = opcodeOf('conv2d_backward_data');
const BACKWARD_WEIGHT = opcodeOf('conv2d_backward_weight');

type Pair = readonly [number, number];

/** What may be fused behind a convolution. */
export type ConvActivation = 'none' | 'relu' | 'tanh' | 'sigmoid' | 'gelu' | 'gelu_tanh';

/** Options of {@link conv1d} and {@link conv2d}. */
export interface ConvOptions {
  /** Distance between neighbouring windows; 1. */
  readonly stride?: Sizes;
  /**
   * Zeros put before and after every dimension; 0. `'valid'` is 0 too; `'same'` (stride 1 only) makes the output as large as the
   * input, with the odd zero at the end.
   */
  readonly padding?: Sizes | 'valid' | 'same';
  /** Distance between neighbouring elements of a window; 1. */
  readonly dilation?: Sizes;
  /** The channels are split into this many groups that do not see each other; 1. */
  readonly groups?: number;
  /** Applied to the result, in the same pass where no gradient is recorded; `'none'`. */
  readonly activation?: ConvActivation;
}

/** Options of {@link convTranspose1d} and {@link convTranspose2d}. */
export interface ConvTransposeOptions {
  readonly stride?: Sizes;
  /** What the convolution that this is the transpose of would pad; 0. */
  readonly padding?: Sizes;
  /** Added to the output's size at the end; less than stride or dilation; 0. */
  readonly outputPadding?: Sizes;
  readonly dilation?: Sizes;
  readonly groups?: number;
}

/** What the native ops need beside the operands: see native/ops.def. */
interface Geometry {
  readonly stride: Pair;
  readonly pad: Pair;
  readonly dilation: Pair;
  readonly groups: number;
}

let winograd = true;

/**
 * Whether convolutions may be computed by Winograd's algorithm where that is faster (float32 only); on by default. With 3×3
 * windows of stride 1 it takes about a third of the time and has about six times the rounding error of the direct way: some 1e-6
 * of the result's norm. In one dimension only, for windows of 6 to 8 rows at stride 2 and few channels and for 1-D windows of 3
 * or 4, it takes about two thirds and has half that error. An infinity in the input makes NaN of all outputs of the tiles (4 × 4
 * or 4) that read it. Lavin and Gray, "Fast algorithms for convolutional neural networks" (2015).
 */
export function setWinograd(value: boolean): void {
  winograd = checkBoolean('setWinograd', 'value', value);
}

/** Whether {@link setWinograd} allows Winograd's algorithm. */
export const getWinograd = (): boolean => winograd;

const params = (g: Geometry): number[] => [...g.stride, ...g.pad, ...g.dilation, g.groups, winograd ? 1 : 0];

const activations: readonly ConvActivation[] = ['none', 'relu', 'tanh', 'sigmoid', 'gelu', 'gelu_tanh'];

const apply: Record<ConvActivation, (x: Tensor) => Tensor> = {
  none: (x) => x,
  relu,
  tanh,
  sigmoid,
  gelu: (x) => gelu(x),
  gelu_tanh: (x) => gelu(x, { approximate: 'tanh' }),
};

/** Nanoseconds of the products of a convolution of y with a window of `weight`. */
const convNs = (y: Shape, weight: Shape): number => 500 + (numelOf(y) * numelOf(weight.slice(1))) / 40;

interface Saved {
  readonly geometry: Geometry;
  readonly shape: Shape;
}

// The three are each other's derivatives: with ⟨·,·⟩ the sum of products,
// ⟨g, forward(x, w)⟩ = ⟨backwardData(g, w), x⟩ = ⟨backwardWeight(g, x), w⟩.

const forwardRule: Rule = {
  name: 'conv',
  backward: (dy, node) => {
    const x = node.saved(0);
    const weight = node.saved(1);
    const geometry = node.extra as Geometry;
    return [
      node.needs(0) ? backwardData(dy, weight, null, geometry, x.shape) : null,
      node.needs(1) ? backwardWeight(dy, x, geometry, weight.shape) : null,
      node.needs(2) ? sum(dy, [0, 2, 3]) : null,
    ];
  },
};

/** x (N,C,H,W), weight (M,C/groups,KH,KW) to y of `shape`. With `scale`, which is for results without gradient, times that before the bias. */
function forward(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  geometry: Geometry,
  shape: Shape,
  activation: ConvActivation = 'none',
  scale: Tensor | null = null,
): Tensor {
  const a = contiguous(x);
  const w = contiguous(weight);
  const b = bias === null ? null : contiguous(bias);
  const fused = recording([a, w, b]) ? 'none' : activation;
  const y = result(shape, x.code);
  emit(
    FORWARD,
    scale === null ? [a, w, b] : [a, w, b, scale],
    [y],
    [...params(geometry), activations.indexOf(fused)],
    convNs(shape, w.shape),
  );
  const out = record(forwardRule, y, [a, w, b], [a, w], geometry);
  return fused === activation ? out : apply[activation](out);
}

const backwardDataRule: Rule = {
  name: 'convTranspose',
  backward: (g, node) => {
    const dy = node.saved(0);
    const weight = node.saved(1);
    const { geometry } = node.extra as Saved;
    return [
      node.needs(0) ? forward(g, weight, null, geometry, dy.shape) : null,
      node.needs(1) ? backwardWeight(dy, g, geometry, weight.shape) : null,
      node.needs(2) ? sum(g, [0, 2, 3]) : null,
    ];
  },
};

/** The gradient for x, of `shape`; also the transposed convolution of dy. */
function backwardData(dy: Tensor, weight: Tensor, bias: Tensor | null, geometry: Geometry, shape: Shape): Tensor {
  const a = contiguous(dy);
  const w = contiguous(weight);
  const b = bias === null ? null : contiguous(bias);
  const dx = result(shape, dy.code);
  emit(BACKWARD_DATA, [a, w, b], [dx], [...params(geometry), 0], convNs(a.shape, w.shape));
  return record(backwardDataRule, dx, [a, w, b], [a, w], { geometry, shape } satisfies Saved);
}

const backwardWeightRule: Rule = {
  name: 'conv backward by weight',
  backward: (g, node) => {
    const dy = node.saved(0);
    const x = node.saved(1);
    const { geometry } = node.extra as Saved;
    return [
      node.needs(0) ? forward(x, g, null, geometry, dy.shape) : null,
      node.needs(1) ? backwardData(dy, g, null, geometry, x.shape) : null,
    ];
  },
};

/** The gradient for the weight, of `shape`. */
function backwardWeight(dy: Tensor, x: Tensor, geometry: Geometry, shape: Shape): Tensor {
  const a = contiguous(dy);
  const b = contiguous(x);
  const dweight = result(shape, dy.code);
  emit(BACKWARD_WEIGHT, [a, b], [dweight], params(geometry), convNs(a.shape, shape));
  return record(backwardWeightRule, dweight, [a, b], [a, b], { geometry, shape } satisfies Saved);
}

/** A number for height and one for width; 1-D has no height, for which `flat` stands. */
function pair(fn: string, name: string, value: unknown, rank: number, min: number, flat: number): Pair {
  const sizes = spread(fn, name, value, rank, min);
  return rank === 1 ? [flat, sizes[0]!] : [sizes[0]!, sizes[1]!];
}

const letters = (rank: number): string => (rank === 1 ? 'L' : 'H, W');

/** Checks operands; returns the input as (N, C, H, W), the weight as (·, ·, KH, KW) and the spatial shapes. */
function operands(
  fn: string,
  rank: 1 | 2,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  groupsOption: unknown,
  transposed: boolean,
): { x: Tensor; w: Tensor; channels: number; groups: number; batched: boolean } {
  checkFloat(fn, 'input', input);
  checkFloat(fn, 'weight', weight);
  checkSameDType(fn, 'input', input, 'weight', weight);
  const groups = checkInteger(fn, 'groups', groupsOption, { min: 1 });
  const kernel = rank === 1 ? 'K' : 'KH, KW';
  if (weight.ndim !== rank + 2) {
    const order = transposed ? `[in, out / groups, ${kernel}]` : `[out, in / groups, ${kernel}]`;
    throw new ShapeError(`${fn}: expected weight of shape ${order}, got ${formatShape(weight.shape)}`);
  }
  if (weight.shape.slice(2).includes(0)) {
    throw new ShapeError(`${fn}: expected weight with a window of at least 1, got ${formatShape(weight.shape)}`);
  }
  const [first, second] = weight.shape as [number, number];
  if (first % groups !== 0) {
    throw new ShapeError(
      `${fn}: expected ${transposed ? 'in' : 'out'} channels in ${groups} groups, got weight of shape ${formatShape(weight.shape)}`,
    );
  }
  const inChannels = transposed ? first : second * groups;
  const channels = transposed ? second * groups : first;
  const batched = input.ndim === rank + 2;
  if ((!batched && input.ndim !== rank + 1) || input.shape[input.ndim - rank - 1] !== inChannels) {
    throw new ShapeError(
      `${fn}: expected input of shape [N, ${inChannels}, ${letters(rank)}] or [${inChannels}, ${letters(rank)}], got ${formatShape(input.shape)}`,
    );
  }
  if (bias !== null) {
    checkFloat(fn, 'bias', bias);
    checkSameDType(fn, 'input', input, 'bias', bias);
    if (bias.ndim !== 1 || bias.shape[0] !== channels) {
      throw new ShapeError(`${fn}: expected bias of shape [${channels}], got ${formatShape(bias.shape)}`);
    }
  }
  const { shape } = input;
  const spatial = shape.slice(shape.length - rank);
  const x = viewAs(input, [batched ? shape[0]! : 1, inChannels, ...(rank === 1 ? [1] : []), ...spatial]);
  const w = rank === 1 ? viewAs(weight, [first, second, 1, weight.shape[2]!]) : weight;
  return { x, w, channels, groups, batched };
}

/** The 4-D result back in the shape of the input's kind. */
function asInput(y: Tensor, rank: number, batched: boolean): Tensor {
  const [n, c, h, w] = y.shape as [number, number, number, number];
  if (rank === 2 && batched) return y;
  return viewAs(y, [...(batched ? [n] : []), c, ...(rank === 1 ? [w] : [h, w])]);
}

function conv(
  fn: string,
  rank: 1 | 2,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvOptions,
  scale: Tensor | null = null,
): Tensor {
  const { x, w, channels, groups, batched } = operands(fn, rank, input, weight, bias, options.groups ?? 1, false);
  const stride = pair(fn, 'stride', options.stride ?? 1, rank, 1, 1);
  const dilation = pair(fn, 'dilation', options.dilation ?? 1, rank, 1, 1);
  const activation = checkOneOf(fn, 'activation', options.activation ?? 'none', activations);
  const padding = options.padding ?? 0;
  const span = [0, 1].map((d) => dilation[d]! * (w.shape[d + 2]! - 1) + 1);
  let before: Pair;
  let total: number[];
  if (typeof padding === 'string') {
    if (checkOneOf(fn, 'padding', padding, ['valid', 'same']) === 'same') {
      if (stride[0] !== 1 || stride[1] !== 1) {
        throw new ValueError(`${fn}: expected stride 1 with padding 'same', got ${show(options.stride)}`);
      }
      total = [span[0]! - 1, span[1]! - 1];
    } else {
      total = [0, 0];
    }
    before = [Math.floor(total[0]! / 2), Math.floor(total[1]! / 2)];
  } else {
    before = pair(fn, 'padding', padding, rank, 0, 0);
    total = [2 * before[0], 2 * before[1]];
  }
  const size = [0, 1].map((d) => x.shape[d + 2]! + total[d]!);
  if (size[0]! < span[0]! || size[1]! < span[1]!) {
    throw new ShapeError(
      `${fn}: expected a padded input of at least ${formatShape(span.slice(-rank))}, the kernel's extent, got ${formatShape(size.slice(-rank))}`,
    );
  }
  const out = [0, 1].map((d) => Math.floor((size[d]! - span[d]!) / stride[d]!) + 1);
  const geometry: Geometry = { stride, pad: before, dilation, groups };
  const y = forward(x, w, bias, geometry, [x.shape[0]!, channels, out[0]!, out[1]!], activation, scale);
  return asInput(y, rank, batched);
}

/**
 * What networks call 1-D convolution: the cross-correlation of input (N, C, L) or (C, L) with weight (out, C / groups, K), plus
 * bias (out). See {@link convolve1d} for the mathematicians' convolution.
 */
export const conv1d = (input: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor =>
  conv('conv1d', 1, input, weight, bias, options);

/**
 * What networks call 2-D convolution: the cross-correlation of input (N, C, H, W) or (C, H, W) with weight (out, C / groups, KH,
 * KW), plus bias (out): y[n,m,i,j] = bias[m] + Σ weight[m,c,kh,kw] x[n, c, i·stride − padding + kh·dilation, …].
 */
export const conv2d = (input: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvOptions = {}): Tensor =>
  conv('conv2d', 2, input, weight, bias, options);

/**
 * A convolution whose result nothing differentiates, each channel scaled before the bias is added: what is left of batch norm by
 * running statistics. scale (out) is contiguous. @internal
 */
export const scaledConv = (
  rank: 1 | 2,
  input: Tensor,
  weight: Tensor,
  scale: Tensor,
  bias: Tensor,
  options: ConvOptions,
): Tensor => conv(`conv${rank}d`, rank, input, weight, bias, options, scale);

function convTranspose(
  fn: string,
  rank: 1 | 2,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  options: ConvTransposeOptions,
): Tensor {
  const { x, w, channels, groups, batched } = operands(fn, rank, input, weight, bias, options.groups ?? 1, true);
  const stride = pair(fn, 'stride', options.stride ?? 1, rank, 1, 1);
  const dilation = pair(fn, 'dilation', options.dilation ?? 1, rank, 1, 1);
  const pad = pair(fn, 'padding', options.padding ?? 0, rank, 0, 0);
  const extra = pair(fn, 'outputPadding', options.outputPadding ?? 0, rank, 0, 0);
  const out = [0, 1].map((d) => {
    if (extra[d]! >= Math.max(stride[d]!, dilation[d]!)) {
      throw new ValueError(
        `${fn}: expected outputPadding less than stride or dilation, got ${show(options.outputPadding)}`,
      );
    }
    return (x.shape[d + 2]! - 1) * stride[d]! - 2 * pad[d]! + dilation[d]! * (w.shape[d + 2]! - 1) + extra[d]! + 1;
  });
  if (out.some((size) => size < 1)) {
    throw new ShapeError(`${fn}: expected an output of at least 1, got ${formatShape(out.slice(-rank))}`);
  }
  const shape = [x.shape[0]!, channels, out[0]!, out[1]!];
  return asInput(backwardData(x, w, bias, { stride, pad, dilation, groups }, shape), rank, batched);
}

/**
 * The transpose (adjoint) of {@link conv1d} as a map of input (N, C, L) or (C, L), with weight (C, out / groups, K), plus bias
 * (out); also called fractionally strided or de-convolution.
 */
export const convTranspose1d = (
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor => convTranspose('convTranspose1d', 1, input, weight, bias, options);

/** Likewise of {@link conv2d}: input (N, C, H, W) or (C, H, W), weight (C, out / groups, KH, KW), bias (out). */
export const convTranspose2d = (
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvTransposeOptions = {},
): Tensor => convTranspose('convTranspose2d', 2, input, weight, bias, options);
