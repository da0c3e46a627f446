import { checkDType, isFloat, type DType, BOOL } from '../dtype.js';
import { code as opcodeOf, emit, emitUnary } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import type { Tensor } from '../tensor.js';
import { checkTensor, passNs, record, result } from './apply.js';

const COPY = opcodeOf('copy');
const NOT = opcodeOf('logical_not');
const FILL = opcodeOf('fill');
const FINITE = opcodeOf('isfinite');

const castRule: Rule = { name: 'to', backward: (dy, node) => [castCode(dy, node.extra as number)] };
const copyRule: Rule = { name: 'clone', backward: (dy) => [dy] };

function copyAs(x: Tensor, code: number): Tensor {
  const out = result(x.shape, code, x.numel);
  emitUnary(COPY, x, out, passNs(x.numel));
  return out;
}

/** x with the dtype of this code; x itself when it has it already. */
export function castCode(x: Tensor, code: number): Tensor {
  if (x.code === code) return x;
  const out = copyAs(x, code);
  return isFloat(code) && isFloat(x.code) ? record(castRule, out, [x], [], x.code) : out;
}

/** x with another dtype; x itself when it has it already. Fractions are cut off, out-of-range integers saturate. */
export function to(x: Tensor, dtype: DType): Tensor {
  return castCode(checkTensor('to', 'input', x), checkDType('to', dtype));
}

/** A copy with memory of its own, row-major. */
export const clone = (x: Tensor): Tensor => record(copyRule, copyAs(checkTensor('clone', 'input', x), x.code), [x]);

/** x itself when its elements stand row-major without gaps, else a copy that does. */
export const contiguous = (x: Tensor): Tensor => (checkTensor('contiguous', 'input', x).isContiguous ? x : clone(x));

/** Whether each element is 0 or false. */
export function logicalNot(x: Tensor): Tensor {
  const out = result(checkTensor('logicalNot', 'input', x).shape, BOOL, x.numel);
  emitUnary(NOT, x, out, passNs(x.numel));
  return out;
}

/** Whether each element is neither NaN nor infinite; integers always are. */
export function isfinite(x: Tensor): Tensor {
  const out = result(checkTensor('isfinite', 'input', x).shape, BOOL, x.numel);
  if (isFloat(x.code)) emitUnary(FINITE, x, out, passNs(x.numel));
  else emit(FILL, [], [out], [1], passNs(x.numel));
  return out;
}
