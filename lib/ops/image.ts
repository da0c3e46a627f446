import { ShapeError, ValueError } from '../errors.js';
import { checkBoolean, checkInteger, checkNumber, checkOneOf, show } from '../check.js';
import { code as opcodeOf, emit, emitUnary } from '../native/stream.js';
import type { OpName } from '../native/ops.generated.js';
import type { Rule } from '../autograd/graph.js';
import { formatShape, numelOf, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkTensor, passNs, record, result } from './apply.js';
import { contiguous } from './cast.js';
import { adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d, spread, type Sizes } from './pool.js';
import { narrow, permute, reshape } from './views.js';

const COPY = opcodeOf('copy');
const FILL = opcodeOf('fill');

interface LinearSpec {
  params: readonly number[];
  /** Shapes of the input and of the result. */
  from: Shape;
  to: Shape;
}

/** A linear op and its transpose, each the other's gradient. */
function linearPair(name: string, forward: OpName, backward: OpName): (x: Tensor, spec: LinearSpec) => Tensor {
  const make = (op: number, rule: Rule, x: Tensor, shape: Shape, spec: LinearSpec): Tensor => {
    const out = result(shape, x.code);
    emit(op, [contiguous(x)], [out], spec.params, passNs(2 * (x.numel + out.numel)));
    return record(rule, out, [x], [], spec);
  };
  const forwardRule: Rule = { name, backward: (dy, node) => [transposed(dy, node.extra as LinearSpec)] };
  const backwardRule: Rule = { name: `${name} backward`, backward: (g, node) => [direct(g, node.extra as LinearSpec)] };
  const [op, opBackward] = [opcodeOf(forward), opcodeOf(backward)];
  const direct = (x: Tensor, spec: LinearSpec): Tensor => make(op, forwardRule, x, spec.to, spec);
  const transposed = (dy: Tensor, spec: LinearSpec): Tensor => make(opBackward, backwardRule, dy, spec.from, spec);
  return direct;
}

// ---------------------------------------------------------------------------------------------- padding

const PAD_MODES = ['constant', 'reflect', 'replicate', 'circular'] as const;

/** What {@link pad} puts around a tensor. */
export type PadMode = (typeof PAD_MODES)[number];

/** Options of {@link pad}. */
export interface PadOptions {
  /** Default 'constant'. */
  mode?: PadMode;
  /** What 'constant' pads with. Default 0. */
  value?: number;
}

type Sides = readonly [before: number, after: number];

const constantRule: Rule = {
  name: 'pad',
  backward: (dy, node) => [cropped(dy, node.extra as readonly Sides[])],
};

/** x without what lies in `sides` of each of its dimensions. */
function cropped(x: Tensor, sides: readonly Sides[]): Tensor {
  let y = x;
  sides.forEach(([before, after], d) => {
    if (before > 0 || after > 0) y = narrow(y, d, before, x.shape[d]! - before - after);
  });
  return y;
}

/** x inside a larger tensor of `value`. */
function surrounded(x: Tensor, sides: readonly Sides[], value: number): Tensor {
  const out = result(
    x.shape.map((size, d) => size + sides[d]![0] + sides[d]![1]),
    x.code,
  );
  emit(FILL, [], [out], [value], passNs(out.numel));
  const { strides } = out;
  const offset = sides.reduce((sum, [before], d) => sum + before * strides[d]!, 0);
  if (x.numel > 0) emitUnary(COPY, x, out.asView(x.shape, strides, offset), passNs(x.numel));
  return record(constantRule, out, [x], [], sides);
}

const padFromInput = linearPair('pad', 'pad_from_input', 'pad_from_input_backward');

/**
 * x with its last dimensions padded: `padding` gives elements before and after the last one, then the one before it, and so on;
 * negative numbers cut off. Constant padding goes for any dimensions and dtype; the other modes for the last 1 to 3 dimensions
 * of float tensors (C, …) or (N, C, …): reflect mirrors without repeating the edge, replicate repeats the edge, circular goes
 * around.
 */
export function pad(x: Tensor, padding: readonly number[], { mode = 'constant', value = 0 }: PadOptions = {}): Tensor {
  const fn = 'pad';
  checkTensor(fn, 'input', x);
  checkOneOf(fn, 'mode', mode, PAD_MODES);
  if (!Array.isArray(padding) || padding.length % 2 !== 0 || padding.length > 2 * x.ndim) {
    throw new ValueError(
      `${fn}: expected padding of 2 numbers for each of up to ${x.ndim} dimensions, got ${show(padding)}`,
    );
  }
  const count = padding.length / 2;
  const limit = 2 ** 31 - 1;
  const numbers = padding.map((p: unknown) => checkInteger(fn, 'padding', p, { min: -limit, max: limit }));
  const sides = x.shape.map((_, d): Sides => {
    const i = x.ndim - 1 - d;
    return i < count ? [numbers[2 * i]!, numbers[2 * i + 1]!] : [0, 0];
  });
  const shape = x.shape.map((size, d) => size + sides[d]![0] + sides[d]![1]);
  const least = mode === 'constant' ? 0 : 1;
  if (shape.some((size, d) => size < (sides[d]![0] === 0 && sides[d]![1] === 0 ? 0 : least))) {
    throw new ShapeError(`${fn}: expected padding ${show(padding)} to leave elements of shape ${formatShape(x.shape)}`);
  }
  if (mode === 'constant') {
    checkNumber(fn, 'value', value, { finite: false });
    const cut = cropped(
      x,
      sides.map(([before, after]): Sides => [Math.max(-before, 0), Math.max(-after, 0)]),
    );
    const grown = sides.map(([before, after]): Sides => [Math.max(before, 0), Math.max(after, 0)]);
    return grown.some(([before, after]) => before + after > 0) ? surrounded(cut, grown, value) : cut;
  }
  checkFloat(fn, 'input', x);
  if (count < 1 || count > 3 || x.ndim < count + 1 || x.ndim > count + 2) {
    throw new ShapeError(
      `${fn}: expected 1 to 3 padded dimensions after [C] or [N, C] for mode ${mode}, got padding ${show(padding)} for shape ${formatShape(x.shape)}`,
    );
  }
  x.shape.forEach((size, d) => {
    const most = Math.max(...sides[d]!);
    const limitOf = mode === 'reflect' ? size - 1 : mode === 'circular' ? size : Infinity;
    if (most > 0 && (most > limitOf || size === 0)) {
      throw new ShapeError(
        `${fn}: expected padding of at most ${Math.max(limitOf, 0)} for ${mode} of size ${size}, got ${most}`,
      );
    }
  });
  const left = sides.slice(-count).map(([before]) => before);
  const params = [count, PAD_MODES.indexOf(mode), ...new Array<number>(3 - count).fill(0), ...left];
  return padFromInput(x, { params, from: x.shape, to: shape });
}

// ---------------------------------------------------------------------------------------------- unfold and fold

/** Options of {@link unfold} and {@link fold}: numbers, or one each for height and width. */
export interface UnfoldOptions {
  /** Step between the elements of a window. Default 1. */
  dilation?: Sizes;
  /** Zeros on both sides. Default 0. */
  padding?: Sizes;
  /** Step from window to window. Default 1. */
  stride?: Sizes;
}

const unfoldPair = linearPair('unfold', 'unfold', 'fold');
const foldPair = linearPair('fold', 'fold', 'unfold');

/** Parameters of unfolding, and how many windows there are down and across. */
function unfoldParams(
  fn: string,
  height: number,
  width: number,
  kernelSize: Sizes,
  { dilation = 1, padding = 0, stride = 1 }: UnfoldOptions,
): { params: number[]; taps: number; windows: number } {
  const kernel = spread(fn, 'kernelSize', kernelSize, 2, 1);
  const steps = spread(fn, 'stride', stride, 2, 1);
  const pads = spread(fn, 'padding', padding, 2, 0);
  const gaps = spread(fn, 'dilation', dilation, 2, 1);
  const counts = [height, width].map(
    (size, i) => Math.floor((size + 2 * pads[i]! - gaps[i]! * (kernel[i]! - 1) - 1) / steps[i]!) + 1,
  );
  if (counts.some((n) => n < 1)) {
    throw new ShapeError(
      `${fn}: expected windows no larger than the padded input ${formatShape([height, width])}, got ${show(kernel)}`,
    );
  }
  return {
    params: [...kernel, ...steps, ...pads, ...gaps],
    taps: kernel[0]! * kernel[1]!,
    windows: counts[0]! * counts[1]!,
  };
}

/** The windows of x (N, C, H, W) or (C, H, W) as columns, (N, C · elements of a window, windows): im2col. */
export function unfold(x: Tensor, kernelSize: Sizes, options: UnfoldOptions = {}): Tensor {
  const fn = 'unfold';
  checkFloat(fn, 'input', x);
  if ((x.ndim !== 3 && x.ndim !== 4) || x.shape.slice(-3).includes(0)) {
    throw new ShapeError(
      `${fn}: expected input of shape [N, C, H, W] or [C, H, W] with elements, got ${formatShape(x.shape)}`,
    );
  }
  if (x.ndim === 3) return reshapeBatch(unfold(reshape(x, [1, ...x.shape]), kernelSize, options));
  const [batch, channels, height, width] = x.shape as [number, number, number, number];
  const { params, taps, windows } = unfoldParams(fn, height, width, kernelSize, options);
  return unfoldPair(x, { params, from: x.shape, to: [batch, channels * taps, windows] });
}

const reshapeBatch = (x: Tensor): Tensor => reshape(x, x.shape.slice(1));

/** Adds columns (N, C · elements of a window, windows) up where they came from: the transpose of {@link unfold}, (N, C, H, W). */
export function fold(x: Tensor, outputSize: Sizes, kernelSize: Sizes, options: UnfoldOptions = {}): Tensor {
  const fn = 'fold';
  checkFloat(fn, 'input', x);
  if (x.ndim === 2) return reshapeBatch(fold(reshape(x, [1, ...x.shape]), outputSize, kernelSize, options));
  const [height, width] = spread(fn, 'outputSize', outputSize, 2, 1) as [number, number];
  const { params, taps, windows } = unfoldParams(fn, height, width, kernelSize, options);
  if (x.ndim !== 3 || x.shape[1]! % taps !== 0 || x.shape[2] !== windows) {
    throw new ShapeError(`${fn}: expected input of shape [N, C · ${taps}, ${windows}], got ${formatShape(x.shape)}`);
  }
  return foldPair(x, { params, from: x.shape, to: [x.shape[0]!, x.shape[1]! / taps, height, width] });
}

// ---------------------------------------------------------------------------------------------- interpolation

const MODES = {
  nearest: { code: 0, dims: 0, align: false },
  'nearest-exact': { code: 1, dims: 0, align: false },
  linear: { code: 2, dims: 1, align: true },
  bilinear: { code: 2, dims: 2, align: true },
  trilinear: { code: 2, dims: 3, align: true },
  bicubic: { code: 3, dims: 2, align: true },
  area: { code: -1, dims: 0, align: false },
} as const;

/** How {@link interpolate} finds values between those of its input. */
export type InterpolateMode = keyof typeof MODES;

/** Options of {@link interpolate}: exactly one of `size` and `scaleFactor`. */
export interface InterpolateOptions {
  /** Sizes of the result's spatial dimensions. */
  size?: Sizes | null;
  /** Sizes of the result relative to the input's, rounded down. */
  scaleFactor?: Sizes | null;
  /** Default 'nearest'. */
  mode?: InterpolateMode;
  /** Whether corner elements stand on corners, for the linear modes and bicubic. Default false. */
  alignCorners?: boolean | null;
  /** Whether sampling positions go by the rounded sizes instead of by `scaleFactor` itself. Default false. */
  recomputeScaleFactor?: boolean;
}

const interpolatePair = linearPair('interpolate', 'interpolate', 'interpolate_backward');

/** x (N, C, spatial…), one to three spatial dimensions, resampled to another size. */
export function interpolate(x: Tensor, options: InterpolateOptions): Tensor {
  const fn = 'interpolate';
  const { size = null, scaleFactor = null, mode = 'nearest', alignCorners = null } = options;
  const { recomputeScaleFactor = false } = options;
  checkFloat(fn, 'input', x);
  const { code, dims: wanted, align } = MODES[checkOneOf(fn, 'mode', mode, Object.keys(MODES) as InterpolateMode[])];
  checkBoolean(fn, 'recomputeScaleFactor', recomputeScaleFactor);
  if (alignCorners !== null) {
    checkBoolean(fn, 'alignCorners', alignCorners);
    if (!align) throw new ValueError(`${fn}: expected alignCorners with a linear mode or bicubic only, got ${mode}`);
  }
  const dims = x.ndim - 2;
  if (dims < 1 || dims > 3 || (wanted !== 0 && dims !== wanted) || x.shape.slice(1).includes(0)) {
    const spatial = wanted === 0 ? '1 to 3' : `${wanted}`;
    throw new ShapeError(
      `${fn}: expected input of shape [N, C, ...] with ${spatial} spatial dimensions with elements for mode ${mode}, got ${formatShape(x.shape)}`,
    );
  }
  const { spatial, scales } = outputSizes(fn, x.shape.slice(2), size, scaleFactor);
  const to = [...x.shape.slice(0, 2), ...spatial];
  if (mode === 'area') return [adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d][dims - 1]!(x, spatial);
  const unused = new Array<number>(3 - dims).fill(0);
  const steps = recomputeScaleFactor ? spatial.map(() => 0) : scales;
  return interpolatePair(x, {
    params: [dims, code, alignCorners === true ? 1 : 0, ...unused, ...steps],
    from: x.shape,
    to,
  });
}

/** The result's spatial sizes and the scales that were asked for, 0 for none. */
function outputSizes(
  fn: string,
  input: Shape,
  size: Sizes | null,
  scaleFactor: Sizes | null,
): { spatial: number[]; scales: number[] } {
  if ((size === null) === (scaleFactor === null)) {
    throw new ValueError(`${fn}: expected either size or scaleFactor, got ${size === null ? 'neither' : 'both'}`);
  }
  const dims = input.length;
  if (size !== null) return { spatial: spread(fn, 'size', size, dims, 1), scales: input.map(() => 0) };
  const list: unknown[] = Array.isArray(scaleFactor) ? (scaleFactor as unknown[]) : [scaleFactor];
  if (list.length !== 1 && list.length !== dims) {
    throw new ValueError(`${fn}: expected scaleFactor to be a number or ${dims} numbers, got ${show(scaleFactor)}`);
  }
  const scales = input.map((_, i) => checkNumber(fn, 'scaleFactor', list[list.length === 1 ? 0 : i], { min: 0 }));
  const spatial = input.map((n, i) => Math.floor(n * scales[i]!));
  if (spatial.some((n) => n < 1 || n >= 2 ** 31)) {
    throw new ShapeError(
      `${fn}: expected a scaleFactor that gives sizes of at least 1, got ${show(scaleFactor)} for ${formatShape(input)}`,
    );
  }
  return { spatial, scales };
}

// ---------------------------------------------------------------------------------------------- pixel shuffle

/** Makes r² channels one that is r times as high and wide (Shi et al., 2016): (…, C r², H, W) to (…, C, H r, W r). */
export function pixelShuffle(x: Tensor, upscaleFactor: number): Tensor {
  const fn = 'pixelShuffle';
  checkTensor(fn, 'input', x);
  const r = checkInteger(fn, 'upscaleFactor', upscaleFactor, { min: 1, max: 2 ** 15 });
  if (x.ndim < 3 || x.shape[x.ndim - 3]! % (r * r) !== 0) {
    throw new ShapeError(`${fn}: expected input of shape [..., C · ${r * r}, H, W], got ${formatShape(x.shape)}`);
  }
  const lead = x.shape.slice(0, -3);
  const [channels, height, width] = x.shape.slice(-3) as [number, number, number];
  const c = channels / (r * r);
  const parts = reshape(x, [numelOf(lead), c, r, r, height, width]);
  return reshape(permute(parts, [0, 1, 4, 2, 5, 3]), [...lead, c, height * r, width * r]);
}

/** The inverse of {@link pixelShuffle}: (…, C, H r, W r) to (…, C r², H, W). */
export function pixelUnshuffle(x: Tensor, downscaleFactor: number): Tensor {
  const fn = 'pixelUnshuffle';
  checkTensor(fn, 'input', x);
  const r = checkInteger(fn, 'downscaleFactor', downscaleFactor, { min: 1, max: 2 ** 15 });
  if (x.ndim < 3 || x.shape[x.ndim - 2]! % r !== 0 || x.shape[x.ndim - 1]! % r !== 0) {
    throw new ShapeError(`${fn}: expected input of shape [..., C, H · ${r}, W · ${r}], got ${formatShape(x.shape)}`);
  }
  const lead = x.shape.slice(0, -3);
  const [c, high, wide] = x.shape.slice(-3) as [number, number, number];
  const [height, width] = [high / r, wide / r];
  const parts = reshape(x, [numelOf(lead), c, height, r, width, r]);
  return reshape(permute(parts, [0, 1, 3, 5, 2, 4]), [...lead, c * r * r, height, width]);
}
