import { ShapeError, ValueError } from '../errors.js';
import { checkBoolean, checkNumber } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { isGradEnabled, type Rule } from '../autograd/graph.js';
import { formatShape, numelOf, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, checkTensor, passNs, record, recording, result } from './apply.js';
import { add, mul, sub } from './binary.js';
import { contiguous } from './cast.js';
import { checkChannels, checkVector, fused, grouped, normalize, normRule, shaped, type NormOptions } from './norm.js';
import { mean, sum } from './reduce.js';
import { rsqrt } from './unary.js';
import { cat, reshape } from './views.js';

const BATCH = opcodeOf('batch_norm');
const BATCH_BACKWARD = opcodeOf('batch_norm_backward');
const INFERENCE = opcodeOf('batch_norm_inference');
const INFERENCE_BACKWARD = opcodeOf('batch_norm_inference_backward');

const batchRule = normRule('batchNorm');

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
  checkNumber(fn, 'eps', eps);
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
      rule: batchRule,
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
