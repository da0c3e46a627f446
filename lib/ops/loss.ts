import { INT32, isFloat } from '../dtype.js';
import { DTypeError, ShapeError } from '../errors.js';
import { checkInteger, checkNumber } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { newSavedStorages } from '../native/storage.js';
import { isGradEnabled, type Rule } from '../autograd/graph.js';
import { formatShape, sameShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, checkTensor, passNs, record, recording, result, savedResult } from './apply.js';
import { add, div, mul, ne, sub } from './binary.js';
import { castCode } from './cast.js';
import { where } from './create.js';
import { gather } from './gather.js';
import { indexSelect, oneHot } from './indexing.js';
import {
  checkClassWeight,
  checkReduction,
  checkShapeIs,
  REDUCTIONS,
  reduced,
  type LossOptions,
  type Reduction,
} from './loss_common.js';
import { sum } from './reduce.js';
import { logSoftmax, softmax } from './softmax.js';
import { neg } from './unary.js';
import { squeeze, unsqueeze, viewAs } from './views.js';

const CROSS_ENTROPY = opcodeOf('cross_entropy');
const CROSS_ENTROPY_BACKWARD = opcodeOf('cross_entropy_backward');

/** Options of {@link crossEntropy}. */
export interface CrossEntropyOptions {
  /** Weight of each class, of shape [C]. */
  weight?: Tensor | null;
  /** Default 'mean': divided by the sum of the weights of the targets. */
  reduction?: Reduction;
  /** Rows with this target count for nothing; not for probabilities. Default -100. */
  ignoreIndex?: number;
  /** Share of the target that is spread evenly over all classes, 0 to 1. Default 0. */
  labelSmoothing?: number;
}

/** Options of {@link nllLoss}. */
export type NllLossOptions = Omit<CrossEntropyOptions, 'labelSmoothing'>;

interface CrossEntropySpec {
  params: readonly [reduction: number, ignoreIndex: number, labelSmoothing: number];
  weighted: boolean;
}

const crossEntropyRule: Rule = {
  name: 'crossEntropy',
  backward: (dy, node) => {
    const logits = node.saved(0);
    const target = node.saved(1);
    const lse = node.saved(2);
    const total = node.saved(3);
    const { params, weighted } = node.extra as CrossEntropySpec;
    const weight = weighted ? node.saved(4) : null;
    if (isGradEnabled()) return [composed(dy, logits, target, weight, total, params)];
    const out = result(logits.shape, logits.code, logits.numel);
    emit(CROSS_ENTROPY_BACKWARD, [dy, logits, target, lse, total, weight], [out], params, passNs(3 * logits.numel));
    return [out];
  },
};

/** The gradient out of differentiable parts, for derivatives of higher order: (p Σ t w − t w) scaled by dy. */
function composed(
  dy: Tensor,
  logits: Tensor,
  target: Tensor,
  weight: Tensor | null,
  total: Tensor,
  [reduction, ignoreIndex, smoothing]: CrossEntropySpec['params'],
): Tensor {
  const classes = logits.shape[1]!;
  const counts = ne(target, ignoreIndex);
  const hot = castCode(oneHot(where(counts, target, 0), classes), logits.code);
  let t = add(mul(hot, 1 - smoothing), smoothing / classes);
  if (weight !== null) t = mul(t, weight);
  const rows = unsqueeze(castCode(counts, logits.code), 1);
  const scale = reduction === 1 ? div(dy, total) : dy;
  const perRow = reduction === 0 ? unsqueeze(scale, 1) : scale;
  return mul(mul(sub(mul(softmax(logits, 1), sum(t, 1, true)), t), rows), perRow);
}

/** Where classes are: the only dimension of one row, else the second. */
const classDim = (input: Tensor): number => (input.ndim === 1 ? 0 : 1);

/** −Σ_c w[c] t[c] log softmax(logits)[c] of targets that are probabilities; the mean is over rows. */
function softTargets(
  logits: Tensor,
  target: Tensor,
  { weight, labelSmoothing = 0, reduction = 'mean' }: CrossEntropyOptions,
): Tensor {
  const fn = 'crossEntropy';
  checkSameDType(fn, 'logits', logits, 'target', target);
  if (logits.ndim === 0)
    throw new ShapeError(`${fn}: expected logits of shape [N, C], got ${formatShape(logits.shape)}`);
  checkShapeIs(fn, 'target of probabilities', target, logits.shape);
  const dim = classDim(logits);
  const classes = logits.shape[dim]!;
  let t = labelSmoothing === 0 ? target : add(mul(target, 1 - labelSmoothing), labelSmoothing / classes);
  if (weight !== null && weight !== undefined) {
    checkClassWeight(fn, weight, logits, classes);
    t = mul(t, viewAs(weight, [classes, ...logits.shape.slice(dim + 1).map(() => 1)]));
  }
  return reduced(neg(sum(mul(logSoftmax(logits, dim), t), dim)), reduction);
}

/**
 * The cross-entropy −log softmax(logits)[target] of a batch: logits (N, C) of float, target (N) of int32 (or uint8), or
 * probabilities of logits' shape and dtype. Logits of more dimensions, (N, C, d…) with targets (N, d…), count every position
 * as a row; logits (C) with a target () are one row.
 * @throws IndexOutOfRangeError from the read of the result when a target is outside [0, C)
 */
export function crossEntropy(logits: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const fn = 'crossEntropy';
  const { weight = null, reduction = 'mean', ignoreIndex = -100, labelSmoothing = 0 } = options;
  checkFloat(fn, 'logits', logits);
  checkTensor(fn, 'target', target);
  checkReduction(fn, reduction);
  checkInteger(fn, 'ignoreIndex', ignoreIndex, { min: -(2 ** 31), max: 2 ** 31 - 1 });
  checkNumber(fn, 'labelSmoothing', labelSmoothing, { min: 0, max: 1 });
  if (isFloat(target.code)) return softTargets(logits, target, options);
  if (logits.ndim === 1 && target.ndim === 0) {
    const one = crossEntropy(unsqueeze(logits, 0), unsqueeze(target, 0), options);
    return reduction === 'none' ? one.reshape([]) : one;
  }
  if (logits.ndim > 2) {
    const last = logits.ndim - 1;
    const order = logits.shape.map((_, i) => (i === 0 ? 0 : i === last ? 1 : i + 1));
    const rows = logits.permute(order);
    checkTargetShape(fn, logits, target);
    const losses = crossEntropy(rows.reshape([-1, logits.shape[1]!]), target.reshape([-1]), options);
    return reduction === 'none' ? losses.reshape(target.shape) : losses;
  }
  if (logits.ndim !== 2)
    throw new ShapeError(`${fn}: expected logits of shape [N, C], got ${formatShape(logits.shape)}`);
  checkTargetShape(fn, logits, target);
  const [n, classes] = logits.shape as [number, number];
  if (weight !== null) checkClassWeight(fn, weight, logits, classes);
  const labels = castCode(target, INT32);
  const [lseStorage, totalStorage] = newSavedStorages(2) as [never, never];
  const lse = savedResult(lseStorage, [n], logits.code);
  const total = savedResult(totalStorage, [], logits.code);
  const out = result(reduction === 'none' ? [n] : [], logits.code);
  const params = [REDUCTIONS.indexOf(reduction), ignoreIndex, labelSmoothing] as const;
  emit(CROSS_ENTROPY, [logits, labels, weight], [out, lse, total], params, passNs(3 * logits.numel));
  const recorded = recording([logits]);
  const saved = recorded ? [logits, labels, lse, total, ...(weight === null ? [] : [weight])] : [];
  record(crossEntropyRule, out, [logits], saved, { params, weighted: weight !== null } satisfies CrossEntropySpec);
  if (!recorded) {
    lse.dispose();
    total.dispose();
  }
  return out;
}

function checkTargetShape(fn: string, logits: Tensor, target: Tensor): void {
  const want = [logits.shape[0]!, ...logits.shape.slice(2)];
  if (!sameShape(target.shape, want)) {
    throw new ShapeError(
      `${fn}: expected target of shape ${formatShape(want)} for logits of shape ${formatShape(logits.shape)}, got ${formatShape(target.shape)}`,
    );
  }
}

/**
 * −w[target] x[target] of log-probabilities x (N, C), (C) or (N, C, d…) and classes (N), () or (N, d…) of int32: what follows
 * {@link logSoftmax} in {@link crossEntropy}.
 * @throws IndexOutOfRangeError from the read of the result when a target is outside [0, C)
 */
export function nllLoss(x: Tensor, target: Tensor, options: NllLossOptions & LossOptions = {}): Tensor {
  const fn = 'nllLoss';
  const { weight = null, reduction = 'mean', ignoreIndex = -100 } = options;
  checkFloat(fn, 'input', x);
  checkTensor(fn, 'target', target);
  checkReduction(fn, reduction);
  checkInteger(fn, 'ignoreIndex', ignoreIndex, { min: -(2 ** 31), max: 2 ** 31 - 1 });
  if (isFloat(target.code)) throw new DTypeError(`${fn}: expected target of dtype int32, got ${target.dtype}`);
  if (x.ndim === 0) throw new ShapeError(`${fn}: expected input of shape [N, C], got ${formatShape(x.shape)}`);
  const dim = classDim(x);
  checkShapeIs(fn, 'target', target, [...x.shape.slice(0, dim), ...x.shape.slice(dim + 1)]);
  const labels = castCode(target, INT32);
  const counts = ne(labels, ignoreIndex);
  const known = where(counts, labels, 0);
  const share = castCode(counts, x.code);
  const own =
    weight === null
      ? share
      : mul(
          share,
          viewAs(
            indexSelect(checkClassWeight(fn, weight, x, x.shape[dim]!), 0, viewAs(known, [known.numel])),
            known.shape,
          ),
        );
  const chosen = squeeze(gather(x, dim, unsqueeze(known, dim)), dim);
  const losses = neg(mul(where(counts, chosen, 0), own));
  if (reduction !== 'mean') return reduced(losses, reduction);
  return div(sum(losses), sum(own));
}
