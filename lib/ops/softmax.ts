import { code as opcodeOf, emit } from '../native/stream.js';
import type { OpName } from '../native/ops.generated.js';
import type { Rule } from '../autograd/graph.js';
import { normalizeDim } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, passNs, record, recording, result } from './apply.js';
import { add, mul, sub } from './binary.js';
import { sum } from './reduce.js';
import { exp, neg } from './unary.js';

type Backward = (dy: Tensor, y: Tensor, dim: number) => Tensor;

function along(name: OpName, fn: string, backward: Backward): (x: Tensor, dim: number) => Tensor {
  const op = opcodeOf(name);
  const rule: Rule = { name: fn, backward: (dy, node) => [backward(dy, node.saved(0), node.extra as number)] };
  return (x, dim) => {
    const axis = normalizeDim(fn, dim, checkFloat(fn, 'input', x).ndim);
    const out = result(x.shape, x.code, x.numel);
    emit(op, [x], [out], [axis], passNs(4 * x.numel));
    return record(rule, out, [x], recording([x]) ? [out] : [], axis);
  };
}

/** A fused backward pass; `second(g, dy, y, dim)` are its own gradients with respect to dy and y. */
function fused(
  name: OpName,
  fn: string,
  second: (g: Tensor, dy: Tensor, y: Tensor, dim: number) => Tensor[],
): Backward {
  const op = opcodeOf(name);
  const rule: Rule = {
    name: `${fn} backward`,
    backward: (g, node) => second(g, node.saved(0), node.saved(1), node.extra as number),
  };
  return (dy, y, dim) => {
    const out = result(y.shape, y.code, y.numel);
    emit(op, [dy, y], [out], [dim], passNs(2 * y.numel));
    return record(rule, out, [dy, y], [dy, y], dim);
  };
}

const softmaxBackward = fused('softmax_backward', 'softmax', (g, dy, y, dim) => {
  const inner = sub(dy, sum(mul(dy, y), dim, true));
  return [softmaxBackward(g, y, dim), sub(mul(g, inner), mul(dy, sum(mul(g, y), dim, true)))];
});

/** e^x / Σ e^x along `dim`, computed from x minus its maximum. */
export const softmax = along('softmax', 'softmax', softmaxBackward);

const logSoftmaxBackward = fused('log_softmax_backward', 'logSoftmax', (g, dy, y, dim) => {
  const p = exp(y);
  const weighted = sum(mul(g, p), dim, true);
  return [add(g, neg(weighted)), neg(mul(mul(g, p), sum(dy, dim, true)))];
});

/** x − log Σ e^x along `dim`. */
export const logSoftmax = along('log_softmax', 'logSoftmax', logSoftmaxBackward);

/** e^−x / Σ e^−x along `dim`. */
export const softmin = (x: Tensor, dim: number): Tensor => softmax(neg(checkFloat('softmin', 'input', x)), dim);
