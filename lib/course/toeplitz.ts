import { tensor } from '../ops/create.js';
import { convolutionMatrix, convolve1d, convolve2d } from '../ops/convolve.js';
import { conv1d } from '../ops/conv.js';
import { maxPool1d, avgPool1d } from '../ops/pool.js';
import { randn } from '../ops/random.js';
import { picture, plot, sheet } from './chart.js';
import { numbersOf, spaced } from './common.js';
import type { Finding, Setting } from './experiment.js';

const largest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((v, i) => Math.abs(v - b[i]!)));

/** Convolution against cross-correlation and as a Toeplitz matrix product, zero padding, smoothing kernels, pooling. */
export async function run(setting: Setting): Promise<Finding> {
  const generator = setting.generator();
  const at = spaced(0, 1, 80);
  const noise = await numbersOf(randn([80], { generator }));
  const signal = at.map((v, i) => (v > 0.3 && v < 0.6 ? 1 : 0) + 0.5 * Math.sin(6 * v) + 0.15 * noise[i]!);
  const x = tensor(signal, { dtype: 'float64' });
  const box = tensor(new Array<number>(5).fill(0.2), { dtype: 'float64' });
  const weights = spaced(-2, 2, 9).map((v) => Math.exp((-v * v) / 2));
  const total = weights.reduce((sum, v) => sum + v, 0);
  const bell = tensor(
    weights.map((v) => v / total),
    { dtype: 'float64' },
  );
  const edge = tensor([1, 0, -1], { dtype: 'float64' });
  const [boxed, smooth, turned] = await Promise.all(
    [box, bell, edge].map((k) => numbersOf(convolve1d(x, k, { mode: 'same' }))),
  );
  const correlated = await numbersOf(conv1d(x.reshape([1, 1, 80]), edge.reshape([1, 1, 3]), undefined, { padding: 1 }));

  const short = x.slice(0, 0, 16).contiguous();
  const kernel = tensor([1, 2, -1, 0.5], { dtype: 'float64' });
  const matrix = convolutionMatrix(kernel, [16]);
  const [byMatrix, direct] = await Promise.all([matrix.matmul(short), convolve1d(short, kernel)].map(numbersOf));
  const image = randn([6, 5], { dtype: 'float64', generator });
  const patch = randn([3, 2], { dtype: 'float64', generator });
  const [flat, plane] = await Promise.all(
    [convolutionMatrix(patch, [6, 5]).matmul(image.flatten()), convolve2d(image, patch).flatten()].map(numbersOf),
  );
  const rows = await numbersOf(matrix);
  const [height, width] = matrix.shape as [number, number];
  const pooled = await Promise.all(
    [maxPool1d(x.reshape([1, 1, 80]), 8), avgPool1d(x.reshape([1, 1, 80]), 8)].map(numbersOf),
  );
  const centres = Array.from({ length: 10 }, (_, i) => at[8 * i + 3]!);
  const size = { width: 260, height: 190 };
  const original = { name: 'signal', x: at, y: signal };
  return {
    figures: {
      largest_difference_of_toeplitz_product: {
        one_dimension: largest(byMatrix!, direct!),
        two_dimensions: largest(flat!, plane!),
      },
      // An antisymmetric kernel: correlation is convolution with the other sign.
      largest_difference_of_convolution_to_minus_correlation: largest(
        turned!,
        correlated.map((v) => -v),
      ),
      matrix_shape: [height, width],
    },
    picture: sheet('Convolution', 'true convolution turns its kernel, cross-correlation does not', [
      plot([original, { name: 'mean of 5', x: at, y: boxed! }, { name: 'bell of 9', x: at, y: smooth! }], {
        title: 'Smoothing',
        ...size,
      }),
      plot(
        [
          { name: 'convolved with (1, 0, −1)', x: at, y: turned! },
          { name: 'correlated with it', x: at, y: correlated },
        ],
        { title: 'Edges', ...size },
      ),
      plot(
        [
          original,
          { name: 'max of 8', x: centres, y: pooled[0]!, as: 'both' },
          { name: 'mean of 8', x: centres, y: pooled[1]!, as: 'both' },
        ],
        { title: 'Pooling', ...size },
      ),
      picture({ width, height, at: (i, j) => rows[j * width + i]! }, 'The Toeplitz matrix of (1, 2, −1, ½)', {
        colours: 'signed',
        scale: 10,
      }),
    ]),
  };
}
