import { BOOL, FLOAT64, INT32, isFloat, UINT8 } from '../dtype.js';
import { DTypeError } from '../errors.js';
import { checkBoolean, checkNumber } from '../check.js';
import { code as opcodeOf, emitBroadcast } from '../native/stream.js';
import type { OpName } from '../native/ops.generated.js';
import { broadcastShapes, sameShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, result } from './apply.js';
import {
  add,
  checkOperand,
  commonCode,
  eq,
  gt,
  le,
  logicalAnd,
  logicalOr,
  mul,
  ne,
  sub,
  type Operand,
} from './binary.js';
import { castCode, isfinite, logicalNot } from './cast.js';
import { where } from './create.js';
import { all } from './reduce.js';
import { abs } from './unary.js';

/** Whether exactly one is true (not 0). */
export const logicalXor = (a: Tensor, b: Tensor): Tensor =>
  ne(
    castCode(checkTensor('logicalXor', 'the first operand', a), BOOL),
    castCode(checkTensor('logicalXor', 'the second operand', b), BOOL),
  );

/** Op on the bits of int32, uint8 or bool. */
function bitwise(name: OpName, fn: string): (a: Operand, b: Operand) => Tensor {
  const op = opcodeOf(name);
  return (left, right) => {
    let a = checkOperand(fn, 'the first operand', left);
    let b = checkOperand(fn, 'the second operand', right);
    const code = commonCode(fn, a, b);
    if (isFloat(code)) throw new DTypeError(`${fn}: expected operands of dtype int32, uint8 or bool`);
    if (typeof a !== 'number') a = castCode(a, code);
    if (typeof b !== 'number') b = castCode(b, code);
    const shape =
      typeof a === 'number'
        ? (b as Tensor).shape
        : typeof b === 'number'
          ? a.shape
          : broadcastShapes(fn, a.shape, b.shape);
    const out = result(shape, code);
    emitBroadcast(op, [a, b], out, passNs(out.numel), code);
    return out;
  };
}

/** The bits that are set in both integers, or whether both booleans are true. */
export const bitwiseAnd = bitwise('bitwise_and', 'bitwiseAnd');
/** The bits that are set in either integer, or whether either boolean is true. */
export const bitwiseOr = bitwise('bitwise_or', 'bitwiseOr');
/** The bits that are set in one integer only, or whether one boolean only is true. */
export const bitwiseXor = bitwise('bitwise_xor', 'bitwiseXor');
/** The other bits of an integer; the opposite of a boolean. */
export function bitwiseNot(x: Tensor): Tensor {
  if (checkTensor('bitwiseNot', 'input', x).code === BOOL) return logicalNot(x);
  if (x.code === INT32) return sub(-1, x);
  if (x.code === UINT8) return sub(255, x);
  throw new DTypeError(`bitwiseNot: expected input of dtype int32, uint8 or bool, got ${x.dtype}`);
}

/** Whether each element is NaN. */
export const isnan = (x: Tensor): Tensor => ne(checkTensor('isnan', 'input', x), x);

/** Whether each element is ∞ or −∞. */
export const isinf = (x: Tensor): Tensor =>
  isFloat(checkTensor('isinf', 'input', x).code) ? eq(abs(x), Infinity) : ne(x, x);

/** Options of {@link isclose} and {@link allclose}. */
export interface CloseOptions {
  /** Allowed difference relative to b; 1e-5 by default. */
  rtol?: number;
  /** Allowed difference beside it; 1e-8 by default. */
  atol?: number;
  /** Whether NaN is close to NaN; false by default. */
  equalNan?: boolean;
}

function close(fn: string, a: Tensor, b: Tensor, { rtol = 1e-5, atol = 1e-8, equalNan = false }: CloseOptions): Tensor {
  checkNumber(fn, 'rtol', rtol, { min: 0 });
  checkNumber(fn, 'atol', atol, { min: 0 });
  checkBoolean(fn, 'equalNan', equalNan);
  const meeting = commonCode(fn, checkTensor(fn, 'the first operand', a), checkTensor(fn, 'the second operand', b));
  // Differences of integers are exact in float64.
  const code = isFloat(meeting) ? meeting : FLOAT64;
  const x = castCode(a.detach(), code);
  const y = castCode(b.detach(), code);
  const difference = abs(sub(x, y));
  const near = logicalAnd(le(difference, add(mul(abs(y), rtol), atol)), isfinite(difference));
  const same = logicalOr(eq(x, y), near);
  return equalNan ? logicalOr(same, logicalAnd(isnan(x), isnan(y))) : same;
}

/** Whether |a − b| ≤ atol + rtol |b|, or both are the same infinity. */
export const isclose = (a: Tensor, b: Tensor, options: CloseOptions = {}): Tensor => close('isclose', a, b, options);

/** Whether {@link isclose} holds for all elements. */
export const allclose = async (a: Tensor, b: Tensor, options: CloseOptions = {}): Promise<boolean> =>
  (await all(close('allclose', a, b, options)).item()) !== 0;

/** Whether both have the same shape and equal elements. */
export const equal = async (a: Tensor, b: Tensor): Promise<boolean> =>
  sameShape(checkTensor('equal', 'the first operand', a).shape, checkTensor('equal', 'the second operand', b).shape) &&
  (await all(eq(a, b)).item()) !== 0;

/** Options of {@link nanToNum}. */
export interface NanToNumOptions {
  /** What NaN becomes; 0 by default. */
  nan?: number;
  /** What ∞ becomes; the largest finite number of the dtype by default. */
  posinf?: number;
  /** What −∞ becomes; the smallest finite number of the dtype by default. */
  neginf?: number;
}

/** x with other numbers in place of NaN and infinities; the gradient there is 0. */
export function nanToNum(x: Tensor, { nan = 0, posinf, neginf }: NanToNumOptions = {}): Tensor {
  const fn = 'nanToNum';
  if (!isFloat(checkTensor(fn, 'input', x).code)) return x;
  const most = x.code === FLOAT64 ? Number.MAX_VALUE : (2 - 2 ** -23) * 2 ** 127;
  const above = checkNumber(fn, 'posinf', posinf ?? most, { finite: false });
  const below = checkNumber(fn, 'neginf', neginf ?? -most, { finite: false });
  const number = checkNumber(fn, 'nan', nan, { finite: false });
  return where(isnan(x), number, where(eq(x, Infinity), above, where(eq(x, -Infinity), below, x)));
}

/** 0 below 0, 1 above, and `values` at 0: the unit step. */
export const heaviside = (x: Tensor, values: Operand): Tensor =>
  where(eq(checkTensor('heaviside', 'input', x), 0), values, castCode(gt(x, 0), x.code));
