import { FLOAT64 } from '../dtype.js';
import { ShapeError, ValueError } from '../errors.js';
import { checkBoolean, checkInteger, checkNumber, checkShape } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { newSavedStorages } from '../native/storage.js';
import { isGradEnabled, type Node, type Rule } from '../autograd/graph.js';
import { formatShape, numelOf, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, checkTensor, passNs, record, recording, result, savedResult } from './apply.js';
import { add, mul, sub } from './binary.js';
import { contiguous } from './cast.js';
import { mean, sum } from './reduce.js';
import { rsqrt, square } from './unary.js';
import { cat, reshape, viewAs } from './views.js';

const LAYER = opcodeOf('layer_norm');
const LAYER_BACKWARD = opcodeOf('layer_norm_backward');
const GROUP = opcodeOf('group_norm');
const GROUP_BACKWARD = opcodeOf('group_norm_backward');
const BATCH = opcodeOf('batch_norm');
const BATCH_BACKWARD = opcodeOf('batch_norm_backward');
const INFERENCE = opcodeOf('batch_norm_inference');
const INFERENCE_BACKWARD = opcodeOf('batch_norm_inference_backward');

/** Weight and bias of a norm: y = x̂ · weight + bias; null (the default) for none. */
export interface NormOptions {
  weight?: Tensor | null;
  bias?: Tensor | null;
  /** Added to the variance. Default 1e-5. */
  eps?: number;
}

/** How the statistics of a norm lie in x, for gradients composed of differentiable parts. */
interface Layout {
  /** x's shape with the dimensions that belong together made one. */
  view: Shape;
  /** The shape in which a weight broadcasts to `view`. */
  weights: Shape;
  /** Dimensions of `view` that share one mean. */
  over: readonly number[];
  /** Dimensions of `view` that share one weight. */
  shared: readonly number[];
  eps: number;
  centered: boolean;
}

interface NormSpec {
  layout: Layout;
  backward: number;
  params: readonly number[];
  weighted: boolean;
}

/** dx, dy x̂ and dy, the latter two summed to the weight's shape, as functions that can be differentiated again. */
function composed(dy: Tensor, x: Tensor, weight: Tensor | null, layout: Layout): [Tensor, Tensor, Tensor] {
  const { view, weights, over, shared, eps, centered } = layout;
  const g = reshape(dy, view);
  const v = reshape(x, view);
  const d = centered ? sub(v, mean(v, over, true)) : v;
  const rstd = rsqrt(add(mean(square(d), over, true), eps));
  const standard = mul(d, rstd);
  const a = weight === null ? g : mul(g, reshape(weight, weights));
  const along = mul(standard, mean(mul(a, standard), over, true));
  const rest = sub(a, along);
  const dx = mul(rstd, centered ? sub(rest, mean(a, over, true)) : rest);
  return [reshape(dx, x.shape), sum(mul(g, standard), shared), sum(g, shared)];
}

const normRule = (name: string): Rule => ({
  name,
  backward: (dy, node) => {
    const { layout, backward, params, weighted } = node.extra as NormSpec;
    const x = node.saved(0);
    const weight = weighted ? node.saved(3) : null;
    const grads = isGradEnabled()
      ? composed(dy, x, weight, layout)
      : fused(backward, dy, x, [node.saved(1), node.saved(2)], weight, numelOf(layout.weights), params);
    return shaped(grads, node, weight);
  },
});

const LAYER_RULE = normRule('layerNorm');
const RMS_RULE = normRule('rmsNorm');
const GROUP_RULE = normRule('groupNorm');
const BATCH_RULE = normRule('batchNorm');

/** The gradients that are wanted, those of the vectors in the weight's own shape. */
function shaped(grads: readonly Tensor[], node: Node, weight: Tensor | null): (Tensor | null)[] {
  const [dx, dweight, dbias] = grads as [Tensor, Tensor, Tensor];
  const shape = weight?.shape ?? (node.extra as { shape?: Shape }).shape ?? dbias.shape;
  return [
    node.needs(0) ? dx : null,
    node.needs(1) ? viewAs(dweight, shape) : null,
    node.needs(2) ? viewAs(dbias, shape) : null,
  ];
}

function fused(
  op: number,
  dy: Tensor,
  x: Tensor,
  statistics: readonly [Tensor, Tensor],
  weight: Tensor | null,
  channels: number,
  params: readonly number[],
): [Tensor, Tensor, Tensor] {
  const dx = result(x.shape, x.code, x.numel);
  const dweight = result([channels], x.code, channels);
  const dbias = result([channels], x.code, channels);
  emit(op, [contiguous(dy), x, ...statistics, weight], [dx, dweight, dbias], params, passNs(3 * x.numel));
  return [dx, dweight, dbias];
}

/** Checks a vector of one value a channel (or in the shape that is normalised). */
function checkVector(fn: string, name: string, vector: Tensor | null, x: Tensor, shape: Shape): Tensor | null {
  if (vector === null) return null;
  checkFloat(fn, name, vector);
  checkSameDType(fn, 'input', x, name, vector);
  if (!sameShape(vector.shape, shape)) {
    throw new ShapeError(`${fn}: expected ${name} of shape ${formatShape(shape)}, got ${formatShape(vector.shape)}`);
  }
  return contiguous(vector);
}

interface Forward {
  rule: Rule;
  op: number;
  backward: number;
  params: readonly number[];
  backwardParams: readonly number[];
  /** Rows or channels that have statistics. */
  rows: number;
  layout: Layout;
}

/** Runs a forward pass on checked operands and records it. */
function normalize(
  x: Tensor,
  weight: Tensor | null,
  bias: Tensor | null,
  { rule, op, backward, params, backwardParams, rows, layout }: Forward,
  momentum: Tensor | number | null = null,
  running: readonly Tensor[] = [],
): Tensor {
  const input = contiguous(x);
  const out = result(x.shape, x.code, x.numel);
  const [meanStorage, rstdStorage] = newSavedStorages(2) as [never, never];
  const m = savedResult(meanStorage, [rows], FLOAT64);
  const rstd = savedResult(rstdStorage, [rows], FLOAT64);
  const inputs = op === BATCH ? [input, weight, bias, momentum] : [input, weight, bias];
  emit(op, inputs, [out, m, rstd, ...running], params, passNs(3 * x.numel), FLOAT64);
  for (const t of running) t.storage.version++;
  if (!recording([x, weight, bias])) {
    m.dispose();
    rstd.dispose();
    return record(rule, out, [x, weight, bias]);
  }
  const saved = weight === null ? [input, m, rstd] : [input, m, rstd, weight];
  const spec = { layout, backward, params: backwardParams, weighted: weight !== null, shape: bias?.shape };
  return record(rule, out, [x, weight, bias], saved, spec satisfies NormSpec & { shape: Shape | undefined });
}

function checkEps(fn: string, eps: number): void {
  checkNumber(fn, 'eps', eps);
}

/** The trailing dimensions of x that are normalised. */
function checkNormalized(fn: string, x: Tensor, shape: number | Shape): Shape {
  const want = typeof shape === 'number' ? [shape] : shape;
  checkShape(fn, want);
  if (want.length === 0) throw new ShapeError(`${fn}: expected normalizedShape of at least 1 dimension, got []`);
  const lead = x.ndim - want.length;
  if (lead < 0 || !sameShape(x.shape.slice(lead), want)) {
    throw new ShapeError(`${fn}: expected input of shape [..., ${want.join(', ')}], got ${formatShape(x.shape)}`);
  }
  return want;
}

function rowNorm(
  fn: string,
  x: Tensor,
  normalizedShape: number | Shape,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
  centered: boolean,
): Tensor {
  checkFloat(fn, 'input', x);
  checkEps(fn, eps);
  const shape = checkNormalized(fn, x, normalizedShape);
  const w = checkVector(fn, 'weight', weight, x, shape);
  const b = checkVector(fn, 'bias', bias, x, shape);
  const n = numelOf(shape);
  if (n === 0) return mul(x, 1);
  const rows = x.numel / n;
  return normalize(x, w, b, {
    rule: centered ? LAYER_RULE : RMS_RULE,
    op: LAYER,
    backward: LAYER_BACKWARD,
    params: [n, eps, centered ? 1 : 0],
    backwardParams: [n, centered ? 1 : 0],
    rows,
    layout: { view: [rows, n], weights: [1, n], over: [1], shared: [0], eps, centered },
  });
}

/**
 * Layer normalisation (Ba, Kiros and Hinton, 2016): (x − mean) / √(variance + eps) over the trailing dimensions
 * `normalizedShape` of x, times `weight` plus `bias` of that shape.
 */
export function layerNorm(
  x: Tensor,
  normalizedShape: number | Shape,
  { weight = null, bias = null, eps = 1e-5 }: NormOptions = {},
): Tensor {
  return rowNorm('layerNorm', x, normalizedShape, weight, bias, eps, true);
}

/** Options of {@link rmsNorm}. */
export interface RmsNormOptions {
  weight?: Tensor | null;
  /** Added to the mean square. Default null: the machine epsilon of x's dtype. */
  eps?: number | null;
}

/** Root-mean-square normalisation (Zhang and Sennrich, 2019): x / √(mean(x²) + eps) over trailing dimensions, times `weight`. */
export function rmsNorm(
  x: Tensor,
  normalizedShape: number | Shape,
  { weight = null, eps = null }: RmsNormOptions = {},
): Tensor {
  const small = eps ?? (checkFloat('rmsNorm', 'input', x).code === FLOAT64 ? 2 ** -52 : 2 ** -23);
  return rowNorm('rmsNorm', x, normalizedShape, weight, null, small, false);
}

function checkChannels(fn: string, x: Tensor): number {
  if (x.ndim < 2) throw new ShapeError(`${fn}: expected input of shape [N, C, ...], got ${formatShape(x.shape)}`);
  return x.shape[1]!;
}

/** Group normalisation (Wu and He, 2018) of x (N, C, …): statistics over each of `numGroups` groups of channels of a sample. */
export function groupNorm(
  x: Tensor,
  numGroups: number,
  { weight = null, bias = null, eps = 1e-5 }: NormOptions = {},
): Tensor {
  return grouped('groupNorm', x, numGroups, weight, bias, eps);
}

function grouped(
  fn: string,
  x: Tensor,
  groups: number,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
): Tensor {
  checkFloat(fn, 'input', x);
  checkEps(fn, eps);
  const channels = checkChannels(fn, x);
  checkInteger(fn, 'numGroups', groups, { min: 1 });
  if (channels % groups !== 0) {
    throw new ShapeError(`${fn}: expected a number of channels that ${groups} groups divide, got ${channels}`);
  }
  const w = checkVector(fn, 'weight', weight, x, [channels]);
  const b = checkVector(fn, 'bias', bias, x, [channels]);
  const batch = x.shape[0]!;
  const spatial = numelOf(x.shape.slice(2));
  if (x.numel === 0 && (channels === 0 || spatial === 0)) return mul(x, 1);
  const per = channels / groups;
  return normalize(x, w, b, {
    rule: GROUP_RULE,
    op: GROUP,
    backward: GROUP_BACKWARD,
    params: [groups, eps],
    backwardParams: [groups],
    rows: batch * groups,
    layout: {
      view: [batch, groups, per, spatial],
      weights: [1, groups, per, 1],
      over: [2, 3],
      shared: [0, 3],
      eps,
      centered: true,
    },
  });
}

/** Options of {@link batchNorm}. */
export interface BatchNormOptions extends NormOptions {
  /** Whether to normalise by the batch's own statistics (and to update the running ones). Default false. */
  training?: boolean;
  /** The weight of the new value in the running statistics. Default 0.1. A scalar tensor is read when the stream reaches it. */
  momentum?: number | Tensor;
}

interface InferenceSpec {
  eps: number;
  weighted: boolean;
  shape: Shape | undefined;
}

const inferenceRule: Rule = {
  name: 'batchNorm',
  backward: (dy, node) => {
    const { eps, weighted } = node.extra as InferenceSpec;
    const x = node.saved(0);
    const m = node.saved(1);
    const variance = node.saved(2);
    const weight = weighted ? node.saved(3) : null;
    const channels = m.numel;
    if (!isGradEnabled()) {
      return shaped(fused(INFERENCE_BACKWARD, dy, x, [m, variance], weight, channels, [eps]), node, weight);
    }
    const wide = [channels, ...x.shape.slice(2).map(() => 1)];
    const others = x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));
    const rstd = reshape(rsqrt(add(variance, eps)), wide);
    const scale = weight === null ? rstd : mul(rstd, reshape(weight, wide));
    const standard = mul(sub(x, reshape(m, wide)), rstd);
    return shaped([mul(dy, scale), sum(mul(dy, standard), others), sum(dy, others)], node, weight);
  },
};

/**
 * Batch normalisation (Ioffe and Szegedy, 2015) of x (N, C, …): each channel brought to mean 0 and variance 1, times `weight`
 * plus `bias` of shape [C]. In training by the statistics of the batch, which also move `runningMean` and `runningVar` (in place;
 * the variance they keep is the unbiased one); otherwise by the running ones.
 */
export function batchNorm(
  x: Tensor,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  { weight = null, bias = null, training = false, momentum = 0.1, eps = 1e-5 }: BatchNormOptions = {},
): Tensor {
  const fn = 'batchNorm';
  checkFloat(fn, 'input', x);
  checkEps(fn, eps);
  checkBoolean(fn, 'training', training);
  if (typeof momentum === 'number') checkNumber(fn, 'momentum', momentum);
  else checkMomentum(fn, momentum);
  if (x.ndim === 1 && x.numel === 0) return mul(x, 1);
  const channels = checkChannels(fn, x);
  const w = checkVector(fn, 'weight', weight, x, [channels]);
  const b = checkVector(fn, 'bias', bias, x, [channels]);
  const m = checkRunning(fn, 'runningMean', runningMean, x, channels, training);
  const variance = checkRunning(fn, 'runningVar', runningVar, x, channels, training);
  if ((m === null) !== (variance === null)) {
    throw new ValueError(`${fn}: expected both runningMean and runningVar or neither`);
  }
  if (training) return batchTraining(fn, x, w, b, m === null ? [] : [m, variance!], momentum, eps);
  if (m === null) throw new ValueError(`${fn}: expected runningMean and runningVar when not training, got null`);
  const input = contiguous(x);
  const out = result(x.shape, x.code, x.numel);
  const [statMean, statVar] = [contiguous(m), contiguous(variance!)];
  emit(INFERENCE, [input, statMean, statVar, w, b], [out], [eps], passNs(2 * x.numel));
  const saved = recording([x, w, b]) ? [input, statMean, statVar, ...(w === null ? [] : [w])] : [];
  const spec: InferenceSpec = { eps, weighted: w !== null, shape: b?.shape };
  return record(inferenceRule, out, [x, w, b], saved, spec);
}

function checkMomentum(fn: string, momentum: Tensor): void {
  checkFloat(fn, 'momentum', momentum);
  if (momentum.numel !== 1) {
    throw new ShapeError(`${fn}: expected momentum of one element, got shape ${formatShape(momentum.shape)}`);
  }
}

function checkRunning(
  fn: string,
  name: string,
  t: Tensor | null,
  x: Tensor,
  channels: number,
  written: boolean,
): Tensor | null {
  if (t === null) return null;
  checkTensor(fn, name, t);
  checkSameDType(fn, 'input', x, name, t);
  if (!sameShape(t.shape, [channels])) {
    throw new ShapeError(`${fn}: expected ${name} of shape [${channels}], got ${formatShape(t.shape)}`);
  }
  if (t.requiresGrad) throw new ValueError(`${fn}: expected ${name} that does not require a gradient`);
  if (written && !t.isContiguous) throw new ValueError(`${fn}: expected ${name} to be contiguous`);
  return t;
}

function batchTraining(
  fn: string,
  x: Tensor,
  weight: Tensor | null,
  bias: Tensor | null,
  running: readonly Tensor[],
  momentum: number | Tensor,
  eps: number,
): Tensor {
  const [batch, channels] = x.shape as [number, number];
  const spatial = numelOf(x.shape.slice(2));
  if (batch * spatial === 1) {
    throw new ShapeError(
      `${fn}: expected more than 1 value per channel when training, got shape ${formatShape(x.shape)}`,
    );
  }
  return normalize(
    x,
    weight,
    bias,
    {
      rule: BATCH_RULE,
      op: BATCH,
      backward: BATCH_BACKWARD,
      params: [eps],
      backwardParams: [],
      rows: channels,
      layout: {
        view: [batch, channels, spatial],
        weights: [1, channels, 1],
        over: [0, 2],
        shared: [0, 2],
        eps,
        centered: true,
      },
    },
    running.length > 0 ? momentum : null,
    running,
  );
}

/** Options of {@link instanceNorm}. */
export interface InstanceNormOptions extends NormOptions {
  runningMean?: Tensor | null;
  runningVar?: Tensor | null;
  /** Whether to normalise by the input's own statistics. Default true. */
  useInputStats?: boolean;
  /** The weight of the new value in the running statistics. Default 0.1. */
  momentum?: number;
}

/**
 * Instance normalisation (Ulyanov, Vedaldi and Lempitsky, 2016) of x (N, C, …): each channel of each sample brought to mean 0 and
 * variance 1. Running statistics, where given, move by the mean over the batch of the instances' own.
 */
export function instanceNorm(
  x: Tensor,
  {
    runningMean = null,
    runningVar = null,
    weight = null,
    bias = null,
    useInputStats = true,
    momentum = 0.1,
    eps = 1e-5,
  }: InstanceNormOptions = {},
): Tensor {
  const fn = 'instanceNorm';
  checkFloat(fn, 'input', x);
  checkBoolean(fn, 'useInputStats', useInputStats);
  checkNumber(fn, 'momentum', momentum);
  if (!useInputStats) return batchNorm(x, runningMean, runningVar, { weight, bias, eps });
  const channels = checkChannels(fn, x);
  const batch = x.shape[0]!;
  if (numelOf(x.shape.slice(2)) === 1) {
    throw new ShapeError(
      `${fn}: expected more than 1 spatial element when training, got shape ${formatShape(x.shape)}`,
    );
  }
  if (runningMean === null || runningVar === null || x.numel === 0) {
    return grouped(fn, x, Math.max(channels, 1), weight, bias, eps);
  }
  checkRunning(fn, 'runningMean', runningMean, x, channels, true);
  checkRunning(fn, 'runningVar', runningVar, x, channels, true);
  // A batch norm over the instances as channels updates one copy of the running statistics for each sample.
  const repeated = (t: Tensor): Tensor => cat(new Array<Tensor>(batch).fill(t));
  const [m, variance] = [repeated(runningMean), repeated(runningVar)];
  const flat = reshape(x, [1, batch * channels, ...x.shape.slice(2)]);
  const y = reshape(
    batchNorm(flat, m, variance, {
      weight: weight === null ? null : repeated(weight),
      bias: bias === null ? null : repeated(bias),
      training: true,
      momentum,
      eps,
    }),
    x.shape,
  );
  for (const [to, from] of [
    [runningMean, m],
    [runningVar, variance],
  ] as const) {
    to.copy_(mean(reshape(from, [batch, channels]), 0));
  }
  return y;
}
