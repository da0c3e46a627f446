import { INT32, isFloat } from '../dtype.js';
import { DTypeError, ShapeError } from '../errors.js';
import { checkInteger, checkNumber, checkOneOf } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { newSavedStorages } from '../native/storage.js';
import { isGradEnabled, type Rule } from '../autograd/graph.js';
import { formatShape, sameShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, checkTensor, passNs, record, recording, result, savedResult } from './apply.js';
import { add, div, mul, ne, sub } from './binary.js';
import { castCode } from './cast.js';
import { where } from './create.js';
import { oneHot } from './indexing.js';
import { sum } from './reduce.js';
import { softmax } from './softmax.js';
import { unsqueeze } from './views.js';

/** How the losses of a batch become one: none leaves them apart. */
export type Reduction = 'mean' | 'sum' | 'none';

const REDUCTIONS = ['none', 'mean', 'sum'] as const;

const CROSS_ENTROPY = opcodeOf('cross_entropy');
const CROSS_ENTROPY_BACKWARD = opcodeOf('cross_entropy_backward');
const MSE = opcodeOf('mse_loss');
const MSE_BACKWARD = opcodeOf('mse_loss_backward');

/** Options of {@link crossEntropy}. */
export interface CrossEntropyOptions {
  /** Weight of each class, of shape [C]. */
  weight?: Tensor | null;
  /** Default 'mean': divided by the sum of the weights of the targets. */
  reduction?: Reduction;
  /** Rows with this target count for nothing. Default -100. */
  ignoreIndex?: number;
  /** Share of the target that is spread evenly over all classes, 0 to 1. Default 0. */
  labelSmoothing?: number;
}

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

/**
 * The cross-entropy −log softmax(logits)[target] of a batch: logits (N, C) of float, target (N) of int32 (or uint8). Logits of
 * more dimensions, (N, C, d…) with targets (N, d…), count every position as a row.
 * @throws IndexOutOfRangeError from the read of the result when a target is outside [0, C)
 */
export function crossEntropy(logits: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const fn = 'crossEntropy';
  const { weight = null, reduction = 'mean', ignoreIndex = -100, labelSmoothing = 0 } = options;
  checkFloat(fn, 'logits', logits);
  checkTensor(fn, 'target', target);
  checkOneOf(fn, 'reduction', reduction, REDUCTIONS);
  checkInteger(fn, 'ignoreIndex', ignoreIndex, { min: -(2 ** 31), max: 2 ** 31 - 1 });
  checkNumber(fn, 'labelSmoothing', labelSmoothing, { min: 0, max: 1 });
  if (isFloat(target.code)) throw new DTypeError(`${fn}: expected target of dtype int32, got ${target.dtype}`);
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
  if (weight !== null) {
    checkFloat(fn, 'weight', weight);
    checkSameDType(fn, 'logits', logits, 'weight', weight);
    if (!sameShape(weight.shape, [classes])) {
      throw new ShapeError(`${fn}: expected weight of shape [${classes}], got ${formatShape(weight.shape)}`);
    }
  }
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

/** The mean (or sum) of (x − y)² over all elements; x and y have one shape and dtype. */
export function mseLoss(x: Tensor, y: Tensor, { reduction = 'mean' }: { reduction?: Reduction } = {}): Tensor {
  const fn = 'mseLoss';
  checkFloat(fn, 'input', x);
  checkFloat(fn, 'target', y);
  checkSameDType(fn, 'input', x, 'target', y);
  checkOneOf(fn, 'reduction', reduction, REDUCTIONS);
  if (!sameShape(x.shape, y.shape)) {
    throw new ShapeError(`${fn}: expected target of shape ${formatShape(x.shape)}, got ${formatShape(y.shape)}`);
  }
  const out = result(reduction === 'none' ? x.shape : [], x.code);
  const kind = REDUCTIONS.indexOf(reduction);
  emit(MSE, [x, y], [out], [kind], passNs(x.numel));
  return record(mseRule, out, [x, y], [x, y], kind);
}
