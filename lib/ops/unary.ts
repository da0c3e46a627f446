import { isFloat, INT32 } from '../dtype.js';
import { DTypeError } from '../errors.js';
import { checkNumber } from '../check.js';
import { code as opcodeOf, emit, emitUnary } from '../native/stream.js';
import type { OpName } from '../native/ops.generated.js';
import type { Rule } from '../autograd/graph.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkTensor, passNs, record, recording, result } from './apply.js';
import { add, div, gt, le, mul, sub } from './binary.js';
import { where, zerosLike } from './create.js';
import { to } from './cast.js';

type Grad = (dy: Tensor, saved: Tensor) => Tensor;

/** What backward wants back: the input, the output, or nothing. */
type Saves = 'x' | 'y' | 'none';

/**
 * An elementwise function of one tensor. `fn` is its name in messages, `grad` its gradient given dy and what was saved.
 * Integers are converted to float32 first, unless the op takes them.
 */
function unary(name: OpName, fn: string, saves: Saves, grad: Grad, ints = false): (x: Tensor) => Tensor {
  const op = opcodeOf(name);
  const rule: Rule = {
    name: fn,
    backward: (dy, node) => [grad(dy, saves === 'none' ? dy : node.saved(0))],
  };
  return (x) => {
    let input = checkTensor(fn, 'input', x);
    if (!isFloat(input.code) && !(ints && input.code === INT32)) {
      if (ints) throw new DTypeError(`${fn}: expected input of dtype float32, float64 or int32, got ${input.dtype}`);
      input = to(input, 'float32');
    }
    const out = result(input.shape, input.code, input.numel);
    emitUnary(op, input, out, passNs(input.numel));
    return record(rule, out, [input], saves === 'none' || !recording([input]) ? [] : [saves === 'x' ? input : out]);
  };
}

/**
 * The fused gradient dy · f'(s) of an elementwise f, where s is what f saved. `second(dy, s)` gives dy · f''(s) for derivatives
 * of higher order (null where it is zero).
 */
function gradient(
  name: OpName,
  fn: string,
  second: ((g: Tensor, s: Tensor, params: readonly number[]) => Tensor) | null,
) {
  const op = opcodeOf(name);
  const rule: Rule = {
    name: `${fn} backward`,
    backward: (g, node) => {
      const dy = node.saved(0);
      const s = node.saved(1);
      const params = node.extra as readonly number[];
      return [
        node.needs(0) ? apply(g, s, params) : null,
        node.needs(1) ? (second === null ? zerosLike(s) : second(mul(g, dy), s, params)) : null,
      ];
    },
  };
  const apply = (dy: Tensor, s: Tensor, params: readonly number[] = []): Tensor => {
    const out = result(s.shape, s.code, s.numel);
    emit(op, [dy, s], [out], params, passNs(s.numel));
    return record(rule, out, [dy, s], [dy, s], params);
  };
  return apply;
}

const zero = (dy: Tensor): Tensor => zerosLike(dy);

/** −x. */
export const neg = unary('neg', 'neg', 'none', (dy) => neg(dy), true);
/** |x|; its gradient at 0 is 0. */
export const abs = unary('abs', 'abs', 'x', (dy, x) => mul(dy, sign(x)), true);
/** −1, 0 or 1; NaN stays. */
export const sign = unary('sign', 'sign', 'none', zero, true);
/** The largest integer not above x. */
export const floor = unary('floor', 'floor', 'none', zero);
/** The smallest integer not below x. */
export const ceil = unary('ceil', 'ceil', 'none', zero);
/** The nearest integer, halves to the even one. */
export const round = unary('round', 'round', 'none', zero);
/** eˣ. */
export const exp = unary('exp', 'exp', 'y', (dy, y) => mul(dy, y));
/** The natural logarithm; NaN below 0, −∞ at 0. */
export const log = unary('log', 'log', 'x', (dy, x) => div(dy, x));
/** The square root; NaN below 0. */
export const sqrt = unary('sqrt', 'sqrt', 'y', (dy, y) => div(dy, mul(y, 2)));
/** 1/√x. */
export const rsqrt = unary('rsqrt', 'rsqrt', 'y', (dy, y) => mul(mul(dy, -0.5), mul(y, square(y))));
/** 1/x. */
export const reciprocal = unary('reciprocal', 'reciprocal', 'y', (dy, y) => neg(mul(dy, square(y))));
/** x². */
export const square = unary('square', 'square', 'x', (dy, x) => mul(mul(dy, x), 2));
/** The sine of an angle in radians. */
export const sin = unary('sin', 'sin', 'x', (dy, x) => mul(dy, cos(x)));
/** The cosine of an angle in radians. */
export const cos = unary('cos', 'cos', 'x', (dy, x) => neg(mul(dy, sin(x))));
/** The error function 2/√π ∫₀ˣ e^(−t²) dt. */
export const erf = unary('erf', 'erf', 'x', (dy, x) => mul(mul(dy, exp(neg(square(x)))), 2 / Math.sqrt(Math.PI)));

const tanhBackward = gradient('tanh_backward', 'tanh', (g, y) => mul(mul(g, y), -2));
/** The hyperbolic tangent. */
export const tanh = unary('tanh', 'tanh', 'y', (dy, y) => tanhBackward(dy, y));

const sigmoidBackward = gradient('sigmoid_backward', 'sigmoid', (g, y) => mul(g, sub(1, mul(y, 2))));
/** The logistic function 1/(1 + e⁻ˣ). */
export const sigmoid = unary('sigmoid', 'sigmoid', 'y', (dy, y) => sigmoidBackward(dy, y));

const reluBackward = gradient('relu_backward', 'relu', null);
/** max(x, 0); its gradient at 0 is 0. */
export const relu = unary('relu', 'relu', 'y', (dy, y) => reluBackward(dy, y), true);

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

/** An elementwise function with parameters; saves its input. */
function unaryWith(name: OpName, fn: string, grad: (dy: Tensor, x: Tensor, params: readonly number[]) => Tensor) {
  const op = opcodeOf(name);
  const rule: Rule = { name: fn, backward: (dy, node) => [grad(dy, node.saved(0), node.extra as readonly number[])] };
  return (x: Tensor, params: readonly number[]): Tensor => {
    checkFloat(fn, 'input', x);
    const out = result(x.shape, x.code, x.numel);
    emit(op, [x], [out], params, passNs(x.numel));
    return record(rule, out, [x], [x], params);
  };
}

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

const eluBackward = gradient('elu_backward', 'elu', (g, x, [alpha]) => where(le(x, 0), mul(g, mul(exp(x), alpha!)), 0));
const eluWith = unaryWith('elu', 'elu', eluBackward);
/** x where positive, else α(eˣ − 1); `alpha` is 1 by default (Clevert et al., 2015). */
export function elu(x: Tensor, alpha = 1): Tensor {
  return eluWith(x, [checkNumber('elu', 'alpha', alpha)]);
}

const CLAMP = opcodeOf('clamp');
const clampRule: Rule = {
  name: 'clamp',
  backward: (dy, node) => {
    const x = node.saved(0);
    const [min, max] = node.extra as [number, number];
    // NaN compares false with both bounds, so it counts as clamped, as in PyTorch.
    let out = dy;
    if (min !== -Infinity) out = where(le(min, x), out, 0);
    if (max !== Infinity) out = where(le(x, max), out, 0);
    return [out];
  },
};

/** Limits x to [min, max]; a bound left out is open. NaN stays. */
export function clamp(x: Tensor, min = -Infinity, max = Infinity): Tensor {
  checkTensor('clamp', 'input', x);
  checkNumber('clamp', 'min', min, { finite: false });
  checkNumber('clamp', 'max', max, { finite: false });
  if (!isFloat(x.code) && x.code !== INT32) {
    throw new DTypeError(`clamp: expected input of dtype float32, float64 or int32, got ${x.dtype}`);
  }
  const out = result(x.shape, x.code, x.numel);
  emit(CLAMP, [x], [out], [min, max], passNs(x.numel));
  return record(clampRule, out, [x], [x], [min, max]);
}
