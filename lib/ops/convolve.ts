import { checkInteger, checkOneOf, show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { formatShape, numelOf, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType } from './apply.js';
import { convTranspose2d } from './conv.js';
import { eye } from './create.js';
import { slice, t, viewAs } from './views.js';

/**
 * Which part of a convolution of n and k elements is wanted: all n + k − 1 where they overlap (`full`), the middle n (`same`),
 * or the n − k + 1 where the kernel lies wholly inside (`valid`).
 */
export type ConvolveMode = 'full' | 'same' | 'valid';

/** Options of {@link convolve1d}, {@link convolve2d} and {@link convolutionMatrix}. */
export interface ConvolveOptions {
  /** `'full'` by default. */
  readonly mode?: ConvolveMode;
}

const modes: readonly ConvolveMode[] = ['full', 'same', 'valid'];

/** images (N, H, W) convolved with one kernel (KH, KW). */
function convolveImages(fn: string, images: Tensor, kernel: Tensor, options: ConvolveOptions): Tensor {
  const mode = checkOneOf(fn, 'mode', options.mode ?? 'full', modes);
  const [n, h, w] = images.shape as [number, number, number];
  const [kh, kw] = kernel.shape as [number, number];
  if (mode === 'valid' && (h < kh || w < kw)) {
    throw new ShapeError(
      `${fn}: expected a kernel inside an input of ${formatShape([h, w])} in mode 'valid', got ${formatShape([kh, kw])}`,
    );
  }
  // The transpose of correlation adds x[i]·kernel[k] to y[i + k]: that is convolution.
  const full = convTranspose2d(viewAs(images, [n, 1, h, w]), viewAs(kernel, [1, 1, kh, kw]));
  const from = (k: number): number => (mode === 'full' ? 0 : mode === 'same' ? Math.floor((k - 1) / 2) : k - 1);
  const length = (size: number, k: number): number =>
    mode === 'full' ? size + k - 1 : mode === 'same' ? size : size - k + 1;
  const rows = slice(full, 2, from(kh), from(kh) + length(h, kh));
  return viewAs(slice(rows, 3, from(kw), from(kw) + length(w, kw)), [n, length(h, kh), length(w, kw)]);
}

function check(fn: string, name: string, x: Tensor, rank: number): void {
  checkFloat(fn, name, x);
  if (x.ndim !== rank || x.shape.includes(0)) {
    throw new ShapeError(`${fn}: expected ${name} of ${rank} dimensions, none 0, got shape ${formatShape(x.shape)}`);
  }
}

/**
 * Convolution in the mathematical sense, y[i] = Σ_k kernel[k] · x[i − k]: the kernel is turned round, unlike in {@link conv1d}.
 * x (L) and kernel (K); gives L + K − 1 values, or the part that `mode` says.
 */
export function convolve1d(x: Tensor, kernel: Tensor, options: ConvolveOptions = {}): Tensor {
  const fn = 'convolve1d';
  check(fn, 'input', x, 1);
  check(fn, 'kernel', kernel, 1);
  checkSameDType(fn, 'input', x, 'kernel', kernel);
  const y = convolveImages(fn, viewAs(x, [1, 1, x.numel]), viewAs(kernel, [1, kernel.numel]), options);
  return viewAs(y, [y.numel]);
}

/**
 * Convolution in the mathematical sense, y[i,j] = Σ kernel[k,l] · x[i − k, j − l]: the kernel is turned by 180°, unlike in
 * {@link conv2d}. x (H, W) and kernel (KH, KW); gives (H + KH − 1, W + KW − 1), or the part that `mode` says.
 */
export function convolve2d(x: Tensor, kernel: Tensor, options: ConvolveOptions = {}): Tensor {
  const fn = 'convolve2d';
  check(fn, 'input', x, 2);
  check(fn, 'kernel', kernel, 2);
  checkSameDType(fn, 'input', x, 'kernel', kernel);
  const y = convolveImages(fn, viewAs(x, [1, ...x.shape]), kernel, options);
  return viewAs(y, y.shape.slice(1));
}

/**
 * The matrix of convolution with `kernel`: T with T · x = convolve1d(x, kernel) for kernel (K) and `shape` [L], a Toeplitz matrix
 * T[i,j] = kernel[i − j]; for kernel (KH, KW) and `shape` [H, W] the doubly block Toeplitz matrix that does the same to
 * images flattened by rows. Rows are cut by `mode` as there.
 */
export function convolutionMatrix(kernel: Tensor, shape: Shape, options: ConvolveOptions = {}): Tensor {
  const fn = 'convolutionMatrix';
  checkFloat(fn, 'kernel', kernel);
  if (kernel.ndim !== 1 && kernel.ndim !== 2) {
    throw new ShapeError(`${fn}: expected kernel of 1 or 2 dimensions, got shape ${formatShape(kernel.shape)}`);
  }
  check(fn, 'kernel', kernel, kernel.ndim);
  if (!Array.isArray(shape) || shape.length !== kernel.ndim) {
    throw new ValueError(`${fn}: expected shape to be ${kernel.ndim} sizes, got ${show(shape)}`);
  }
  for (const size of shape as Shape) checkInteger(fn, 'shape', size, { min: 1 });
  const n = numelOf(shape);
  const flat = kernel.ndim === 1;
  const k = flat ? viewAs(kernel, [1, kernel.numel]) : kernel;
  // Column j is what becomes of the j-th unit image.
  const units = viewAs(eye(n, n, { dtype: kernel.dtype }), [n, ...(flat ? [1] : []), ...(shape as Shape)]);
  const columns = convolveImages(fn, units, k, options);
  return t(viewAs(columns, [n, columns.numel / n]));
}
