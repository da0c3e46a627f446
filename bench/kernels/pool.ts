import { avgPool2d, grad, maxPool2d, noGrad, randn } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

const shape = [32, 64, 32, 32];
const n = 32 * 64 * 32 * 32;

/** Averages of windows of `size`×`size`, `stride` apart, without padding; or the gradient. */
function average(which: 'fwd' | 'bwd', size: number, stride: number): KernelCase {
  const out = Math.floor((32 - size) / stride) + 1;
  return {
    name: `pool-avg${size}s${stride}-${which}-${shape.join('x')}`,
    bytes: 4 * (n + 32 * 64 * out * out),
    setUp() {
      const x = randn(shape, { requiresGrad: which === 'bwd' });
      if (which === 'fwd') return () => noGrad(() => avgPool2d(x, size, { stride })).dispose();
      const y = avgPool2d(x, size, { stride });
      const options = { gradOutputs: randn(y.shape), retainGraph: true };
      return () => grad(y, x, options)[0].dispose();
    },
  };
}

/** Pooling of windows of 2×2: the result is a quarter of x. */
export const poolKernels: KernelFamily = {
  rows: [
    {
      name: 'pool-max2-fwd-32x64x32x32',
      bytes: 5 * n,
      setUp() {
        const x = randn(shape);
        return () => noGrad(() => maxPool2d(x, 2)).dispose();
      },
    },
    {
      name: 'pool-max2-bwd-32x64x32x32',
      bytes: 5 * n,
      setUp() {
        const x = randn(shape, { requiresGrad: true });
        const y = maxPool2d(x, 2);
        const options = { gradOutputs: randn(y.shape), retainGraph: true };
        return () => grad(y, x, options)[0].dispose();
      },
    },
    average('fwd', 2, 2),
    average('bwd', 2, 2),
    average('bwd', 3, 1),
  ],
};
