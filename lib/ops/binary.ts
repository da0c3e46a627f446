import { BOOL, category, FLOAT32, INT32, isFloat, promote, UINT8 } from '../dtype.js';
import { DTypeError, ValueError } from '../errors.js';
import { checkNumber, checkOneOf, show } from '../check.js';
import { code as opcodeOf, emitBroadcast } from '../native/stream.js';
import type { OpName } from '../native/ops.generated.js';
import type { Rule } from '../autograd/graph.js';
import { broadcastShapes, type Shape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { castCode } from './cast.js';
import { checkTensor, passNs, record, result } from './apply.js';
import { log, neg, sigmoid } from './unary.js';
import { sumTo } from './reduce.js';
import { where, zerosLike } from './create.js';

/** An operand of an elementwise op: a tensor, or a number that takes the tensor's dtype. */
export type Operand = Tensor | number;

/**
 * The dtype two operands meet in, by PyTorch's rules: the higher of both; a scalar (a number or a tensor of no dimensions) only
 * counts when it is of a higher category (bool, integer, floating point) than the other.
 */
export function commonCode(fn: string, a: Operand, b: Operand): number {
  if (typeof a === 'number') {
    if (typeof b === 'number') throw new ValueError(`${fn}: expected at least one Tensor, got two numbers`);
    return withNumber(fn, b, a);
  }
  if (typeof b === 'number') return withNumber(fn, a, b);
  if (a.code === b.code) return a.code;
  const scalars = (a.ndim === 0 ? 1 : 0) + (b.ndim === 0 ? 1 : 0);
  if (scalars === 1) {
    const [full, scalar] = a.ndim === 0 ? [b, a] : [a, b];
    return category(scalar.code) > category(full.code) ? promote(scalar.code, full.code) : full.code;
  }
  return promote(a.code, b.code);
}

function withNumber(fn: string, tensor: Tensor, value: number): number {
  if (isFloat(tensor.code)) return tensor.code;
  if (!Number.isInteger(value)) return FLOAT32;
  if (tensor.code === BOOL) return INT32;
  const [low, high] = tensor.code === UINT8 ? [0, 255] : [-(2 ** 31), 2 ** 31 - 1];
  if (value < low || value > high) {
    throw new ValueError(`${fn}: expected a number that fits ${tensor.dtype}, got ${show(value)}`);
  }
  return tensor.code;
}

export function checkOperand(fn: string, name: string, value: unknown): Operand {
  if (typeof value === 'number') return value;
  if (value instanceof Tensor) return checkTensor(fn, name, value);
  throw new ValueError(`${fn}: expected ${name} to be a Tensor or a number, got ${show(value)}`);
}

const shapeOf = (fn: string, a: Operand, b: Operand): Shape =>
  typeof a === 'number' ? (b as Tensor).shape : typeof b === 'number' ? a.shape : broadcastShapes(fn, a.shape, b.shape);

interface BinaryOptions {
  /** Dtypes the op takes; others are refused. */
  codes?: readonly number[];
  /** Integers become float32 first. */
  float?: boolean;
  /** What takes the op's place for two booleans. */
  bool?: (a: Operand, b: Operand) => Tensor;
  /** What the rule wants back. */
  saves?: 'both' | 'none';
}

type Pair = readonly [Tensor | null, Tensor | null];

/** Elementwise op of two operands that broadcast, with gradients for those that need one. */
function binary(
  name: OpName,
  fn: string,
  grad: (dy: Tensor, a: Operand, b: Operand, needs: readonly [boolean, boolean]) => Pair,
  { codes, float = false, bool, saves = 'both' }: BinaryOptions = {},
): (a: Operand, b: Operand) => Tensor {
  const op = opcodeOf(name);
  const rule: Rule = {
    name: fn,
    backward: (dy, node) => {
      // Operands are saved in order; a number stands in `extra` in its place.
      const [a, b, aShape, bShape] = node.extra as [number | null, number | null, Shape, Shape];
      const x = saves === 'none' ? 0 : (a ?? node.saved(0));
      const y = saves === 'none' ? 0 : (b ?? node.saved(a === null ? 1 : 0));
      const [da, db] = grad(dy, x, y, [node.needs(0), node.needs(1)]);
      return [da === null ? null : sumTo(da, aShape), db === null ? null : sumTo(db, bShape)];
    },
  };
  const NUMBER: Shape = [];
  return (left, right) => {
    let a = checkOperand(fn, 'the first operand', left);
    let b = checkOperand(fn, 'the second operand', right);
    let code = commonCode(fn, a, b);
    if (float && !isFloat(code)) code = FLOAT32;
    if (code === BOOL && bool !== undefined) return bool(a, b);
    if (codes !== undefined && !codes.includes(code)) {
      throw new DTypeError(`${fn}: ${show(typeOf(a))} and ${show(typeOf(b))} operands are not supported`);
    }
    if (typeof a !== 'number' && a.code !== code) a = castCode(a, code);
    if (typeof b !== 'number' && b.code !== code) b = castCode(b, code);
    const shape = shapeOf(fn, a, b);
    const out = result(shape, code);
    emitBroadcast(op, [a, b], out, passNs(out.numel), code);
    if (!((typeof a !== 'number' && a.requiresGrad) || (typeof b !== 'number' && b.requiresGrad))) {
      return record(rule, out, [a, b]);
    }
    const saved: Tensor[] = [];
    if (saves === 'both') {
      if (typeof a !== 'number') saved.push(a);
      if (typeof b !== 'number') saved.push(b);
    }
    return record(rule, out, [a, b], saved, [
      typeof a === 'number' ? a : null,
      typeof b === 'number' ? b : null,
      typeof a === 'number' ? NUMBER : a.shape,
      typeof b === 'number' ? NUMBER : b.shape,
    ]);
  };
}

const typeOf = (x: Operand): string => (typeof x === 'number' ? 'number' : x.dtype);

const ARITHMETIC = [0, 1, INT32, UINT8];

/** Options of {@link add} and {@link sub}. */
export interface AlphaOptions {
  /** What b is multiplied by first; 1 by default. */
  alpha?: number;
}

function times(fn: string, b: Operand, alpha: number): Operand {
  checkNumber(fn, 'alpha', alpha);
  if (typeof b === 'number') return b * alpha;
  if (!isFloat(checkTensor(fn, 'the second operand', b).code) && !Number.isInteger(alpha)) {
    throw new DTypeError(`${fn}: expected a whole alpha for operands of ${b.dtype}, got ${show(alpha)}`);
  }
  return mul(b, alpha);
}

const addPlain = binary('add', 'add', (dy, _a, _b, [na, nb]) => [na ? dy : null, nb ? dy : null], {
  codes: ARITHMETIC,
  bool: (a, b) => logicalOr(a as Tensor, b as Tensor),
  saves: 'none',
});
/** a + alpha · b, elementwise with broadcasting; booleans give whether either is true. */
export const add = (a: Operand, b: Operand, options?: AlphaOptions): Tensor =>
  options?.alpha === undefined ? addPlain(a, b) : addPlain(a, times('add', b, options.alpha));

const subPlain = binary('sub', 'sub', (dy, _a, _b, [na, nb]) => [na ? dy : null, nb ? neg(dy) : null], {
  codes: ARITHMETIC,
  saves: 'none',
});
/** a − alpha · b. */
export const sub = (a: Operand, b: Operand, options?: AlphaOptions): Tensor =>
  options?.alpha === undefined ? subPlain(a, b) : subPlain(a, times('sub', b, options.alpha));

/** a · b, elementwise; booleans give whether both are true. */
export const mul = binary('mul', 'mul', (dy, a, b, [na, nb]) => [na ? mul(dy, b) : null, nb ? mul(dy, a) : null], {
  codes: ARITHMETIC,
  bool: (a, b) => logicalAnd(a as Tensor, b as Tensor),
});

/** a / b; integers are divided as float32. */
export const trueDivide = binary(
  'div',
  'div',
  (dy, a, b, [na, nb]) => {
    const da = div(dy, b);
    return [na ? da : null, nb ? neg(mul(da, div(a, b))) : null];
  },
  { float: true },
);

const flat = (dy: Tensor): Tensor => zerosLike(dy);

/** Rounded quotients have gradient 0, as in PyTorch. */
const quotient = (name: OpName, fn: string): ((a: Operand, b: Operand) => Tensor) =>
  binary(name, fn, (dy, _a, _b, [na, nb]) => [na ? flat(dy) : null, nb ? flat(dy) : null], {
    codes: ARITHMETIC,
    saves: 'none',
  });
const truncDivide = quotient('trunc_divide', 'div');
/** The largest integer not above a / b; integers stay integers and give 0 for b = 0. */
export const floorDivide = quotient('floor_divide', 'floorDivide');

/** Options of {@link div}. */
export interface DivOptions {
  /** Rounds the quotient towards 0 ('trunc') or down ('floor'); integers then stay integers. */
  roundingMode?: 'trunc' | 'floor' | null;
}

/** a / b; integers are divided as float32 unless the quotient is rounded. */
export function div(a: Operand, b: Operand, { roundingMode = null }: DivOptions = {}): Tensor {
  if (roundingMode === null) return trueDivide(a, b);
  checkOneOf('div', 'roundingMode', roundingMode, ['trunc', 'floor']);
  return roundingMode === 'trunc' ? truncDivide(a, b) : floorDivide(a, b);
}

/** What is left of a after whole multiples of b, with the sign of a (C's fmod); integers give 0 for b = 0. */
export const fmod = binary(
  'fmod',
  'fmod',
  (dy, a, b, [na, nb]) => [na ? dy : null, nb ? neg(mul(dy, truncDivide(a, b))) : null],
  { codes: ARITHMETIC },
);
/** What is left of a after whole multiples of b, with the sign of b (Python's %); integers give 0 for b = 0. */
export const remainder = binary(
  'remainder',
  'remainder',
  (dy, a, b, [na, nb]) => [na ? dy : null, nb ? neg(mul(dy, floorDivide(a, b))) : null],
  { codes: ARITHMETIC },
);

const powPlain = binary(
  'pow',
  'pow',
  (dy, a, b, [na, nb]) => {
    let da: Tensor | null = null;
    let db: Tensor | null = null;
    if (na) {
      if (b === 2) da = mul(mul(dy, a), 2);
      else if (typeof b === 'number') da = b === 0 ? mul(dy, 0) : mul(dy, mul(pow(a, b - 1), b));
      else da = where(eq(b, 0), 0, mul(dy, mul(b, pow(a, sub(b, 1)))));
    }
    if (nb) {
      // aᵇ ln a, which is 0 at a = 0 with b ≥ 0 and not NaN.
      const power = mul(dy, pow(a, b));
      if (typeof a === 'number') db = a === 0 ? where(ge(b, 0), 0, mul(power, -Infinity)) : mul(power, Math.log(a));
      else db = where(logicalAnd(eq(a, 0), ge(b, 0)), 0, mul(power, log(a)));
    }
    return [da, db];
  },
  { codes: ARITHMETIC },
);
/** aᵇ. Integers to powers of integers stay integers; a tensor of negative ones gives 0, but for bases 1 and −1. */
export function pow(a: Operand, b: Operand): Tensor {
  if (typeof b === 'number' && b < 0 && typeof a !== 'number' && !isFloat(a.code) && Number.isInteger(b)) {
    throw new ValueError(`pow: expected an exponent of at least 0 for a base of ${a.dtype}, got ${show(b)}`);
  }
  return powPlain(a, b);
}

/** The angle in [−π, π] of the point (b, a), with the right quadrant. */
export const atan2 = binary(
  'atan2',
  'atan2',
  (dy, a, b, [na, nb]) => {
    const scaled = div(dy, add(squareOf(a), squareOf(b)));
    return [na ? mul(scaled, b) : null, nb ? neg(mul(scaled, a)) : null];
  },
  { float: true },
);

/** √(a² + b²) without overflow. */
export const hypot = binary(
  'hypot',
  'hypot',
  (dy, a, b, [na, nb]) => {
    const scaled = div(dy, hypot(a, b));
    return [na ? mul(scaled, a) : null, nb ? mul(scaled, b) : null];
  },
  { float: true },
);

/** log(eᵃ + eᵇ) without overflow. */
export const logaddexp = binary(
  'logaddexp',
  'logaddexp',
  (dy, a, b, [na, nb]) => [na ? mul(dy, sigmoid(sub(a, b))) : null, nb ? mul(dy, sigmoid(sub(b, a))) : null],
  { float: true },
);

/** a log b, and 0 where a is 0 and b is not NaN. */
export const xlogy = binary(
  'xlogy',
  'xlogy',
  (dy, a, b, [na, nb]) => [
    na ? mul(dy, where(logicalAnd(eq(a, 0), le(b, 0)), 0, logOf(b))) : null,
    nb ? mul(dy, div(a, b)) : null,
  ],
  { float: true },
);
const squareOf = (x: Operand): Operand => (typeof x === 'number' ? x * x : mul(x, x));
const logOf = (x: Operand): Operand => (typeof x === 'number' ? Math.log(x) : log(x));

/** Gradient of max and min: dy unless the operand lost, half of it where both are equal. */
const share = (dy: Tensor, lost: Tensor, tie: Tensor): Tensor => where(lost, 0, where(tie, mul(dy, 0.5), dy));

/** The larger of a and b; NaN if either is. */
export const maximum = binary(
  'maximum',
  'maximum',
  (dy, a, b, [na, nb]) => {
    const tie = eq(a, b);
    return [na ? share(dy, lt(a, b), tie) : null, nb ? share(dy, gt(a, b), tie) : null];
  },
  { codes: ARITHMETIC, bool: (a, b) => logicalOr(a as Tensor, b as Tensor) },
);
/** The smaller of a and b; NaN if either is. */
export const minimum = binary(
  'minimum',
  'minimum',
  (dy, a, b, [na, nb]) => {
    const tie = eq(a, b);
    return [na ? share(dy, gt(a, b), tie) : null, nb ? share(dy, lt(a, b), tie) : null];
  },
  { codes: ARITHMETIC, bool: (a, b) => logicalAnd(a as Tensor, b as Tensor) },
);

/** Gradient of fmax and fmin: all of it to a where it is chosen, which it is at a tie, else to b. */
const chosen = (dy: Tensor, first: Tensor, b: Operand, [na, nb]: readonly [boolean, boolean]): Pair => {
  const taken = typeof b === 'number' ? first : logicalOr(first, ne(b, b));
  return [na ? where(taken, dy, 0) : null, nb ? where(taken, 0, dy) : null];
};
const fmaxFloat = binary('fmax', 'fmax', (dy, a, b, needs) => chosen(dy, ge(a, b), b, needs), { float: true });
const fminFloat = binary('fmin', 'fmin', (dy, a, b, needs) => chosen(dy, le(a, b), b, needs), { float: true });
const meetInFloat = (fn: string, a: Operand, b: Operand): boolean =>
  isFloat(commonCode(fn, checkOperand(fn, 'the first operand', a), checkOperand(fn, 'the second operand', b)));
/** The larger of a and b; the other one where one is NaN. */
export const fmax = (a: Operand, b: Operand): Tensor => (meetInFloat('fmax', a, b) ? fmaxFloat(a, b) : maximum(a, b));
/** The smaller of a and b; the other one where one is NaN. */
export const fmin = (a: Operand, b: Operand): Tensor => (meetInFloat('fmin', a, b) ? fminFloat(a, b) : minimum(a, b));

/** Comparison to bool. A number outside an integer dtype's range still compares right: both become floating point. */
function comparison(name: OpName, fn: string): (a: Operand, b: Operand) => Tensor {
  const op = opcodeOf(name);
  return (left, right) => {
    let a = checkOperand(fn, 'the first operand', left);
    let b = checkOperand(fn, 'the second operand', right);
    const wide = typeof a === 'number' ? a : typeof b === 'number' ? b : 0;
    const tensor = typeof a === 'number' ? b : a;
    const narrow = typeof tensor !== 'number' && tensor.code === UINT8 && Number.isInteger(wide);
    const code = narrow && (wide < 0 || wide > 255) ? INT32 : Math.abs(wide) < 2 ** 31 ? commonCode(fn, a, b) : 1;
    if (typeof a !== 'number') a = castCode(a, code);
    if (typeof b !== 'number') b = castCode(b, code);
    const out = result(shapeOf(fn, a, b), BOOL);
    emitBroadcast(op, [a, b], out, passNs(out.numel), code);
    return out;
  };
}

/** a = b, elementwise to bool. */
export const eq = comparison('eq', 'eq');
/** a ≠ b. */
export const ne = comparison('ne', 'ne');
/** a < b. */
export const lt = comparison('lt', 'lt');
/** a ≤ b. */
export const le = comparison('le', 'le');
/** a > b. */
export const gt = comparison('gt', 'gt');
/** a ≥ b. */
export const ge = comparison('ge', 'ge');

function logical(name: OpName, fn: string): (a: Tensor, b: Tensor) => Tensor {
  const op = opcodeOf(name);
  return (left, right) => {
    const a = castCode(checkTensor(fn, 'the first operand', left), BOOL);
    const b = castCode(checkTensor(fn, 'the second operand', right), BOOL);
    const out = result(broadcastShapes(fn, a.shape, b.shape), BOOL);
    emitBroadcast(op, [a, b], out, passNs(out.numel), BOOL);
    return out;
  };
}

/** Whether both are true (not 0). */
export const logicalAnd = logical('logical_and', 'logicalAnd');
/** Whether either is true (not 0). */
export const logicalOr = logical('logical_or', 'logicalOr');
