import { ShapeError } from '../errors.js';
import { checkBoolean, checkNumber, checkOneOf } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { isGradEnabled, type Rule } from '../autograd/graph.js';
import { broadcastShapes, formatShape, sameShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, passNs, record, recording, result } from './apply.js';
import { add, div, eq, gt, lt, mul, sub } from './binary.js';
import { where } from './create.js';
import { mean, sum } from './reduce.js';
import {
  atLeastStraight,
  checkFactor,
  checkPair,
  checkReduction,
  reduced,
  REDUCTIONS,
  type LossOptions,
} from './loss_common.js';
import { softplus } from './activation.js';
import { clamp } from './clamp.js';
import { abs, exp, log, neg, square } from './unary.js';
import { unsqueeze } from './views.js';

// Losses of two tensors of one shape, element by element.

const MSE = opcodeOf('mse_loss');
const MSE_BACKWARD = opcodeOf('mse_loss_backward');

const mseRule: Rule = {
  name: 'mseLoss',
  backward: (dy, node) => {
    const x = node.saved(0);
    const y = node.saved(1);
    const reduction = node.extra as number;
    let dx: Tensor;
    if (isGradEnabled()) {
      dx = mul(mul(sub(x, y), reduction === 1 ? 2 / x.numel : 2), dy);
    } else {
      dx = result(x.shape, x.code, x.numel);
      emit(MSE_BACKWARD, [dy, x, y], [dx], [reduction], passNs(x.numel));
    }
    return [node.needs(0) ? dx : null, node.needs(1) ? mul(dx, -1) : null];
  },
};

/** (x − y)² of each element; x and y have one shape and dtype. */
export function mseLoss(x: Tensor, y: Tensor, { reduction = 'mean' }: LossOptions = {}): Tensor {
  const fn = 'mseLoss';
  checkPair(fn, x, y);
  checkReduction(fn, reduction);
  const out = result(reduction === 'none' ? x.shape : [], x.code);
  const kind = REDUCTIONS.indexOf(reduction);
  emit(MSE, [x, y], [out], [kind], passNs(x.numel));
  return record(mseRule, out, [x, y], [x, y], kind);
}

/** |x − y| of each element. */
export function l1Loss(x: Tensor, y: Tensor, { reduction = 'mean' }: LossOptions = {}): Tensor {
  const fn = 'l1Loss';
  checkPair(fn, x, y);
  checkReduction(fn, reduction);
  return reduced(abs(sub(x, y)), reduction);
}

/**
 * d²/(2β) where d = |x − y| is below β, else d − β/2 (Girshick, 2015). β = 0 gives {@link l1Loss}.
 * @param options `beta` is 1 by default
 */
export function smoothL1Loss(
  x: Tensor,
  y: Tensor,
  { beta = 1, reduction = 'mean' }: LossOptions & { beta?: number } = {},
): Tensor {
  const fn = 'smoothL1Loss';
  checkPair(fn, x, y);
  checkReduction(fn, reduction);
  checkNumber(fn, 'beta', beta, { min: 0 });
  if (beta === 0) return l1Loss(x, y, { reduction });
  const d = abs(sub(x, y));
  return reduced(where(lt(d, beta), mul(square(d), 0.5 / beta), sub(d, 0.5 * beta)), reduction);
}

/**
 * d²/2 where d = |x − y| is below δ, else δ (d − δ/2) (Huber, 1964).
 * @param options `delta` is 1 by default, above 0
 */
export function huberLoss(
  x: Tensor,
  y: Tensor,
  { delta = 1, reduction = 'mean' }: LossOptions & { delta?: number } = {},
): Tensor {
  const fn = 'huberLoss';
  checkPair(fn, x, y);
  checkReduction(fn, reduction);
  checkNumber(fn, 'delta', delta, { min: Number.MIN_VALUE });
  const d = abs(sub(x, y));
  return reduced(where(lt(d, delta), mul(square(d), 0.5), mul(sub(d, 0.5 * delta), delta)), reduction);
}

/** log x, not below −100, as PyTorch bounds it. */
const bounded = (x: Tensor): Tensor => clamp(log(x), -100);

const bceRule: Rule = {
  name: 'binaryCrossEntropy',
  backward: (dy, node) => {
    const x = node.saved(0);
    const y = node.saved(1);
    const rest = sub(1, x);
    // Bounded like the logarithms: at x = 0 and x = 1 the slope is finite.
    const dx = node.needs(0) ? mul(dy, div(sub(x, y), clamp(mul(rest, x), 1e-12))) : null;
    return [dx, node.needs(1) ? mul(dy, sub(log(rest), log(x))) : null];
  },
};

/**
 * −(y log x + (1 − y) log(1 − x)) of probabilities x in [0, 1] and targets y; logarithms are not taken below −100. From
 * logits, {@link binaryCrossEntropyWithLogits} is exact.
 * @param options `weight`, a factor that broadcasts to x
 */
export function binaryCrossEntropy(
  x: Tensor,
  y: Tensor,
  { weight = null, reduction = 'mean' }: LossOptions & { weight?: Tensor | null } = {},
): Tensor {
  const fn = 'binaryCrossEntropy';
  checkPair(fn, x, y);
  checkReduction(fn, reduction);
  const [a, b] = [x.detach(), y.detach()];
  const losses = neg(add(mul(b, bounded(a)), mul(sub(1, b), bounded(sub(1, a)))));
  record(bceRule, losses, [x, y], recording([x, y]) ? [x, y] : []);
  return reduced(weight === null ? losses : mul(losses, checkFactor(fn, 'weight', weight, x)), reduction);
}

/** Options of {@link binaryCrossEntropyWithLogits}. */
export interface BinaryCrossEntropyWithLogitsOptions extends LossOptions {
  /** A factor that broadcasts to the logits. */
  weight?: Tensor | null;
  /** A factor of the positive targets, broadcasting to the logits: above 1 favours recall. */
  posWeight?: Tensor | null;
}

/** log(1 + eˣ), exact also for float64 wherever it differs from x. */
const logOnePlusExp = (x: Tensor): Tensor => softplus(x, { threshold: 40 });

/** −(p y log σ(x) + (1 − y) log(1 − σ(x))) of logits x and targets y, exact for logits of any size; p is `posWeight`. */
export function binaryCrossEntropyWithLogits(
  x: Tensor,
  y: Tensor,
  { weight = null, posWeight = null, reduction = 'mean' }: BinaryCrossEntropyWithLogitsOptions = {},
): Tensor {
  const fn = 'binaryCrossEntropyWithLogits';
  checkPair(fn, x, y);
  checkReduction(fn, reduction);
  const hits = posWeight === null ? y : mul(y, checkFactor(fn, 'posWeight', posWeight, x));
  const losses = add(mul(hits, logOnePlusExp(neg(x))), mul(sub(1, y), logOnePlusExp(x)));
  return reduced(weight === null ? losses : mul(losses, checkFactor(fn, 'weight', weight, x)), reduction);
}

/** t log t, 0 at t = 0; with a gradient of 0 there. */
const entropyTerm = (t: Tensor): Tensor => {
  const none = eq(t, 0);
  return where(none, 0, mul(t, log(where(none, 1, t))));
};

/** Options of {@link klDiv}. */
export interface KlDivOptions {
  /** 'batchmean' divides the sum by the size of the first dimension, which is the divergence as it is defined. Default 'mean'. */
  reduction?: 'mean' | 'sum' | 'none' | 'batchmean';
  /** Whether the target holds logarithms too. Default false. */
  logTarget?: boolean;
}

/** The Kullback–Leibler divergence t (log t − x) of each element: x are log-probabilities, t probabilities. */
export function klDiv(x: Tensor, target: Tensor, { reduction = 'mean', logTarget = false }: KlDivOptions = {}): Tensor {
  const fn = 'klDiv';
  checkPair(fn, x, target);
  checkOneOf(fn, 'reduction', reduction, [...REDUCTIONS, 'batchmean']);
  checkBoolean(fn, 'logTarget', logTarget);
  const losses = logTarget ? mul(exp(target), sub(target, x)) : sub(entropyTerm(target), mul(target, x));
  if (reduction !== 'batchmean') return reduced(losses, reduction);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected at least 1 dimension for 'batchmean', got a scalar`);
  return div(sum(losses), x.shape[0]!);
}

/** Options of {@link gaussianNllLoss}. */
export interface GaussianNllLossOptions extends LossOptions {
  /** Whether to add the constant ½ log 2π. Default false. */
  full?: boolean;
  /** Least variance. Default 1e-6. */
  eps?: number;
}

/**
 * ½ (log v + (x − t)²/v): the negative log-likelihood of t under normal distributions of mean x and variance v (Nix and
 * Weigend, 1994). v has x's shape, or 1 in the last dimension, or lacks that. Variances below `eps` count as `eps`, while
 * their gradient passes.
 */
export function gaussianNllLoss(
  x: Tensor,
  target: Tensor,
  variance: Tensor,
  { full = false, eps = 1e-6, reduction = 'mean' }: GaussianNllLossOptions = {},
): Tensor {
  const fn = 'gaussianNllLoss';
  for (const [name, t] of [
    ['input', x],
    ['target', target],
    ['variance', variance],
  ] as const) {
    checkFloat(fn, name, t);
    checkSameDType(fn, 'input', x, name, t);
  }
  checkReduction(fn, reduction);
  checkBoolean(fn, 'full', full);
  checkNumber(fn, 'eps', eps, { min: Number.MIN_VALUE });
  broadcastShapes(fn, x.shape, target.shape);
  const lead = x.shape.slice(0, -1);
  let v = variance;
  if (!sameShape(v.shape, x.shape) && !sameShape(v.shape, [...lead, 1])) {
    if (!sameShape(v.shape, lead)) {
      throw new ShapeError(
        `${fn}: expected variance of shape ${formatShape(x.shape)}, ${formatShape([...lead, 1])} or ${formatShape(lead)}, got ${formatShape(v.shape)}`,
      );
    }
    if (x.ndim > 0) v = unsqueeze(v, -1);
  }
  v = atLeastStraight(v, eps);
  const losses = mul(add(log(v), div(square(sub(x, target)), v)), 0.5);
  return reduced(full ? add(losses, 0.5 * Math.log(2 * Math.PI)) : losses, reduction);
}

/** Options of {@link poissonNllLoss}. */
export interface PoissonNllLossOptions extends LossOptions {
  /** Whether the input is the logarithm of the rate. Default true. */
  logInput?: boolean;
  /** Whether to add Stirling's approximation of log t! for targets above 1. Default false. */
  full?: boolean;
  /** Added to a rate before its logarithm is taken. Default 1e-8. */
  eps?: number;
}

/** eˣ − t x, or r − t log(r + eps) of rates r: the negative log-likelihood of counts t under Poisson distributions. */
export function poissonNllLoss(
  x: Tensor,
  target: Tensor,
  { logInput = true, full = false, eps = 1e-8, reduction = 'mean' }: PoissonNllLossOptions = {},
): Tensor {
  const fn = 'poissonNllLoss';
  checkPair(fn, x, target);
  checkReduction(fn, reduction);
  checkBoolean(fn, 'logInput', logInput);
  checkBoolean(fn, 'full', full);
  checkNumber(fn, 'eps', eps, { min: 0 });
  let losses = logInput ? sub(exp(x), mul(target, x)) : sub(x, mul(target, log(add(x, eps))));
  if (full) {
    const large = gt(target, 1);
    const t = where(large, target, 1);
    const stirling = add(sub(mul(t, log(t)), t), mul(log(mul(t, 2 * Math.PI)), 0.5));
    losses = add(losses, where(large, stirling, 0));
  }
  return reduced(losses, reduction);
}

/**
 * −mean_c(y log σ(x) + (1 − y) log σ(−x)) of each row of logits x (…, C): every class is a question of its own.
 * @param options `weight`, a factor of each class (C)
 */
export function multilabelSoftMarginLoss(
  x: Tensor,
  y: Tensor,
  { weight = null, reduction = 'mean' }: LossOptions & { weight?: Tensor | null } = {},
): Tensor {
  const fn = 'multilabelSoftMarginLoss';
  checkPair(fn, x, y);
  checkReduction(fn, reduction);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected input of shape [..., C], got a scalar`);
  if (weight !== null) checkFactor(fn, 'weight', weight, x);
  return reduced(mean(binaryCrossEntropyWithLogits(x, y, { weight, reduction: 'none' }), -1), reduction);
}
