import { ValueError } from '../errors.js';
import { show } from '../check.js';
import type { Rule } from '../autograd/graph.js';
import { normalizeDims, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, record, recording } from './apply.js';
import { div, eq, mul, ne, pow } from './binary.js';
import { castCode } from './cast.js';
import { where } from './create.js';
import { amax, amin, sum, type Dims } from './reduce.js';
import { abs, sign, sqrt, square } from './unary.js';
import { viewAs } from './views.js';

interface Norm {
  p: number;
  /** x's shape with 1 where reduced. */
  kept: Shape;
}

const normRule: Rule = {
  name: 'vectorNorm',
  backward: (dy, node) => {
    const x = node.saved(0);
    const { p, kept } = node.extra as Norm;
    const y = viewAs(node.saved(1), kept);
    const flat = eq(y, 0);
    // Where y is 0, and for p < 1 where x is, there is no slope: it counts as 0, as in PyTorch.
    if (p === 2) return [mul(x, where(flat, 0, div(viewAs(dy, kept), y)))];
    const none = eq(x, 0);
    const ratio = div(where(none, 1, abs(x)), where(flat, 1, y));
    const slope = mul(sign(x), pow(ratio, p - 1));
    return [mul(where(flat, 0, slope), viewAs(dy, kept))];
  },
};

/**
 * (Σ |x|ᵖ)^(1/p) over the given dimensions (all when left out): the largest |x| for p = ∞, the smallest for −∞, the number of
 * elements that are not 0 for p = 0.
 */
export function vectorNorm(x: Tensor, p = 2, dim?: Dims, keepdim = false): Tensor {
  const fn = 'vectorNorm';
  checkFloat(fn, 'input', x);
  if (typeof p !== 'number' || Number.isNaN(p))
    throw new ValueError(`${fn}: expected p to be a number, got ${show(p)}`);
  const dims = normalizeDims(fn, dim, x.ndim);
  if (p === 0) return sum(castCode(ne(x, 0), x.code), dims, keepdim);
  const sizes = abs(x);
  if (p === Infinity) return amax(sizes, dims, keepdim);
  if (p === -Infinity) return amin(sizes, dims, keepdim);
  if (p === 1) return sum(sizes, dims, keepdim);
  const plain = x.detach();
  const y = p === 2 ? sqrt(sum(square(plain), dims, keepdim)) : pow(sum(pow(sizes.detach(), p), dims, keepdim), 1 / p);
  const kept = x.shape.map((size, i) => (dims.includes(i) ? 1 : size));
  return record(normRule, y, [x], recording([x]) ? [x, y] : [], { p, kept } satisfies Norm);
}
