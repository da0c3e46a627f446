import { ShapeError } from '../errors.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { broadcastShapes, formatShape, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, record, result } from './apply.js';
import { sum, sumTo } from './reduce.js';
import { expand, t, transpose, viewAs } from './views.js';

const MATMUL = opcodeOf('matmul');

/** Nanoseconds of 2·n operations at a modest rate: only whether that is worth a hand-off matters. @internal */
export const gemmNs = (n: number): number => 200 + n / 40;

/** a (…, M, K) · b (…, K, N) + bias (N), batch dimensions already equal. No checks, no recording. */
function product(a: Tensor, b: Tensor, bias: Tensor | null, shape: Shape): Tensor {
  const out = result(shape, a.code);
  emit(MATMUL, bias === null ? [a, b, null] : [a, b, bias], [out], [0, 0], gemmNs(out.numel * a.shape[a.ndim - 1]!));
  return out;
}

const transposed = (x: Tensor): Tensor => transpose(x, -2, -1);

const matmulRule: Rule = {
  name: 'matmul',
  backward: (dy, node) => {
    const a = node.saved(0);
    const b = node.saved(1);
    return [
      node.needs(0) ? sumTo(batched(dy, transposed(b)), a.shape) : null,
      node.needs(1) ? sumTo(batched(transposed(a), dy), b.shape) : null,
    ];
  },
};

/** Matrices of at least 2 dimensions, batch dimensions broadcast. */
function batched(a: Tensor, b: Tensor): Tensor {
  const n = b.shape[b.ndim - 1]!;
  const m = a.shape[a.ndim - 2]!;
  const aBatch = a.shape.slice(0, -2);
  const bBatch = b.shape.slice(0, -2);
  // A stack of matrices times one matrix is one tall matrix times it.
  if (bBatch.length === 0 && aBatch.length > 0 && a.isContiguous) {
    const k = a.shape[a.ndim - 1]!;
    const rows = k === 0 ? a.shape.slice(0, -1).reduce((x, y) => x * y, 1) : a.numel / k;
    return viewAs(batched(viewAs(a, [rows, k]), b), [...aBatch, m, n]);
  }
  const batch = broadcastShapes('matmul', aBatch, bBatch);
  const x = sameShape(aBatch, batch) ? a : expand(a, [...batch, ...a.shape.slice(-2)]);
  const y = sameShape(bBatch, batch) ? b : expand(b, [...batch, ...b.shape.slice(-2)]);
  return record(matmulRule, product(x, y, null, [...batch, m, n]), [x, y], [x, y]);
}

/**
 * The matrix product by PyTorch's rules: (…, M, K) · (…, K, N) gives (…, M, N) with batch dimensions broadcast; a vector on the
 * left is a row and on the right a column, whose dimension goes away again; two vectors give their dot product, a scalar.
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  const fn = 'matmul';
  checkFloat(fn, 'a', a);
  checkFloat(fn, 'b', b);
  checkSameDType(fn, 'a', a, 'b', b);
  if (a.ndim === 0 || b.ndim === 0) throw new ShapeError(`${fn}: expected at least 1 dimension, got a scalar`);
  const x = a.ndim === 1 ? viewAs(a, [1, a.shape[0]!]) : a;
  const y = b.ndim === 1 ? viewAs(b, [b.shape[0]!, 1]) : b;
  if (x.shape[x.ndim - 1] !== y.shape[y.ndim - 2]) {
    throw new ShapeError(
      `${fn}: expected the last dimension of a and the ${b.ndim === 1 ? 'only' : 'second to last'} of b to agree, got ${formatShape(a.shape)} and ${formatShape(b.shape)}`,
    );
  }
  const z = batched(x, y);
  if (a.ndim > 1 && b.ndim > 1) return z;
  const shape = [...z.shape];
  if (b.ndim === 1) shape.pop();
  if (a.ndim === 1) shape.splice(b.ndim === 1 ? shape.length - 1 : shape.length - 2, 1);
  return viewAs(z, shape);
}

const linearRule: Rule = {
  name: 'linear',
  backward: (dy, node) => {
    const x = node.saved(0);
    const weight = node.saved(1);
    return [
      node.needs(0) ? matmul(dy, weight) : null,
      node.needs(1) ? matmul(t(dy), x) : null,
      node.needs(2) ? sum(dy, 0) : null,
    ];
  },
};

/** x·Wᵀ + bias: x (…, in), weight (out, in), bias (out) or null; gives (…, out). */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  const fn = 'linear';
  checkFloat(fn, 'input', x);
  checkFloat(fn, 'weight', weight);
  checkSameDType(fn, 'input', x, 'weight', weight);
  if (weight.ndim !== 2)
    throw new ShapeError(`${fn}: expected weight of shape [out, in], got ${formatShape(weight.shape)}`);
  const [m, k] = weight.shape as [number, number];
  if (x.ndim === 0 || x.shape[x.ndim - 1] !== k) {
    throw new ShapeError(`${fn}: expected input of shape [..., ${k}], got ${formatShape(x.shape)}`);
  }
  if (bias !== null) {
    checkFloat(fn, 'bias', bias);
    checkSameDType(fn, 'input', x, 'bias', bias);
    if (bias.ndim !== 1 || bias.shape[0] !== m) {
      throw new ShapeError(`${fn}: expected bias of shape [${m}], got ${formatShape(bias.shape)}`);
    }
  }
  if (x.ndim !== 2) {
    const rows = x.shape.slice(0, -1).reduce((a, b) => a * b, 1);
    return viewAs(linear(viewAs(x, [rows, k]), weight, bias), [...x.shape.slice(0, -1), m]);
  }
  const out = product(x, weight.asView([k, m], [weight.strides[1]!, weight.strides[0]!], weight.offset), bias, [
    x.shape[0]!,
    m,
  ]);
  return record(linearRule, out, [x, weight, bias], [x, weight]);
}
