import { BOOL, INT32, isFloat } from '../dtype.js';
import { checkInteger, checkNumber } from '../check.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkTensor } from './apply.js';
import { add, div, mul, sub } from './binary.js';
import { castCode, clone } from './cast.js';
import { clamp } from './clamp.js';
import { zerosLike } from './create.js';
import { gradient, unary } from './elementwise.js';

const zero = (dy: Tensor): Tensor => zerosLike(dy);

/** −x. */
export const neg = unary('neg', 'neg', 'none', (dy) => neg(dy), 'whole');
/** |x|; its gradient at 0 is 0. */
export const abs = unary('abs', 'abs', 'x', (dy, x) => mul(dy, sign(x)), 'whole');
const signOfNumber = unary('sign', 'sign', 'none', zero, 'whole');
/** −1, 0 or 1; NaN and booleans stay. */
export const sign = (x: Tensor): Tensor => (checkTensor('sign', 'input', x).code === BOOL ? clone(x) : signOfNumber(x));
/** The largest integer not above x. */
export const floor = unary('floor', 'floor', 'none', zero, 'same');
/** The smallest integer not below x. */
export const ceil = unary('ceil', 'ceil', 'none', zero, 'same');
/** x without its fraction. */
export const trunc = unary('trunc', 'trunc', 'none', zero, 'same');
/** The fraction of x, with its sign: x − trunc(x). */
export const frac = (x: Tensor): Tensor => sub(checkFloat('frac', 'input', x), trunc(x));

const roundWhole = unary('round', 'round', 'none', zero, 'same');
/** x rounded to `decimals` decimals (0 by default; negative ones count places before the point), halves to the even digit. */
export function round(x: Tensor, { decimals = 0 }: { decimals?: number } = {}): Tensor {
  checkInteger('round', 'decimals', decimals, { min: -300, max: 300 });
  if (decimals === 0 || !isFloat(checkTensor('round', 'input', x).code)) return roundWhole(x);
  const power = 10 ** Math.abs(decimals);
  return decimals > 0 ? div(roundWhole(mul(x, power)), power) : mul(roundWhole(div(x, power)), power);
}
/** eˣ. */
export const exp = unary('exp', 'exp', 'y', (dy, y) => mul(dy, y));
/** 2ˣ. */
export const exp2 = unary('exp2', 'exp2', 'y', (dy, y) => mul(mul(dy, y), Math.LN2));
/** eˣ − 1, accurate near 0. */
export const expm1 = unary('expm1', 'expm1', 'y', (dy, y) => mul(dy, add(y, 1)));
/** The natural logarithm; NaN below 0, −∞ at 0. */
export const log = unary('log', 'log', 'x', (dy, x) => div(dy, x));
/** log(1 + x), accurate near 0. */
export const log1p = unary('log1p', 'log1p', 'x', (dy, x) => div(dy, add(x, 1)));
/** The logarithm to base 2. */
export const log2 = unary('log2', 'log2', 'x', (dy, x) => div(dy, mul(x, Math.LN2)));
/** The logarithm to base 10. */
export const log10 = unary('log10', 'log10', 'x', (dy, x) => div(dy, mul(x, Math.LN10)));
/** The square root; NaN below 0. */
export const sqrt = unary('sqrt', 'sqrt', 'y', (dy, y) => div(dy, mul(y, 2)));
/** 1/√x. */
export const rsqrt = unary('rsqrt', 'rsqrt', 'y', (dy, y) => mul(mul(dy, -0.5), mul(y, square(y))));
/** 1/x. */
export const reciprocal = unary('reciprocal', 'reciprocal', 'y', (dy, y) => neg(mul(dy, square(y))));
const squareFloat = unary('square', 'square', 'x', (dy, x) => mul(mul(dy, x), 2));
/** x²; of booleans int32. */
export function square(x: Tensor): Tensor {
  if (isFloat(checkTensor('square', 'input', x).code)) return squareFloat(x);
  const whole = x.code === BOOL ? castCode(x, INT32) : x;
  return mul(whole, whole);
}
/** The sine of an angle in radians. */
export const sin = unary('sin', 'sin', 'x', (dy, x) => mul(dy, cos(x)));
/** The cosine of an angle in radians. */
export const cos = unary('cos', 'cos', 'x', (dy, x) => neg(mul(dy, sin(x))));
/** The tangent of an angle in radians. */
export const tan = unary('tan', 'tan', 'y', (dy, y) => mul(dy, add(square(y), 1)));
/** The angle in [−π/2, π/2] whose sine is x; NaN outside [−1, 1]. */
export const asin = unary('asin', 'asin', 'x', (dy, x) => mul(dy, rsqrt(sub(1, square(x)))));
/** The angle in [0, π] whose cosine is x; NaN outside [−1, 1]. */
export const acos = unary('acos', 'acos', 'x', (dy, x) => neg(mul(dy, rsqrt(sub(1, square(x))))));
/** The angle in (−π/2, π/2) whose tangent is x. */
export const atan = unary('atan', 'atan', 'x', (dy, x) => div(dy, add(square(x), 1)));
/** The hyperbolic sine. */
export const sinh = unary('sinh', 'sinh', 'x', (dy, x) => mul(dy, cosh(x)));
/** The hyperbolic cosine. */
export const cosh = unary('cosh', 'cosh', 'x', (dy, x) => mul(dy, sinh(x)));
/** The inverse of sinh. */
export const asinh = unary('asinh', 'asinh', 'x', (dy, x) => mul(dy, rsqrt(add(square(x), 1))));
/** The inverse of cosh, at least 0; NaN below 1. */
export const acosh = unary('acosh', 'acosh', 'x', (dy, x) => mul(dy, rsqrt(sub(square(x), 1))));
/** The inverse of tanh; NaN outside [−1, 1]. */
export const atanh = unary('atanh', 'atanh', 'x', (dy, x) => div(dy, sub(1, square(x))));
/** The error function 2/√π ∫₀ˣ e^(−t²) dt. */
export const erf = unary('erf', 'erf', 'x', (dy, x) => mul(mul(dy, exp(neg(square(x)))), 2 / Math.sqrt(Math.PI)));
/** 1 − erf(x), accurate where erf is close to 1. */
export const erfc = unary('erfc', 'erfc', 'x', (dy, x) => mul(mul(dy, exp(neg(square(x)))), -2 / Math.sqrt(Math.PI)));

const tanhBackward = gradient('tanh_backward', 'tanh', (g, y) => mul(mul(g, y), -2));
/** The hyperbolic tangent. */
export const tanh = unary('tanh', 'tanh', 'y', (dy, y) => tanhBackward(dy, y));

const sigmoidBackward = gradient('sigmoid_backward', 'sigmoid', (g, y) => mul(g, sub(1, mul(y, 2))));
/** The logistic function 1/(1 + e⁻ˣ). */
export const sigmoid = unary('sigmoid', 'sigmoid', 'y', (dy, y) => sigmoidBackward(dy, y));

/** log(x / (1 − x)), the inverse of {@link sigmoid}; with `eps`, x is first limited to [eps, 1 − eps]. */
export function logit(x: Tensor, eps?: number): Tensor {
  const p = eps === undefined ? checkTensor('logit', 'input', x) : clamp(x, checkNumber('logit', 'eps', eps), 1 - eps);
  return log(div(p, sub(1, p)));
}
