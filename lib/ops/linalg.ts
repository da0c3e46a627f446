// Small dense linear algebra over the last two dimensions, computed in float64.
import { ShapeError } from '../errors.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import type { Rule } from '../autograd/graph.js';
import { broadcastShapes, formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, checkTensor, record, recording, result } from './apply.js';
import { add, div, mul, sub } from './binary.js';
import { eye } from './create.js';
import { matmul } from './matmul.js';
import { sum } from './reduce.js';
import { neg } from './unary.js';
import { diagEmbed, diagonal, expand, transpose, unsqueeze, viewAs } from './views.js';

const SVD = opcodeOf('svd');
const EIGH = opcodeOf('eigh');
const SOLVE = opcodeOf('solve');
const DETERMINANT = opcodeOf('determinant');

const transposed = (x: Tensor): Tensor => transpose(x, -2, -1);

/** Nanoseconds of n³ operations that follow one another. */
const cubicNs = (n: number): number => 500 + 4 * n;

function checkMatrices(fn: string, x: Tensor): Tensor {
  checkFloat(fn, 'input', x);
  if (x.ndim < 2) throw new ShapeError(`${fn}: expected at least 2 dimensions, got shape ${formatShape(x.shape)}`);
  return x;
}

function checkSquare(fn: string, x: Tensor): Tensor {
  checkMatrices(fn, x);
  const [n, m] = x.shape.slice(-2);
  if (n !== m) throw new ShapeError(`${fn}: expected square matrices, got shape ${formatShape(x.shape)}`);
  return x;
}

/** x / (e[j] − e[i]) off the diagonal and 0 on it, for x (…, n, n) and e (…, n). */
function overGaps(x: Tensor, e: Tensor): Tensor {
  const gaps = sub(unsqueeze(e, -2), unsqueeze(e, -1));
  const one = eye(e.shape[e.ndim - 1]!, undefined, { dtype: e.dtype });
  return div(mul(x, sub(1, one)), add(gaps, one));
}

// ------------------------------------------------------------------------------------------ singular values

/** The factors of {@link svd}; A = u · diag(s) · vh. */
export interface Svd {
  /** (…, m, k), orthonormal columns. */
  u: Tensor;
  /** (…, k), descending. */
  s: Tensor;
  /** (…, k, n), orthonormal rows. */
  vh: Tensor;
}

const skew = (x: Tensor): Tensor => sub(x, transposed(x));

/** x without what lies in the span of the columns of u. */
const outside = (u: Tensor, x: Tensor): Tensor => sub(x, matmul(u, matmul(transposed(u), x)));

const product = (u: Tensor, middle: Tensor, vh: Tensor): Tensor => matmul(u, matmul(middle, vh));

const svdRules: Record<'u' | 's' | 'vh', Rule> = {
  s: {
    name: 'svd',
    backward: (ds, node) => [product(node.saved(0), diagEmbed(ds), node.saved(2))],
  },
  u: {
    name: 'svd',
    backward: (du, node) => {
      const [u, s, vh] = [node.saved(0), node.saved(1), node.saved(2)];
      const inner = mul(overGaps(skew(matmul(transposed(u), du)), mul(s, s)), unsqueeze(s, -2));
      const dx = product(u, inner, vh);
      if (u.shape[u.ndim - 2] === s.shape[s.ndim - 1]) return [dx];
      return [add(dx, matmul(div(outside(u, du), unsqueeze(s, -2)), vh))];
    },
  },
  vh: {
    name: 'svd',
    backward: (dvh, node) => {
      const [u, s, vh] = [node.saved(0), node.saved(1), node.saved(2)];
      const inner = mul(overGaps(skew(matmul(vh, transposed(dvh))), mul(s, s)), unsqueeze(s, -1));
      const dx = product(u, inner, vh);
      if (vh.shape[vh.ndim - 1] === s.shape[s.ndim - 1]) return [dx];
      const rest = transposed(outside(transposed(vh), transposed(dvh)));
      return [add(dx, matmul(u, div(rest, unsqueeze(s, -1))))];
    },
  },
};

/**
 * The reduced singular value decomposition of matrices (…, m, n): x = u · diag(s) · vh with k = min(m, n) columns, by one-sided
 * Jacobi rotations. Signs of singular vectors are arbitrary; their gradient needs distinct singular values that are not 0.
 */
export function svd(x: Tensor): Svd {
  const fn = 'svd';
  checkMatrices(fn, x);
  const batch = x.shape.slice(0, -2);
  const [m, n] = x.shape.slice(-2) as [number, number];
  const k = Math.min(m, n);
  const u = result([...batch, m, k], x.code);
  const s = result([...batch, k], x.code);
  const vh = result([...batch, k, n], x.code);
  emit(SVD, [x], [u, s, vh], [], cubicNs(x.numel * k * 8));
  if (!recording([x])) return { u, s, vh };
  const saved = [u, s, vh];
  return {
    u: record(svdRules.u, u, [x], saved),
    s: record(svdRules.s, s, [x], saved),
    vh: record(svdRules.vh, vh, [x], saved),
  };
}

/** The singular values of matrices (…, m, n), descending. */
export const svdvals = (x: Tensor): Tensor => svd(x).s;

// ------------------------------------------------------------------------------------------ eigenvalues

/** What {@link eigh} gives. */
export interface Eigh {
  /** (…, n), ascending. */
  eigenvalues: Tensor;
  /** (…, n, n), as orthonormal columns. */
  eigenvectors: Tensor;
}

const eigenvaluesRule: Rule = {
  name: 'eigh',
  backward: (dw, node) => {
    const v = node.saved(1);
    return [matmul(mul(v, unsqueeze(dw, -2)), transposed(v))];
  },
};
const eigenvectorsRule: Rule = {
  name: 'eigh',
  backward: (dv, node) => {
    const [w, v] = [node.saved(0), node.saved(1)];
    return [product(v, overGaps(matmul(transposed(v), dv), w), transposed(v))];
  },
};

/**
 * Eigenvalues and eigenvectors of symmetric matrices (…, n, n), of which the lower triangle is read, by Householder
 * reflections and implicit QL. Signs of eigenvectors are arbitrary; their gradient needs distinct eigenvalues.
 */
export function eigh(x: Tensor): Eigh {
  checkSquare('eigh', x);
  const eigenvalues = result(x.shape.slice(0, -1), x.code);
  const eigenvectors = result(x.shape, x.code);
  emit(EIGH, [x], [eigenvalues, eigenvectors], [], cubicNs(x.numel * x.shape[x.ndim - 1]!));
  if (!recording([x])) return { eigenvalues, eigenvectors };
  const saved = [eigenvalues, eigenvectors];
  return {
    eigenvalues: record(eigenvaluesRule, eigenvalues, [x], saved),
    eigenvectors: record(eigenvectorsRule, eigenvectors, [x], saved),
  };
}

/** The eigenvalues of symmetric matrices (…, n, n), ascending. */
export const eigvalsh = (x: Tensor): Tensor => eigh(x).eigenvalues;

// ------------------------------------------------------------------------------------------ linear systems

const solveRule: Rule = {
  name: 'solve',
  backward: (dx, node) => {
    const db = solved(transposed(node.saved(0)), dx);
    return [node.needs(0) ? neg(matmul(db, transposed(node.saved(1)))) : null, db];
  },
};

/** Batches already equal. */
function solved(a: Tensor, b: Tensor): Tensor {
  const out = result(b.shape, b.code);
  emit(SOLVE, [a, b], [out], [], cubicNs(a.numel * a.shape[a.ndim - 1]! + b.numel * a.shape[a.ndim - 1]!));
  return record(solveRule, out, [a, b], recording([a, b]) ? [a, out] : []);
}

/** The X with a · X = b: a (…, n, n), b (…, n, k) with the batch broadcast, or one vector b (n). A singular a gives inf or NaN. */
export function solve(a: Tensor, b: Tensor): Tensor {
  const fn = 'solve';
  checkSquare(fn, a);
  checkFloat(fn, 'b', b);
  checkSameDType(fn, 'a', a, 'b', b);
  const n = a.shape[a.ndim - 1]!;
  const right = b.ndim === 1 ? viewAs(b, [b.numel, 1]) : b;
  if (right.ndim < 2 || right.shape[right.ndim - 2] !== n) {
    throw new ShapeError(`${fn}: expected b of shape [..., ${n}, k], got ${formatShape(b.shape)}`);
  }
  const batch = broadcastShapes(fn, a.shape.slice(0, -2), right.shape.slice(0, -2));
  const x = solved(expand(a, [...batch, n, n]), expand(right, [...batch, n, right.shape[right.ndim - 1]!]));
  return b.ndim === 1 ? viewAs(x, x.shape.slice(0, -1)) : x;
}

/** The inverses of matrices (…, n, n); of a singular one inf or NaN. */
export function inverse(x: Tensor): Tensor {
  checkSquare('inverse', x);
  return solved(x, expand(eye(x.shape[x.ndim - 1]!, undefined, { dtype: x.dtype }), x.shape));
}

const detRule: Rule = {
  name: 'det',
  backward: (dy, node) => {
    const column = (t: Tensor): Tensor => viewAs(t, [...t.shape, 1, 1]);
    return [mul(column(mul(dy, node.saved(1))), transposed(inverse(node.saved(0))))];
  },
};

/** The determinants of matrices (…, n, n). The gradient needs an inverse. */
export function det(x: Tensor): Tensor {
  checkSquare('det', x);
  const batch = x.shape.slice(0, -2);
  const full = result([...batch, 1, 1], x.code);
  emit(DETERMINANT, [x], [full], [], cubicNs(x.numel * x.shape[x.ndim - 1]!));
  const y = full.asView(batch, null, 0);
  return record(detRule, y, [x], recording([x]) ? [x, y] : []);
}

/** The sum of the diagonal of a matrix. */
export function trace(x: Tensor): Tensor {
  if (checkTensor('trace', 'input', x).ndim !== 2) {
    throw new ShapeError(`trace: expected a matrix, got shape ${formatShape(x.shape)}`);
  }
  return sum(diagonal(x));
}
