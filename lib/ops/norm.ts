import { FLOAT64 } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { checkInteger, checkNumber, checkShape } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { newSavedStorages } from '../native/storage.js';
import { isGradEnabled, type Node, type Rule } from '../autograd/graph.js';
import { formatShape, numelOf, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, passNs, record, recording, result, savedResult } from './apply.js';
import { add, mul, sub } from './binary.js';
import { contiguous } from './cast.js';
import { mean, sum } from './reduce.js';
import { rsqrt, square } from './unary.js';
import { reshape, viewAs } from './views.js';

const LAYER = opcodeOf('layer_norm');
const LAYER_BACKWARD = opcodeOf('layer_norm_backward');
const GROUP = opcodeOf('group_norm');
const GROUP_BACKWARD = opcodeOf('group_norm_backward');

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

/** The rule of a norm whose forward pass keeps x, means, inverse deviations and the weight. @internal */
export const normRule = (name: string): Rule => ({
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

/** The gradients that are wanted, those of the vectors in the weight's own shape. @internal */
export function shaped(grads: readonly Tensor[], node: Node, weight: Tensor | null): (Tensor | null)[] {
  const [dx, dweight, dbias] = grads as [Tensor, Tensor, Tensor];
  const shape = weight?.shape ?? (node.extra as { shape?: Shape }).shape ?? dbias.shape;
  return [
    node.needs(0) ? dx : null,
    node.needs(1) ? viewAs(dweight, shape) : null,
    node.needs(2) ? viewAs(dbias, shape) : null,
  ];
}

/** dx, dweight and dbias by one command. @internal */
export function fused(
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

/** Checks a vector of one value a channel (or in the shape that is normalised). @internal */
export function checkVector(fn: string, name: string, vector: Tensor | null, x: Tensor, shape: Shape): Tensor | null {
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

/** Runs a forward pass on checked operands and records it; `running` are statistics that it updates. @internal */
export function normalize(
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
  const inputs = momentum === null ? [input, weight, bias] : [input, weight, bias, momentum];
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
  checkNumber(fn, 'eps', eps);
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

/** The number of channels of x (N, C, …). @internal */
export function checkChannels(fn: string, x: Tensor): number {
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

/** Group norm under the name `fn`. @internal */
export function grouped(
  fn: string,
  x: Tensor,
  groups: number,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
): Tensor {
  checkFloat(fn, 'input', x);
  checkNumber(fn, 'eps', eps);
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
