import { ShapeError } from '../errors.js';
import { checkNumber } from '../check.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import { accumulator, type Node, type Rule } from '../autograd/graph.js';
import { broadcastShapes, formatShape, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, record, result } from './apply.js';
import { add, mul } from './binary.js';
import { sum, sumTo } from './reduce.js';
import { expand, permute, reshape, t, transpose, viewAs } from './views.js';

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

/**
 * The gradient a · b (M, N) for `node`, or null when it was added to what had arrived there already: weights that are used again and
 * again gather their gradient without a pass over it each time. @internal
 */
export function productInto(node: Node | null, a: Tensor, b: Tensor): Tensor | null {
  const present = accumulator(node);
  if (present === null) return matmul(a, b);
  emit(MATMUL, [a, b, null], [present], [0, 1], gemmNs(a.numel * b.shape[1]!));
  return null;
}

const linearRule: Rule = {
  name: 'linear',
  backward: (dy, node) => {
    const x = node.saved(0);
    const weight = node.saved(1);
    return [
      node.needs(0) ? productInto(node.inputs[0]!, dy, weight) : null,
      node.needs(1) ? productInto(node.inputs[1]!, t(dy), x) : null,
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

function checkRank(fn: string, name: string, x: Tensor, ndim: number): void {
  checkFloat(fn, name, x);
  if (x.ndim !== ndim) {
    throw new ShapeError(`${fn}: expected ${name} of ${ndim} dimensions, got ${formatShape(x.shape)}`);
  }
}

/** A product of operands of fixed rank; `matmul` checks that their sizes agree. */
function ranked(fn: string, aDims: number, bDims: number): (a: Tensor, b: Tensor) => Tensor {
  return (a, b) => {
    checkRank(fn, 'a', a, aDims);
    checkRank(fn, 'b', b, bDims);
    checkSameDType(fn, 'a', a, 'b', b);
    const inner = bDims === 1 ? 0 : bDims - 2;
    const batches = aDims === 3 && a.shape[0] !== b.shape[0];
    if (batches || a.shape[aDims - 1] !== b.shape[inner]) {
      throw new ShapeError(
        `${fn}: expected shapes that agree, got ${formatShape(a.shape)} and ${formatShape(b.shape)}`,
      );
    }
    return matmul(a, b);
  };
}

/** (M, K) · (K, N), nothing else. */
export const mm = ranked('mm', 2, 2);
/** (B, M, K) · (B, K, N): a product for each of the batch. */
export const bmm = ranked('bmm', 3, 3);
/** (M, K) · (K). */
export const mv = ranked('mv', 2, 1);
/** Σ aᵢ bᵢ of two vectors. */
export const dot = ranked('dot', 1, 1);

/** Every product of an element of a (N) with one of b (M): (N, M). */
export function outer(a: Tensor, b: Tensor): Tensor {
  checkRank('outer', 'a', a, 1);
  checkRank('outer', 'b', b, 1);
  return mul(viewAs(a, [a.numel, 1]), b);
}

/** Options of {@link addmm} and {@link baddbmm}. */
export interface AddmmOptions {
  /** What `input` is multiplied by; 1 by default. With 0 its values do not matter, NaN included. */
  beta?: number;
  /** What the product is multiplied by; 1 by default. */
  alpha?: number;
}

function addProduct(
  fn: string,
  input: Tensor,
  a: Tensor,
  b: Tensor,
  { beta = 1, alpha = 1 }: AddmmOptions,
  times: (a: Tensor, b: Tensor) => Tensor,
): Tensor {
  checkFloat(fn, 'input', input);
  checkNumber(fn, 'beta', beta);
  checkNumber(fn, 'alpha', alpha);
  const product = times(a, b);
  checkSameDType(fn, 'input', input, 'a', a);
  if (!sameShape(broadcastShapes(fn, input.shape, product.shape), product.shape)) {
    throw new ShapeError(
      `${fn}: expected input of a shape that broadcasts to ${formatShape(product.shape)}, got ${formatShape(input.shape)}`,
    );
  }
  const scaled = alpha === 1 ? product : mul(product, alpha);
  if (beta === 0) return scaled;
  return add(scaled, beta === 1 ? input : mul(input, beta));
}

/** beta · input + alpha · (a · b) of matrices (M, K) and (K, N); input broadcasts to (M, N). */
export const addmm = (input: Tensor, a: Tensor, b: Tensor, options: AddmmOptions = {}): Tensor =>
  addProduct('addmm', input, a, b, options, mm);

/** beta · input + alpha · (a · b) of stacks (B, M, K) and (B, K, N); input broadcasts to (B, M, N). */
export const baddbmm = (input: Tensor, a: Tensor, b: Tensor, options: AddmmOptions = {}): Tensor =>
  addProduct('baddbmm', input, a, b, options, bmm);

/** yₖ = aᵀ Wₖ b + biasₖ: a (…, in1), b (…, in2), weight (out, in1, in2), bias (out) or null; gives (…, out). */
export function bilinear(a: Tensor, b: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  const fn = 'bilinear';
  checkFloat(fn, 'a', a);
  checkFloat(fn, 'b', b);
  checkRank(fn, 'weight', weight, 3);
  checkSameDType(fn, 'a', a, 'b', b);
  checkSameDType(fn, 'a', a, 'weight', weight);
  const [out, in1, in2] = weight.shape as [number, number, number];
  const lead = a.shape.slice(0, -1);
  if (a.ndim === 0 || a.shape[a.ndim - 1] !== in1) {
    throw new ShapeError(`${fn}: expected a of shape [..., ${in1}], got ${formatShape(a.shape)}`);
  }
  if (!sameShape(b.shape, [...lead, in2])) {
    throw new ShapeError(`${fn}: expected b of shape ${formatShape([...lead, in2])}, got ${formatShape(b.shape)}`);
  }
  const rows = lead.reduce((x, y) => x * y, 1);
  // a · W as (rows, out, in2), then each of the rows times its b.
  const flat = reshape(permute(weight, [1, 0, 2]), [in1, out * in2]);
  const half = viewAs(matmul(reshape(a, [rows, in1]), flat), [rows, out, in2]);
  const y = viewAs(matmul(half, reshape(b, [rows, in2, 1])), [...lead, out]);
  if (bias === null) return y;
  checkRank(fn, 'bias', bias, 1);
  checkSameDType(fn, 'a', a, 'bias', bias);
  if (bias.shape[0] !== out)
    throw new ShapeError(`${fn}: expected bias of shape [${out}], got ${formatShape(bias.shape)}`);
  return add(y, bias);
}
