import { checkNumber, checkOneOf, show } from '../check.js';
import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { DTypeError, ShapeError, ValueError } from '../errors.js';
import { fromTypedArray } from '../ops/create.js';
import { rand, randn, randperm } from '../ops/random.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import { Tensor } from '../tensor.js';

// Every function fills `tensor` in place, without recording, and returns it. Random ones draw from `generator`, by
// default the default generator. Fans: of a weight (out, in, …kernel), fan_in = in · kernel size, fan_out = out ·
// kernel size.

/** Names that {@link calculateGain} knows. */
export type Nonlinearity = 'linear' | 'sigmoid' | 'tanh' | 'relu' | 'leaky_relu' | 'selu';

const nonlinearities: readonly Nonlinearity[] = ['linear', 'sigmoid', 'tanh', 'relu', 'leaky_relu', 'selu'];

/** Options of the Kaiming initialisers. */
export interface KaimingOptions {
  /** Negative slope of the rectifier that follows, for `leaky_relu`; 0. */
  readonly a?: number;
  /** Keeps the variance of the forward pass (`fanIn`, the default) or of the backward pass (`fanOut`). */
  readonly mode?: 'fanIn' | 'fanOut';
  /** What follows the weight; `leaky_relu`. */
  readonly nonlinearity?: Nonlinearity;
  readonly generator?: Generator | undefined;
}

/** Options of the Xavier initialisers and {@link orthogonal_}. */
export interface GainOptions {
  /** Factor on the values; 1. */
  readonly gain?: number;
  readonly generator?: Generator | undefined;
}

/**
 * The factor that keeps the variance through a nonlinearity: 1 for linear and sigmoid, 5/3 tanh, √2 relu, √(2/(1 +
 * param²)) leaky_relu (param is its slope, 0.01), 3/4 selu.
 */
export function calculateGain(nonlinearity: Nonlinearity, param = 0.01): number {
  checkNumber('calculateGain', 'param', param);
  switch (checkOneOf('calculateGain', 'nonlinearity', nonlinearity, nonlinearities)) {
    case 'tanh':
      return 5 / 3;
    case 'relu':
      return Math.SQRT2;
    case 'leaky_relu':
      return Math.sqrt(2 / (1 + param * param));
    case 'selu':
      return 3 / 4;
    default:
      return 1;
  }
}

/** U(low, high); 0 and 1. */
export function uniform_<T extends Tensor>(tensor: T, low = 0, high = 1, generator?: Generator): T {
  checkFloatTensor('uniform_', tensor);
  checkNumber('uniform_', 'low', low);
  checkNumber('uniform_', 'high', high, { min: low });
  return noGrad<T>(() => tensor.uniform_(low, high, generator));
}

/** N(mean, std²); 0 and 1. */
export function normal_<T extends Tensor>(tensor: T, mean = 0, std = 1, generator?: Generator): T {
  checkFloatTensor('normal_', tensor);
  checkNumber('normal_', 'mean', mean);
  checkNumber('normal_', 'std', std, { min: 0 });
  return noGrad<T>(() => tensor.normal_(mean, std, generator));
}

/** One value everywhere. */
export function constant_<T extends Tensor>(tensor: T, value: number): T {
  checkTensor('constant_', tensor);
  checkNumber('constant_', 'value', value, { finite: false });
  return noGrad<T>(() => tensor.fill_(value));
}

/** Ones. */
export function ones_<T extends Tensor>(tensor: T): T {
  return constant_(tensor, 1);
}

/** Zeros. */
export function zeros_<T extends Tensor>(tensor: T): T {
  return constant_(tensor, 0);
}

/** The identity matrix: as many inputs as possible are kept. `tensor` has two dimensions. */
export function eye_<T extends Tensor>(tensor: T): T {
  const [rows, columns] = checkMatrix('eye_', tensor);
  if (tensor.device === 'meta') return tensor;
  const values = new Float64Array(rows * columns);
  for (let i = 0; i < Math.min(rows, columns); i++) values[i * columns + i] = 1;
  return fill(tensor, values);
}

/** U(−b, b) with b = gain √(6 / (fan_in + fan_out)). Glorot & Bengio (2010). */
export function xavierUniform_<T extends Tensor>(tensor: T, { gain = 1, generator }: GainOptions = {}): T {
  const { fanIn, fanOut } = fans('xavierUniform_', tensor);
  const bound = checkNumber('xavierUniform_', 'gain', gain) * Math.sqrt(6 / (fanIn + fanOut));
  return tensor.numel === 0 ? tensor : uniform_(tensor, -Math.abs(bound), Math.abs(bound), generator);
}

/** N(0, s²) with s = gain √(2 / (fan_in + fan_out)). Glorot & Bengio (2010). */
export function xavierNormal_<T extends Tensor>(tensor: T, { gain = 1, generator }: GainOptions = {}): T {
  const { fanIn, fanOut } = fans('xavierNormal_', tensor);
  const std = checkNumber('xavierNormal_', 'gain', gain) * Math.sqrt(2 / (fanIn + fanOut));
  return tensor.numel === 0 ? tensor : normal_(tensor, 0, Math.abs(std), generator);
}

/** U(−b, b) with b = gain √(3 / fan). He et al., "Delving deep into rectifiers" (2015). */
export function kaimingUniform_<T extends Tensor>(tensor: T, options: KaimingOptions = {}): T {
  const bound = Math.sqrt(3) * kaimingStd('kaimingUniform_', tensor, options);
  return tensor.numel === 0 ? tensor : uniform_(tensor, -bound, bound, options.generator);
}

/** N(0, s²) with s = gain / √fan. He et al., "Delving deep into rectifiers" (2015). */
export function kaimingNormal_<T extends Tensor>(tensor: T, options: KaimingOptions = {}): T {
  const std = kaimingStd('kaimingNormal_', tensor, options);
  return tensor.numel === 0 ? tensor : normal_(tensor, 0, std, options.generator);
}

/** Options of {@link truncNormal_}. */
export interface TruncNormalOptions {
  /** Mean and standard deviation before the cut; 0 and 1. */
  readonly mean?: number;
  readonly std?: number;
  /** The interval that values are drawn from; −2 and 2 (not multiples of std). */
  readonly low?: number;
  readonly high?: number;
  readonly generator?: Generator | undefined;
}

/** N(mean, std²) restricted to [low, high], by rejection. */
export function truncNormal_<T extends Tensor>(tensor: T, options: TruncNormalOptions = {}): T {
  checkFloatTensor('truncNormal_', tensor);
  const { mean = 0, std = 1, low = -2, high = 2, generator } = options;
  checkNumber('truncNormal_', 'mean', mean);
  checkNumber('truncNormal_', 'std', std, { min: Number.MIN_VALUE });
  checkNumber('truncNormal_', 'low', low, { finite: false });
  checkNumber('truncNormal_', 'high', high, { min: low, finite: false });
  if (tensor.device === 'meta') return tensor;
  const alpha = (low - mean) / std;
  const beta = (high - mean) / std;
  const values = truncated(tensor.numel, alpha, beta, generator);
  for (let i = 0; i < values.length; i++) values[i] = Math.min(Math.max(mean + std * values[i]!, low), high);
  return fill(tensor, values);
}

/** n values of N(0, 1) in [alpha, beta]. */
function truncated(n: number, alpha: number, beta: number, generator: Generator | undefined): Float64Array {
  const values = new Float64Array(n);
  // The normal itself proposes when it hits a wide interval around 0 often; otherwise a uniform, as Robert (1995) does.
  // Beyond 9 from the point nearest 0 the density has fallen by 1e-17.
  const wide = alpha <= 0 && beta >= 0 && beta - alpha > Math.sqrt(2 * Math.PI);
  const nearest = Math.min(Math.max(0, alpha), beta);
  const from = Math.max(alpha, nearest - 9);
  const to = Math.min(beta, nearest + 9);
  let done = 0;
  while (done < n) {
    const draws = Math.ceil((n - done) * 1.3) + 16;
    const x = sample(() => (wide ? randn : rand)([draws], { dtype: 'float64', generator }));
    const accept = wide ? x : sample(() => rand([draws], { dtype: 'float64', generator }));
    for (let i = 0; i < draws && done < n; i++) {
      if (wide) {
        if (x[i]! >= alpha && x[i]! <= beta) values[done++] = x[i]!;
        continue;
      }
      const y = from + (to - from) * x[i]!;
      if (accept[i]! <= Math.exp((nearest * nearest - y * y) / 2)) values[done++] = y;
    }
  }
  return values;
}

/**
 * A random (semi-)orthogonal matrix times `gain`; dimensions after the first are taken together. Uniform over such
 * matrices. Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks" (2013).
 */
export function orthogonal_<T extends Tensor>(tensor: T, { gain = 1, generator }: GainOptions = {}): T {
  checkFloatTensor('orthogonal_', tensor);
  checkNumber('orthogonal_', 'gain', gain);
  if (tensor.ndim < 2) {
    throw new ShapeError(`orthogonal_: expected 2 dimensions or more, got shape ${formatShape(tensor.shape)}`);
  }
  if (tensor.numel === 0 || tensor.device === 'meta') return tensor;
  const rows = tensor.shape[0]!;
  const columns = tensor.numel / rows;
  const wide = rows < columns;
  const m = Math.max(rows, columns);
  const n = Math.min(rows, columns);
  const draws = sample(() => randn([m * n], { dtype: 'float64', generator }));
  const q = orthonormalColumns(draws, m, n);
  const values = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) values[wide ? j * m + i : i * n + j] = gain * q[j * m + i]!;
  }
  return fill(tensor, values);
}

/**
 * Q of the QR factorisation with positive diagonal of R (by Householder reflections) of the m × n matrix, m ≥ n. Both
 * are stored by columns.
 */
function orthonormalColumns(a: Float64Array, m: number, n: number): Float64Array {
  const tau = new Float64Array(n);
  const sign = new Float64Array(n);
  const column = (j: number): Float64Array => a.subarray(j * m, (j + 1) * m);
  for (let k = 0; k < n; k++) {
    const v = column(k);
    let norm = 0;
    for (let i = k; i < m; i++) norm += v[i]! * v[i]!;
    norm = Math.sqrt(norm);
    const diagonal = v[k]! > 0 ? -norm : norm;
    sign[k] = diagonal < 0 ? -1 : 1;
    // H = I − τ v vᵀ with v[k] = 1 takes the column to (diagonal, 0, …, 0).
    const head = v[k]! - diagonal;
    tau[k] = norm === 0 ? 0 : -head / diagonal;
    for (let i = k + 1; i < m; i++) v[i] = norm === 0 ? 0 : v[i]! / head;
    v[k] = 1;
    for (let j = k + 1; j < n; j++) reflect(v, tau[k]!, column(j), k, m);
  }
  const q = new Float64Array(m * n);
  for (let j = 0; j < n; j++) {
    const out = q.subarray(j * m, (j + 1) * m);
    out[j] = sign[j]!;
    for (let k = n - 1; k >= 0; k--) reflect(column(k), tau[k]!, out, k, m);
  }
  return q;
}

/** x ← x − τ v (vᵀ x) over elements k … m − 1. */
function reflect(v: Float64Array, tau: number, x: Float64Array, k: number, m: number): void {
  let dot = 0;
  for (let i = k; i < m; i++) dot += v[i]! * x[i]!;
  dot *= tau;
  for (let i = k; i < m; i++) x[i] = x[i]! - dot * v[i]!;
}

/** Options of {@link sparse_}. */
export interface SparseOptions {
  /** Standard deviation of the values that are not zero; 0.01. */
  readonly std?: number;
  readonly generator?: Generator | undefined;
}

/**
 * N(0, std²) with ⌈sparsity · rows⌉ zeros in each column of the matrix. Martens, "Deep learning via Hessian-free
 * optimization" (2010).
 */
export function sparse_<T extends Tensor>(
  tensor: T,
  sparsity: number,
  { std = 0.01, generator }: SparseOptions = {},
): T {
  const [rows, columns] = checkMatrix('sparse_', tensor);
  checkNumber('sparse_', 'sparsity', sparsity, { min: 0, max: 1 });
  checkNumber('sparse_', 'std', std, { min: 0 });
  if (tensor.device === 'meta') return tensor;
  const values = sample(() => randn([rows * columns], { dtype: 'float64', generator }));
  const zeros = Math.ceil(sparsity * rows);
  for (let column = 0; column < columns; column++) {
    const order = sample(() => randperm(rows, { generator }).to('float64'));
    for (let i = 0; i < zeros; i++) values[order[i]! * columns + column] = 0;
  }
  for (let i = 0; i < values.length; i++) values[i] = values[i]! * std;
  return fill(tensor, values);
}

function checkTensor(fn: string, tensor: unknown): Tensor {
  if (tensor instanceof Tensor) return tensor;
  throw new ValueError(`${fn}: expected a Tensor, got ${show(tensor)}`);
}

function checkFloatTensor(fn: string, tensor: unknown): Tensor {
  const { dtype } = checkTensor(fn, tensor);
  if (dtype === 'float32' || dtype === 'float64') return tensor as Tensor;
  throw new DTypeError(`${fn}: expected a tensor of dtype float32 or float64, got ${dtype}`);
}

function checkMatrix(fn: string, tensor: unknown): [rows: number, columns: number] {
  const { shape } = checkFloatTensor(fn, tensor);
  if (shape.length === 2) return [shape[0]!, shape[1]!];
  throw new ShapeError(`${fn}: expected 2 dimensions, got shape ${formatShape(shape)}`);
}

function fans(fn: string, tensor: Tensor): { fanIn: number; fanOut: number } {
  const { shape } = checkFloatTensor(fn, tensor);
  if (shape.length < 2) throw new ShapeError(`${fn}: expected 2 dimensions or more, got shape ${formatShape(shape)}`);
  const kernel = shape.slice(2).reduce((size, n) => size * n, 1);
  return { fanIn: shape[1]! * kernel, fanOut: shape[0]! * kernel };
}

function kaimingStd(fn: string, tensor: Tensor, options: KaimingOptions): number {
  const { a = 0, mode = 'fanIn', nonlinearity = 'leaky_relu' } = options;
  checkOneOf(fn, 'mode', mode, ['fanIn', 'fanOut']);
  checkOneOf(fn, 'nonlinearity', nonlinearity, nonlinearities);
  return calculateGain(nonlinearity, checkNumber(fn, 'a', a)) / Math.sqrt(fans(fn, tensor)[mode]);
}

/** The values of a float64 tensor that is freed again. */
const sample = (make: () => Tensor): Float64Array => scope(() => noGrad(make).dataSync()) as Float64Array;

/** Copies row-major values into `tensor`. */
function fill<T extends Tensor>(tensor: T, values: Float64Array): T {
  scope(() => noGrad(() => tensor.copy_(fromTypedArray(values, [...tensor.shape]))));
  return tensor;
}
