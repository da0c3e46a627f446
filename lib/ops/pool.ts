import { INT32 } from '../dtype.js';
import { ShapeError, ValueError } from '../errors.js';
import { checkBoolean, checkInteger, show } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { formatShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, passNs, record, recording, result } from './apply.js';
import { contiguous } from './cast.js';

const MAX = opcodeOf('max_pool');
const ADAPTIVE_MAX = opcodeOf('adaptive_max_pool');
const SCATTER = opcodeOf('max_pool_backward');
const GATHER = opcodeOf('max_pool_gather');
const AVG = opcodeOf('avg_pool');
const AVG_BACKWARD = opcodeOf('avg_pool_backward');
const ADAPTIVE_AVG = opcodeOf('adaptive_avg_pool');
const ADAPTIVE_AVG_BACKWARD = opcodeOf('adaptive_avg_pool_backward');

/** One number for every spatial dimension, or one each. */
export type Sizes = number | readonly number[];

/** What windows have in common. */
interface WindowOptions {
  /** Step from window to window; default the kernel's size. */
  stride?: Sizes | null;
  /** Implicit padding on both sides, at most half of the kernel. Default 0. */
  padding?: Sizes;
  /** Whether a last window that starts inside the input (or its left padding) but ends past it counts. Default false. */
  ceilMode?: boolean;
}

/** Options of the max-pooling functions. */
export interface MaxPoolOptions extends WindowOptions {
  /** Step between the elements of a window. Default 1. */
  dilation?: Sizes;
  /** Also gives where each maximum was, as an int32 index into its plane. Default false. */
  returnIndices?: boolean;
}

/** Options of the average-pooling functions. */
export interface AvgPoolOptions extends WindowOptions {
  /** Whether padding counts in the divisor. Default true. */
  countIncludePad?: boolean;
  /** Divides by this instead of the size of the window. */
  divisorOverride?: number | null;
}

/** Options of the adaptive max-pooling functions. */
export interface AdaptiveMaxPoolOptions {
  /** Also gives where each maximum was, as an int32 index into its plane. Default false. */
  returnIndices?: boolean;
}

/** A number for each of `dims` dimensions. @internal */
export function spread(fn: string, name: string, value: unknown, dims: number, min: number): number[] {
  const list: unknown[] = Array.isArray(value) ? (value as unknown[]) : [value];
  if (list.length !== 1 && list.length !== dims) {
    throw new ValueError(`${fn}: expected ${name} to be a number or ${dims} numbers, got ${show(value)}`);
  }
  const numbers = list.map((v) => checkInteger(fn, name, v, { min, max: 2 ** 31 - 1 }));
  return numbers.length === dims ? numbers : new Array<number>(dims).fill(numbers[0]!);
}

const SPATIAL = ['L', 'H, W', 'D, H, W'] as const;

/** Checks for x (C, …) or (N, C, …) of `dims` spatial dimensions, with elements in all but the batch. */
function checkPlanes(fn: string, x: Tensor, dims: number): Tensor {
  checkFloat(fn, 'input', x);
  const fits = x.ndim === dims + 1 || x.ndim === dims + 2;
  const first = x.ndim === dims + 2 ? 1 : 0;
  if (!fits || x.shape.some((size, i) => size === 0 && i >= first)) {
    const spatial = SPATIAL[dims - 1]!;
    const what = fits ? ' with elements' : '';
    throw new ShapeError(
      `${fn}: expected input of shape [N, C, ${spatial}] or [C, ${spatial}]${what}, got ${formatShape(x.shape)}`,
    );
  }
  return contiguous(x);
}

interface Windows {
  /** Sizes, strides, paddings and dilations, one each for depth, height and width. */
  params: number[];
  out: Shape;
}

function windows(
  fn: string,
  x: Tensor,
  dims: number,
  kernelSize: Sizes,
  { stride = null, padding = 0, ceilMode = false }: WindowOptions,
  dilation: Sizes | null,
): Windows {
  const kernel = spread(fn, 'kernelSize', kernelSize, dims, 1);
  const steps = stride === null ? kernel : spread(fn, 'stride', stride, dims, 1);
  const pads = spread(fn, 'padding', padding, dims, 0);
  const gaps = dilation === null ? kernel.map(() => 1) : spread(fn, 'dilation', dilation, dims, 1);
  checkBoolean(fn, 'ceilMode', ceilMode);
  pads.forEach((pad, i) => {
    if (pad > kernel[i]! / 2) {
      throw new ValueError(
        `${fn}: expected padding of at most half of kernelSize ${show(kernelSize)}, got ${show(padding)}`,
      );
    }
  });
  const lead = x.ndim - dims;
  const spatial = x.shape.slice(lead).map((size, i) => {
    const room = size + 2 * pads[i]! - gaps[i]! * (kernel[i]! - 1) - 1;
    const count = Math.floor((room + (ceilMode ? steps[i]! - 1 : 0)) / steps[i]!) + 1;
    return ceilMode && (count - 1) * steps[i]! >= size + pads[i]! ? count - 1 : count;
  });
  if (spatial.some((size) => size < 1)) {
    throw new ShapeError(
      `${fn}: expected windows no larger than the padded input ${formatShape(x.shape)}, got ${show(kernel)}`,
    );
  }
  const wide = (list: number[], rest: number): number[] => [...new Array<number>(3 - dims).fill(rest), ...list];
  const params = [...wide(kernel, 1), ...wide(steps, 1), ...wide(pads, 0)];
  if (dilation !== null) params.push(...wide(gaps, 1));
  return { params: [dims, ...params], out: [...x.shape.slice(0, lead), ...spatial] };
}

interface MoveSpec {
  dims: number;
  /** Rows of the windows when they are tiles two columns wide, else 0. */
  tile: number;
  /** Shape of the input of the pooling. */
  shape: Shape;
}

// Scattering by the indices of maxima and gathering by them are each other's gradients.
const scatterRule: Rule = {
  name: 'maxPool backward',
  backward: (g, node) => [gather(g, node.saved(0), node.extra as MoveSpec)],
};
const gatherRule: Rule = {
  name: 'maxPool',
  backward: (dy, node) => [scatter(dy, node.saved(0), node.extra as MoveSpec)],
};

function scatter(dy: Tensor, indices: Tensor, spec: MoveSpec): Tensor {
  const dx = result(spec.shape, dy.code);
  emit(SCATTER, [contiguous(dy), indices], [dx], [spec.dims, spec.tile], passNs(dx.numel + 3 * dy.numel));
  return record(scatterRule, dx, [dy], [indices], spec);
}

function gather(x: Tensor, indices: Tensor, spec: MoveSpec): Tensor {
  const out = result(indices.shape, x.code, indices.numel);
  emit(GATHER, [contiguous(x), indices], [out], [spec.dims], passNs(3 * out.numel));
  return record(gatherRule, out, [x], [indices], spec);
}

/** The height of windows that are tiles two wide, all of them inside the input; 0 for others. */
function tileRows(params: readonly number[], from: Shape, to: Shape): number {
  if (params.length === 1) return 0;
  const [dims, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw] = params as number[];
  const tiles = kd === 1 && sd === 1 && kh === sh && kw === 2 && sw === 2 && pd! + ph! + pw! === 0;
  const flat = dims! < 3 && dd! * dh! * dw! === 1;
  const [height, width] = dims === 1 ? [1, to.at(-1)!] : [to.at(-2)!, to.at(-1)!];
  const inside = 2 * width <= from.at(-1)! && kh! * height <= (dims === 1 ? 1 : from.at(-2)!);
  return tiles && flat && inside ? kh! : 0;
}

function pooledMax(
  fn: string,
  op: number,
  x: Tensor,
  shape: Shape,
  params: readonly number[],
  returnIndices: boolean,
): Tensor | [Tensor, Tensor] {
  checkBoolean(fn, 'returnIndices', returnIndices);
  const input = contiguous(x);
  const out = result(shape, x.code);
  const spec: MoveSpec = { dims: params[0]!, tile: tileRows(params, x.shape, shape), shape: x.shape };
  if (!returnIndices && !recording([x])) {
    emit(op, [input], [out], params, passNs(2 * x.numel));
    return record(gatherRule, out, [x]);
  }
  const indices = result(shape, INT32, out.numel);
  emit(op, [input], [out, indices], params, passNs(2 * x.numel));
  record(gatherRule, out, [x], [indices], spec);
  return returnIndices ? [out, indices] : out;
}

function maxPool(
  fn: string,
  dims: number,
  x: Tensor,
  kernelSize: Sizes,
  options: MaxPoolOptions,
): Tensor | [Tensor, Tensor] {
  checkPlanes(fn, x, dims);
  const { params, out } = windows(fn, x, dims, kernelSize, options, options.dilation ?? 1);
  return pooledMax(fn, MAX, x, out, params, options.returnIndices ?? false);
}

/** The maximum of each window of x (N, C, L) or (C, L). NaN wins. With `returnIndices` a pair with where the maxima were. */
export function maxPool1d(
  x: Tensor,
  kernelSize: Sizes,
  options: MaxPoolOptions & { returnIndices: true },
): [Tensor, Tensor];
export function maxPool1d(x: Tensor, kernelSize: Sizes, options?: MaxPoolOptions & { returnIndices?: false }): Tensor;
export function maxPool1d(x: Tensor, kernelSize: Sizes, options: MaxPoolOptions = {}): Tensor | [Tensor, Tensor] {
  return maxPool('maxPool1d', 1, x, kernelSize, options);
}

/** The maximum of each window of x (N, C, H, W) or (C, H, W). NaN wins. With `returnIndices` a pair with where the maxima were. */
export function maxPool2d(
  x: Tensor,
  kernelSize: Sizes,
  options: MaxPoolOptions & { returnIndices: true },
): [Tensor, Tensor];
export function maxPool2d(x: Tensor, kernelSize: Sizes, options?: MaxPoolOptions & { returnIndices?: false }): Tensor;
export function maxPool2d(x: Tensor, kernelSize: Sizes, options: MaxPoolOptions = {}): Tensor | [Tensor, Tensor] {
  return maxPool('maxPool2d', 2, x, kernelSize, options);
}

/** The maximum of each window of x (N, C, D, H, W) or (C, D, H, W). NaN wins. With `returnIndices` a pair with where they were. */
export function maxPool3d(
  x: Tensor,
  kernelSize: Sizes,
  options: MaxPoolOptions & { returnIndices: true },
): [Tensor, Tensor];
export function maxPool3d(x: Tensor, kernelSize: Sizes, options?: MaxPoolOptions & { returnIndices?: false }): Tensor;
export function maxPool3d(x: Tensor, kernelSize: Sizes, options: MaxPoolOptions = {}): Tensor | [Tensor, Tensor] {
  return maxPool('maxPool3d', 3, x, kernelSize, options);
}

interface AverageSpec {
  shape: Shape;
  params: readonly number[];
  forward: number;
  backward: number;
}

// Averaging and sharing out are linear, and each other's gradients.
const averageRule: Rule = {
  name: 'avgPool',
  backward: (dy, node) => [share(dy, node.extra as AverageSpec)],
};
const shareRule: Rule = {
  name: 'avgPool backward',
  backward: (g, node) => {
    const [spec, out] = node.extra as [AverageSpec, Shape];
    return [average(g, spec, out)];
  },
};

function average(x: Tensor, spec: AverageSpec, shape: Shape): Tensor {
  const out = result(shape, x.code);
  emit(spec.forward, [contiguous(x)], [out], spec.params, passNs(2 * x.numel));
  return record(averageRule, out, [x], [], spec);
}

function share(dy: Tensor, spec: AverageSpec): Tensor {
  const dx = result(spec.shape, dy.code);
  emit(spec.backward, [contiguous(dy)], [dx], spec.params, passNs(2 * dx.numel));
  return record(shareRule, dx, [dy], [], [spec, dy.shape]);
}

function avgPool(fn: string, dims: number, x: Tensor, kernelSize: Sizes, options: AvgPoolOptions): Tensor {
  const { countIncludePad = true, divisorOverride = null } = options;
  checkPlanes(fn, x, dims);
  const { params, out } = windows(fn, x, dims, kernelSize, options, null);
  checkBoolean(fn, 'countIncludePad', countIncludePad);
  if (divisorOverride !== null) {
    checkInteger(fn, 'divisorOverride', divisorOverride);
    if (divisorOverride === 0) throw new ValueError(`${fn}: expected divisorOverride other than 0, got 0`);
  }
  params.push(countIncludePad ? 1 : 0, divisorOverride ?? 0);
  return average(x, { shape: x.shape, params, forward: AVG, backward: AVG_BACKWARD }, out);
}

/** The mean of each window of x (N, C, L) or (C, L). */
export const avgPool1d = (x: Tensor, kernelSize: Sizes, options: AvgPoolOptions = {}): Tensor =>
  avgPool('avgPool1d', 1, x, kernelSize, options);

/** The mean of each window of x (N, C, H, W) or (C, H, W). */
export const avgPool2d = (x: Tensor, kernelSize: Sizes, options: AvgPoolOptions = {}): Tensor =>
  avgPool('avgPool2d', 2, x, kernelSize, options);

/** The mean of each window of x (N, C, D, H, W) or (C, D, H, W). */
export const avgPool3d = (x: Tensor, kernelSize: Sizes, options: AvgPoolOptions = {}): Tensor =>
  avgPool('avgPool3d', 3, x, kernelSize, options);

/** Sizes of an adaptive pooling's result; null keeps one. */
export type OutputSize = number | readonly (number | null)[];

function adaptiveShape(fn: string, x: Tensor, dims: number, outputSize: OutputSize): Shape {
  const list: unknown = typeof outputSize === 'number' ? [outputSize] : outputSize;
  if (!Array.isArray(list) || (list.length !== 1 && list.length !== dims)) {
    throw new ValueError(`${fn}: expected outputSize to be a number or ${dims} numbers, got ${show(outputSize)}`);
  }
  const lead = x.ndim - dims;
  const spatial = x.shape.slice(lead).map((size, i) => {
    const want: unknown = list[list.length === 1 ? 0 : i];
    return want === null ? size : checkInteger(fn, 'outputSize', want, { min: 0, max: 2 ** 31 - 1 });
  });
  return [...x.shape.slice(0, lead), ...spatial];
}

function adaptiveAvg(fn: string, dims: number, x: Tensor, outputSize: OutputSize): Tensor {
  checkPlanes(fn, x, dims);
  const out = adaptiveShape(fn, x, dims, outputSize);
  const spec = { shape: x.shape, params: [dims], forward: ADAPTIVE_AVG, backward: ADAPTIVE_AVG_BACKWARD };
  return average(x, spec, out);
}

/** Means of `outputSize` windows that cover x (N, C, L) or (C, L) evenly: output o those of [⌊o L/n⌋, ⌈(o + 1) L/n⌉). */
export const adaptiveAvgPool1d = (x: Tensor, outputSize: OutputSize): Tensor =>
  adaptiveAvg('adaptiveAvgPool1d', 1, x, outputSize);

/** Means of `outputSize` (rows, columns) of windows that cover x (N, C, H, W) or (C, H, W) evenly. */
export const adaptiveAvgPool2d = (x: Tensor, outputSize: OutputSize): Tensor =>
  adaptiveAvg('adaptiveAvgPool2d', 2, x, outputSize);

/** Means of `outputSize` (depth, rows, columns) of windows that cover x (N, C, D, H, W) or (C, D, H, W) evenly. */
export const adaptiveAvgPool3d = (x: Tensor, outputSize: OutputSize): Tensor =>
  adaptiveAvg('adaptiveAvgPool3d', 3, x, outputSize);

function adaptiveMax(
  fn: string,
  dims: number,
  x: Tensor,
  outputSize: OutputSize,
  { returnIndices = false }: AdaptiveMaxPoolOptions,
): Tensor | [Tensor, Tensor] {
  checkPlanes(fn, x, dims);
  return pooledMax(fn, ADAPTIVE_MAX, x, adaptiveShape(fn, x, dims, outputSize), [dims], returnIndices);
}

/** Maxima of `outputSize` windows that cover x (N, C, L) or (C, L) evenly; with `returnIndices` a pair with where they were. */
export function adaptiveMaxPool1d(
  x: Tensor,
  outputSize: OutputSize,
  options: { returnIndices: true },
): [Tensor, Tensor];
export function adaptiveMaxPool1d(x: Tensor, outputSize: OutputSize, options?: { returnIndices?: false }): Tensor;
export function adaptiveMaxPool1d(
  x: Tensor,
  outputSize: OutputSize,
  options: AdaptiveMaxPoolOptions = {},
): Tensor | [Tensor, Tensor] {
  return adaptiveMax('adaptiveMaxPool1d', 1, x, outputSize, options);
}

/** Maxima of `outputSize` (rows, columns) of windows that cover x (N, C, H, W) or (C, H, W) evenly; likewise. */
export function adaptiveMaxPool2d(
  x: Tensor,
  outputSize: OutputSize,
  options: { returnIndices: true },
): [Tensor, Tensor];
export function adaptiveMaxPool2d(x: Tensor, outputSize: OutputSize, options?: { returnIndices?: false }): Tensor;
export function adaptiveMaxPool2d(
  x: Tensor,
  outputSize: OutputSize,
  options: AdaptiveMaxPoolOptions = {},
): Tensor | [Tensor, Tensor] {
  return adaptiveMax('adaptiveMaxPool2d', 2, x, outputSize, options);
}
