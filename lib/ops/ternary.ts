import { isFloat, promote } from '../dtype.js';
import { checkNumber } from '../check.js';
import { code as opcodeOf, emitBroadcast } from '../native/stream.js';
import type { OpName } from '../native/ops.generated.js';
import type { Rule } from '../autograd/graph.js';
import { broadcastShapes, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkTensor, passNs, record, result } from './apply.js';
import { add, checkOperand, commonCode, div, mul, sub, type Operand } from './binary.js';
import { castCode } from './cast.js';
import { neg } from './unary.js';
import { sumTo } from './reduce.js';

const LERP = opcodeOf('lerp');
const lerpRule: Rule = {
  name: 'lerp',
  backward: (dy, node) => {
    const [aShape, bShape, number] = node.extra as [Shape, Shape, number | null];
    const weight = number ?? node.saved(2);
    const dw = node.needs(2) ? mul(dy, sub(node.saved(1), node.saved(0))) : null;
    return [
      node.needs(0) ? sumTo(mul(dy, typeof weight === 'number' ? 1 - weight : sub(1, weight)), aShape) : null,
      node.needs(1) ? sumTo(mul(dy, weight), bShape) : null,
      dw === null ? null : sumTo(dw, (weight as Tensor).shape),
    ];
  },
};

/** a + weight · (b − a), elementwise with broadcasting; `weight` is a number or a tensor. */
export function lerp(a: Tensor, b: Tensor, weight: Operand): Tensor {
  const fn = 'lerp';
  const code = commonCode(fn, checkFloat(fn, 'start', a), checkFloat(fn, 'end', b));
  const x = castCode(a, code);
  const y = castCode(b, code);
  let w = checkOperand(fn, 'weight', weight);
  if (typeof w !== 'number') w = castCode(checkFloat(fn, 'weight', w), code);
  let shape = broadcastShapes(fn, x.shape, y.shape);
  if (typeof w !== 'number') shape = broadcastShapes(fn, shape, w.shape);
  const out = result(shape, code);
  emitBroadcast(LERP, [x, y, w], out, passNs(out.numel), code);
  const saved = typeof w === 'number' ? [] : [x, y, w];
  return record(lerpRule, out, [x, y, w], saved, [x.shape, y.shape, typeof w === 'number' ? w : null]);
}

/** Options of {@link addcmul} and {@link addcdiv}. */
export interface ValueOptions {
  /** What the product or quotient is multiplied by; 1 by default. */
  value?: number;
}

type Combine = (a: Tensor, b: Tensor) => Tensor;

/** x + value · combine(a, b) in one pass. */
function addCombined(name: OpName, fn: string, combine: Combine, grad: (dy: Tensor, a: Tensor, b: Tensor) => Tensor[]) {
  const op = opcodeOf(name);
  const rule: Rule = {
    name: fn,
    backward: (dy, node) => {
      const [xShape, value] = node.extra as [Shape, number];
      const a = node.saved(0);
      const b = node.saved(1);
      const scaled = value === 1 ? dy : mul(dy, value);
      const [da, db] = grad(scaled, a, b);
      return [
        node.needs(0) ? sumTo(dy, xShape) : null,
        node.needs(1) ? sumTo(da!, a.shape) : null,
        node.needs(2) ? sumTo(db!, b.shape) : null,
      ];
    },
  };
  return (x: Tensor, a: Tensor, b: Tensor, { value = 1 }: ValueOptions = {}): Tensor => {
    checkTensor(fn, 'input', x);
    checkTensor(fn, 'the first operand', a);
    checkTensor(fn, 'the second operand', b);
    checkNumber(fn, 'value', value);
    if (!(isFloat(x.code) && isFloat(a.code) && isFloat(b.code))) return add(x, mul(combine(a, b), value));
    const code = promote(commonCode(fn, x, a), commonCode(fn, x, b));
    const operands = [castCode(x, code), castCode(a, code), castCode(b, code)] as const;
    const shape = broadcastShapes(fn, broadcastShapes(fn, x.shape, a.shape), b.shape);
    const out = result(shape, code);
    emitBroadcast(op, operands, out, passNs(out.numel), code, [value]);
    return record(rule, out, operands, operands.slice(1), [x.shape, value]);
  };
}

/** x + value · a · b, elementwise with broadcasting. */
export const addcmul = addCombined('addcmul', 'addcmul', mul, (dy, a, b) => [mul(dy, b), mul(dy, a)]);

/** x + value · a / b, elementwise with broadcasting. */
export const addcdiv = addCombined('addcdiv', 'addcdiv', div, (dy, a, b) => {
  const da = div(dy, b);
  return [da, neg(mul(da, div(a, b)))];
});
