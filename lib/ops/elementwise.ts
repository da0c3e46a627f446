import { BOOL, FLOAT32, isFloat } from '../dtype.js';
import { DTypeError } from '../errors.js';
import { code as opcodeOf, emit, emitUnary } from '../native/stream.js';
import type { OpName } from '../native/ops.generated.js';
import type { Rule } from '../autograd/graph.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, recording, result } from './apply.js';
import { mul } from './binary.js';
import { castCode, clone } from './cast.js';
import { zerosLike } from './create.js';

type Grad = (dy: Tensor, saved: Tensor) => Tensor;

/** What backward wants back: the input, the output, or nothing. */
type Saves = 'x' | 'y' | 'none';

/** What becomes of integers: they are converted to float32 first, the op takes them, or they are their own result. */
type Integers = 'float' | 'whole' | 'same';

/** An elementwise function of one tensor. `fn` is its name in messages, `grad` its gradient given dy and what was saved. */
export function unary(
  name: OpName,
  fn: string,
  saves: Saves,
  grad: Grad,
  integers: Integers = 'float',
): (x: Tensor) => Tensor {
  const op = opcodeOf(name);
  const rule: Rule = {
    name: fn,
    backward: (dy, node) => [grad(dy, saves === 'none' ? dy : node.saved(0))],
  };
  return (x) => {
    let input = checkTensor(fn, 'input', x);
    if (!isFloat(input.code)) {
      if (integers === 'float') input = castCode(input, FLOAT32);
      else if (input.code === BOOL) throw new DTypeError(`${fn}: expected input of a number dtype, got bool`);
      else if (integers === 'same') return clone(input);
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
export function gradient(
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

/** An elementwise function with parameters; saves its input. Integers are converted to float32 first. */
export function unaryWith(
  name: OpName,
  fn: string,
  grad: (dy: Tensor, x: Tensor, params: readonly number[]) => Tensor,
) {
  const op = opcodeOf(name);
  const rule: Rule = { name: fn, backward: (dy, node) => [grad(dy, node.saved(0), node.extra as readonly number[])] };
  return (x: Tensor, params: readonly number[]): Tensor => {
    const input = castCode(checkTensor(fn, 'input', x), isFloat(x.code) ? x.code : FLOAT32);
    const out = result(input.shape, input.code, input.numel);
    emit(op, [input], [out], params, passNs(input.numel));
    return record(rule, out, [input], [input], params);
  };
}
