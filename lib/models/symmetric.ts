import { Breather } from '../train/scalars.js';

// Dense symmetric problems of a few hundred unknowns in float64, for fits with an exact solution. Matrices are row-major.

/** The solution of A x = b by Cholesky's A = L Lᵀ, or null unless A (n × n) is positive definite. A and b are kept. */
export function solvePositive(a: Float64Array, b: Float64Array): Float64Array | null {
  const n = b.length;
  const l = Float64Array.from(a);
  for (let i = 0; i < n; i++) {
    const diagonal = l[i * n + i]!;
    for (let j = 0; j <= i; j++) {
      let sum = l[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= l[i * n + k]! * l[j * n + k]!;
      if (i > j) l[i * n + j] = sum / l[j * n + j]!;
      else if (sum > 1e-13 * diagonal) l[i * n + i] = Math.sqrt(sum);
      else return null;
    }
  }
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i] = x[i]! - l[i * n + k]! * x[k]!;
    x[i] = x[i]! / l[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] = x[i]! - l[k * n + i]! * x[k]!;
    x[i] = x[i]! / l[i * n + i]!;
  }
  return x;
}

/** Eigenvalues in descending order and, in the rows of `vectors`, orthonormal eigenvectors. */
export interface Eigen {
  readonly values: Float64Array;
  readonly vectors: Float64Array;
}

/**
 * The eigenvectors of the symmetric A (n × n), which is overwritten: Householder reflections to tridiagonal form, then QR steps
 * with Wilkinson's shift. Other work gets its turn meanwhile.
 */
export async function eigenSymmetric(a: Float64Array, n: number): Promise<Eigen> {
  const breather = new Breather();
  const diagonal = new Float64Array(n);
  const side = new Float64Array(n);
  // After step k, row k of `a` beyond its diagonal holds the unit vector v of the reflection I − 2vvᵀ (zeros for none).
  const q = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    diagonal[k] = a[k * n + k]!;
    if (k === n - 1) break;
    const v = a.subarray(k * n + k + 1, (k + 1) * n);
    side[k] = k === n - 2 ? v[0]! : householder(v);
    if (k === n - 2) v[0] = 0;
    else reflectBoth(a, n, k + 1, v, q);
    const pause = breather.breathe();
    if (pause !== undefined) await pause;
  }
  const z = new Float64Array(n * n);
  for (let i = 0; i < n; i++) z[i * n + i] = 1;
  let steps = 0;
  for (let end = n - 1; end > 0;) {
    let start = end;
    while (start > 0 && !negligible(side[start - 1]!, diagonal[start - 1]!, diagonal[start]!)) start--;
    if (start === end) {
      side[--end] = 0;
      continue;
    }
    if (++steps > 60 * n) break;
    rotate(diagonal, side, z, n, start, end);
    const pause = breather.breathe();
    if (pause !== undefined) await pause;
  }
  const order = Array.from(diagonal.keys()).sort((i, j) => diagonal[j]! - diagonal[i]!);
  const vectors = new Float64Array(n * n);
  for (let r = 0; r < n; r++) {
    const row = vectors.subarray(r * n, (r + 1) * n);
    row.set(z.subarray(order[r]! * n, (order[r]! + 1) * n));
    for (let k = n - 3; k >= 0; k--) {
      let dot = 0;
      for (let i = k + 1; i < n; i++) dot += a[k * n + i]! * row[i]!;
      for (let i = k + 1; i < n; i++) row[i] = row[i]! - 2 * dot * a[k * n + i]!;
    }
    const pause = breather.breathe();
    if (pause !== undefined) await pause;
  }
  return { values: Float64Array.from(order, (i) => diagonal[i]!), vectors };
}

const negligible = (e: number, a: number, b: number): boolean => Math.abs(e) <= 1e-16 * (Math.abs(a) + Math.abs(b));

/** Turns x into the unit vector v with (I − 2vvᵀ) x = (α, 0, …, 0) and returns α. */
function householder(x: Float64Array): number {
  let square = 0;
  for (const value of x) square += value * value;
  const norm = Math.sqrt(square);
  if (norm === 0 || norm === Math.abs(x[0]!)) {
    const alpha = x[0]!;
    x.fill(0);
    return alpha;
  }
  const alpha = x[0]! > 0 ? -norm : norm;
  x[0] = x[0]! - alpha;
  const length = Math.sqrt(2 * (square - alpha * (x[0] + alpha)));
  for (let i = 0; i < x.length; i++) x[i] = x[i]! / length;
  return alpha;
}

/** B ← (I − 2vvᵀ) B (I − 2vvᵀ) for the trailing block B of A from row and column `from`, by rows. */
function reflectBoth(a: Float64Array, n: number, from: number, v: Float64Array, q: Float64Array): void {
  const m = n - from;
  let vBv = 0;
  for (let i = 0; i < m; i++) {
    const row = (from + i) * n + from;
    let sum = 0;
    for (let j = 0; j < m; j++) sum += a[row + j]! * v[j]!;
    q[i] = sum;
    vBv += v[i]! * sum;
  }
  for (let i = 0; i < m; i++) q[i] = 2 * (q[i]! - vBv * v[i]!);
  for (let i = 0; i < m; i++) {
    const row = (from + i) * n + from;
    for (let j = 0; j < m; j++) a[row + j] = a[row + j]! - v[i]! * q[j]! - q[i]! * v[j]!;
  }
}

/** One implicit QR step on rows start … end of the tridiagonal matrix; its rotations are applied to the rows of z. */
function rotate(d: Float64Array, e: Float64Array, z: Float64Array, n: number, start: number, end: number): void {
  const half = (d[end - 1]! - d[end]!) / 2;
  const last = e[end - 1]!;
  const shift = d[end]! - (last * last) / (half + (half >= 0 ? 1 : -1) * Math.hypot(half, last));
  let x = d[start]! - shift;
  let bulge = e[start]!;
  for (let k = start; k < end; k++) {
    const r = Math.hypot(x, bulge);
    const c = r === 0 ? 1 : x / r;
    const s = r === 0 ? 0 : bulge / r;
    if (k > start) e[k - 1] = r;
    const [a, b, off] = [d[k]!, d[k + 1]!, e[k]!];
    d[k] = c * c * a + 2 * c * s * off + s * s * b;
    d[k + 1] = s * s * a - 2 * c * s * off + c * c * b;
    e[k] = c * s * (b - a) + (c * c - s * s) * off;
    if (k + 1 < end) {
      x = e[k]!;
      bulge = s * e[k + 1]!;
      e[k + 1] = c * e[k + 1]!;
    }
    const upper = k * n;
    for (let i = 0; i < n; i++) {
      const p = z[upper + i]!;
      const t = z[upper + n + i]!;
      z[upper + i] = c * p + s * t;
      z[upper + n + i] = c * t - s * p;
    }
  }
}
