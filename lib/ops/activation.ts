import { isFloat } from '../dtype.js';
import { ShapeError, ValueError } from '../errors.js';
import { checkBoolean, checkInteger, checkNumber } from '../check.js';
import { code as opcodeOf, emitBroadcast } from '../native/stream.js';
import { noGrad, type Rule } from '../autograd/graph.js';
import type { Generator } from '../random.js';
import { formatShape, normalizeDim } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, checkTensor, passNs, record, result } from './apply.js';
import { add, gt, le, lt, mul, pow, sub } from './binary.js';
import { clamp } from './clamp.js';
import { where, zerosLike } from './create.js';
import { gradient, unary, unaryWith } from './elementwise.js';
import { amax, sumTo } from './reduce.js';
import { abs, exp, neg, sigmoid, sign, square, tanh } from './unary.js';
import { narrow, reshape, viewAs } from './views.js';

const reluBackward = gradient('relu_backward', 'relu', null);
const reluFloat = unary('relu', 'relu', 'y', (dy, y) => reluBackward(dy, y));
/** max(x, 0); its gradient at 0 is 0. */
export const relu = (x: Tensor): Tensor => (isFloat(checkTensor('relu', 'input', x).code) ? reluFloat(x) : clamp(x, 0));

/** The standard normal density. */
const density = (x: Tensor): Tensor => mul(exp(mul(square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));

const geluBackward = gradient('gelu_backward', 'gelu', (g, x) => mul(g, mul(density(x), sub(2, square(x)))));
const geluExact = unary('gelu', 'gelu', 'x', (dy, x) => geluBackward(dy, x));

const geluTanhBackward = gradient('gelu_tanh_backward', 'gelu', (g, x) => {
  // f = x (1 + t) / 2 with t = tanh(k (x + a x³)).
  const k = Math.sqrt(2 / Math.PI);
  const a = 0.044715;
  const x2 = square(x);
  const t = tanh(mul(mul(x, add(mul(x2, a), 1)), k));
  const u1 = mul(add(mul(x2, 3 * a), 1), k);
  const u2 = mul(x, 6 * a * k);
  const t1 = sub(1, square(t));
  const curve = mul(mul(x, 0.5), sub(u2, mul(mul(t, 2), square(u1))));
  return mul(g, mul(t1, add(u1, curve)));
});
const geluTanh = unary('gelu_tanh', 'gelu', 'x', (dy, x) => geluTanhBackward(dy, x));

/** Options of {@link gelu}. */
export interface GeluOptions {
  /** 'none' (the default): x Φ(x). 'tanh': its approximation by tanh. */
  approximate?: 'none' | 'tanh';
}

/** The Gaussian error linear unit (Hendrycks and Gimpel, 2016). */
export const gelu = (x: Tensor, { approximate = 'none' }: GeluOptions = {}): Tensor =>
  approximate === 'tanh' ? geluTanh(x) : geluExact(x);

const siluBackward = gradient('silu_backward', 'silu', (g, x) => {
  const s = sigmoid(x);
  const s1 = mul(s, sub(1, s));
  return mul(g, mul(s1, add(mul(x, sub(1, mul(s, 2))), 2)));
});
/** x σ(x), also called Swish (Elfwing et al., 2017). */
export const silu = unary('silu', 'silu', 'x', (dy, x) => siluBackward(dy, x));

const softplusBackward = gradient('softplus_backward', 'softplus', (g, x, [beta, threshold]) => {
  const s = sigmoid(mul(x, beta!));
  const curve = mul(mul(s, sub(1, s)), beta!);
  return where(gt(mul(x, beta!), threshold!), 0, mul(g, curve));
});
const softplusWith = unaryWith('softplus', 'softplus', softplusBackward);
/** log(1 + e^(βx))/β; x itself where βx is above `threshold`. Defaults: beta 1, threshold 20. */
export function softplus(x: Tensor, { beta = 1, threshold = 20 }: { beta?: number; threshold?: number } = {}): Tensor {
  checkNumber('softplus', 'beta', beta);
  checkNumber('softplus', 'threshold', threshold);
  return softplusWith(x, [beta, threshold]);
}

const leakyReluBackward = gradient('leaky_relu_backward', 'leakyRelu', null);
const leakyReluWith = unaryWith('leaky_relu', 'leakyRelu', leakyReluBackward);
/** x where positive, else `negativeSlope` (default 0.01) times x. */
export function leakyRelu(x: Tensor, negativeSlope = 0.01): Tensor {
  return leakyReluWith(x, [checkNumber('leakyRelu', 'negativeSlope', negativeSlope)]);
}

const eluBackward = gradient('elu_backward', 'elu', (g, x, [alpha, scale, rate]) =>
  where(le(x, 0), mul(g, mul(exp(mul(x, rate!)), alpha! * scale! * rate! * rate!)), 0),
);
const eluWith = unaryWith('elu', 'elu', eluBackward);
/** x where positive, else α(eˣ − 1); `alpha` is 1 by default (Clevert et al., 2015). */
export function elu(x: Tensor, alpha = 1): Tensor {
  return eluWith(x, [checkNumber('elu', 'alpha', alpha), 1, 1]);
}

/** x where positive, else α(e^(x/α) − 1); `alpha` is 1 by default and not 0 (Barron, 2017). */
export function celu(x: Tensor, alpha = 1): Tensor {
  if (checkNumber('celu', 'alpha', alpha) === 0) throw new ValueError('celu: expected alpha other than 0');
  return eluWith(x, [alpha, 1, 1 / alpha]);
}

const SELU_ALPHA = 1.6732632423543772;
const SELU_SCALE = 1.0507009873554805;
/** scale · elu(x, α) with the constants that keep mean 0 and variance 1 (Klambauer et al., 2017). */
export const selu = (x: Tensor): Tensor => eluWith(x, [SELU_ALPHA, SELU_SCALE, 1]);

const mishBackward = gradient('mish_backward', 'mish', (g, x) => {
  const s = sigmoid(x);
  const t = tanh(softplus(x));
  const curve = sub(add(mul(x, sub(1, s)), 2), mul(mul(mul(x, t), s), 2));
  return mul(g, mul(mul(s, sub(1, square(t))), curve));
});
/** x tanh(log(1 + eˣ)) (Misra, 2019). */
export const mish = unary('mish', 'mish', 'x', (dy, x) => mishBackward(dy, x));

const logSigmoidBackward = gradient('log_sigmoid_backward', 'logSigmoid', (g, x) =>
  neg(mul(g, mul(sigmoid(x), sigmoid(neg(x))))),
);
/** log σ(x), without overflow. */
export const logSigmoid = unary('log_sigmoid', 'logSigmoid', 'x', (dy, x) => logSigmoidBackward(dy, x));

const softsignBackward = gradient('softsign_backward', 'softsign', (g, x) =>
  mul(mul(g, sign(x)), mul(pow(add(abs(x), 1), -3), -2)),
);
/** x / (1 + |x|). */
export const softsign = unary('softsign', 'softsign', 'x', (dy, x) => softsignBackward(dy, x));

/** x − tanh(x). */
export const tanhshrink = (x: Tensor): Tensor => sub(checkTensor('tanhshrink', 'input', x), tanh(x));

const hardsigmoidBackward = gradient('hardsigmoid_backward', 'hardsigmoid', null);
/** min(max(x + 3, 0), 6) / 6. */
export const hardsigmoid = unary('hardsigmoid', 'hardsigmoid', 'x', (dy, x) => hardsigmoidBackward(dy, x));

const hardswishBackward = gradient('hardswish_backward', 'hardswish', (g, x) => where(lt(abs(x), 3), mul(g, 1 / 3), 0));
/** x · hardsigmoid(x) (Howard et al., 2019). */
export const hardswish = unary('hardswish', 'hardswish', 'x', (dy, x) => hardswishBackward(dy, x));

const hardtanhBackward = gradient('hardtanh_backward', 'hardtanh', null);
const hardtanhWith = unaryWith('clamp', 'hardtanh', hardtanhBackward);
/** x limited to [min, max], [−1, 1] by default; its gradient at the limits is 0. */
export function hardtanh(x: Tensor, min = -1, max = 1): Tensor {
  checkNumber('hardtanh', 'min', min);
  checkNumber('hardtanh', 'max', max);
  return hardtanhWith(x, [min, max]);
}

/** x limited to [0, 6]; its gradient at the limits is 0. */
export const relu6 = (x: Tensor): Tensor => hardtanhWith(x, [0, 6]);

/** 0 for |x| ≤ λ: the gradient of both kinds of shrinking. */
const shrinkBackward = gradient('shrink_backward', 'softshrink', null);
const withinLambda = (dy: Tensor, x: Tensor, [lambda]: readonly number[]): Tensor =>
  shrinkBackward(dy, x, [-lambda!, lambda!]);
const softshrinkWith = unaryWith('softshrink', 'softshrink', withinLambda);
const hardshrinkWith = unaryWith('hardshrink', 'hardshrink', withinLambda);
/** x moved towards 0 by `lambda` (0.5), and 0 where |x| ≤ lambda. */
export function softshrink(x: Tensor, lambda = 0.5): Tensor {
  return softshrinkWith(x, [checkNumber('softshrink', 'lambda', lambda, { min: 0 })]);
}
/** x, and 0 where |x| ≤ lambda (0.5). */
export function hardshrink(x: Tensor, lambda = 0.5): Tensor {
  return hardshrinkWith(x, [checkNumber('hardshrink', 'lambda', lambda)]);
}

const thresholdWith = unaryWith('threshold', 'threshold', (dy, x, [edge]) => shrinkBackward(dy, x, [-Infinity, edge!]));
/** x where x > threshold, else `value`. */
export function threshold(x: Tensor, threshold: number, value: number): Tensor {
  checkNumber('threshold', 'threshold', threshold);
  checkNumber('threshold', 'value', value);
  return thresholdWith(x, [threshold, value]);
}

const preluRule: Rule = {
  name: 'prelu',
  backward: (dy, node) => {
    const x = node.saved(0);
    const weight = node.saved(1);
    return [
      node.needs(0) ? preluBackward(dy, x, weight) : null,
      node.needs(1) ? sumTo(mul(dy, clamp(x, undefined, 0)), weight.shape) : null,
    ];
  },
};
const preluBackwardRule: Rule = {
  name: 'prelu backward',
  backward: (g, node) => {
    const [dy, x, weight] = [node.saved(0), node.saved(1), node.saved(2)];
    return [
      node.needs(0) ? preluBackward(g, x, weight) : null,
      node.needs(1) ? zerosLike(x) : null,
      node.needs(2) ? sumTo(where(gt(x, 0), 0, mul(g, dy)), weight.shape) : null,
    ];
  },
};
const PRELU = opcodeOf('prelu');
const PRELU_BACKWARD = opcodeOf('prelu_backward');
function preluBackward(dy: Tensor, x: Tensor, weight: Tensor): Tensor {
  const out = result(x.shape, x.code, x.numel);
  emitBroadcast(PRELU_BACKWARD, [dy, x, weight], out, passNs(x.numel), x.code);
  return record(preluBackwardRule, out, [dy, x, weight], [dy, x, weight]);
}

/**
 * x where positive, else weight · x (He et al., 2015). `weight` holds one number, or one for each channel: x is (N, C, …) and
 * weight (C).
 */
export function prelu(x: Tensor, weight: Tensor): Tensor {
  checkFloat('prelu', 'input', x);
  checkFloat('prelu', 'weight', weight);
  checkSameDType('prelu', 'input', x, 'weight', weight);
  const channels = x.ndim > 1 ? x.shape[1]! : 1;
  if (weight.ndim > 1 || (weight.numel !== 1 && weight.numel !== channels)) {
    throw new ShapeError(`prelu: expected weight of shape [1] or [${channels}], got ${formatShape(weight.shape)}`);
  }
  const w = viewAs(
    weight,
    x.shape.map((_, i) => (i === 1 ? weight.numel : 1)),
  );
  const out = result(x.shape, x.code, x.numel);
  emitBroadcast(PRELU, [x, w], out, passNs(x.numel), x.code);
  return record(preluRule, out, [x, w], [x, w]);
}

/** Options of {@link rrelu}. */
export interface RReluOptions {
  /** Bounds of the slope below 0; 1/8 and 1/3 by default. */
  lower?: number;
  upper?: number;
  /** Draws a slope for each element; otherwise all have the mean of the bounds. False by default. */
  training?: boolean;
  generator?: Generator;
}

/** x where positive, else x times a slope from [lower, upper) (Xu et al., 2015). */
export function rrelu(
  x: Tensor,
  { lower = 1 / 8, upper = 1 / 3, training = false, generator }: RReluOptions = {},
): Tensor {
  checkNumber('rrelu', 'lower', lower);
  checkNumber('rrelu', 'upper', upper, { min: lower });
  if (!checkBoolean('rrelu', 'training', training)) return leakyRelu(x, (lower + upper) / 2);
  const slope = noGrad(() => zerosLike(checkFloat('rrelu', 'input', x)).uniform_(lower, upper, generator));
  return where(gt(x, 0), x, mul(x, slope));
}

/** a · σ(b) for the two halves a and b of x along `dim`, the last by default (Dauphin et al., 2016). */
export function glu(x: Tensor, dim = -1): Tensor {
  const axis = normalizeDim('glu', dim, checkFloat('glu', 'input', x).ndim);
  const size = x.shape[axis] ?? 1;
  if (size % 2 !== 0) throw new ShapeError(`glu: expected an even size along dim ${dim}, got ${formatShape(x.shape)}`);
  return mul(narrow(x, axis, 0, size / 2), sigmoid(narrow(x, axis, size / 2, size / 2)));
}

/** The largest of each `pieces` neighbours along `dim`, the channels (1) by default (Goodfellow et al., 2013). */
export function maxout(x: Tensor, pieces: number, dim = 1): Tensor {
  const axis = normalizeDim('maxout', dim, checkFloat('maxout', 'input', x).ndim);
  checkInteger('maxout', 'pieces', pieces, { min: 1 });
  const size = x.shape[axis] ?? 1;
  if (size % pieces !== 0) {
    throw new ShapeError(`maxout: expected a multiple of ${pieces} along dim ${dim}, got ${formatShape(x.shape)}`);
  }
  const groups = reshape(x, [...x.shape.slice(0, axis), size / pieces, pieces, ...x.shape.slice(axis + 1)]);
  return amax(groups, axis + 1);
}
