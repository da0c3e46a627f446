import { argmax, cumsum, max, mean, randn, sum, type Tensor } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

/** Reads x, writes next to nothing unless `written` elements say so. */
function reduction(name: string, shape: readonly number[], op: (x: Tensor) => Tensor, written = 0): KernelCase {
  const n = shape.reduce((a, b) => a * b, 1);
  return {
    name: `${name}-${shape.join('x')}`,
    bytes: 4 * (n + written),
    ...(written === 0 ? { traffic: 'read' } : {}),
    setUp() {
      const x = randn(shape);
      return () => op(x).dispose();
    },
  };
}

const square = [4096, 4096];
const stack = [64, 256, 1024];

/** Sums and extremes over everything, the last, the first and a middle dimension; running sums. */
export const reduceKernels: KernelFamily = {
  rows: [
    reduction('red-sum-all', square, (x) => sum(x)),
    reduction('red-sum-last', square, (x) => sum(x, -1)),
    reduction('red-sum-first', square, (x) => sum(x, 0)),
    reduction('red-sum-middle', stack, (x) => sum(x, 1)),
    reduction('red-mean-last', [65536, 128], (x) => mean(x, -1)),
    reduction('red-sum-spatial', [32, 64, 32, 32], (x) => sum(x, [0, 2, 3])),
    reduction('red-max-last', square, (x) => {
      const { values, indices } = max(x, -1);
      indices.dispose();
      return values;
    }),
    reduction('red-argmax-last', square, (x) => argmax(x, -1)),
    reduction('red-argmax-first', square, (x) => argmax(x, 0)),
    reduction('red-cumsum-last', square, (x) => cumsum(x, -1), 4096 * 4096),
    reduction('red-cumsum-first', square, (x) => cumsum(x, 0), 4096 * 4096),
  ],
};
