import { grad, maxPool2d, noGrad, randn } from 'myelin';
import type { KernelFamily } from './kernel.js';

const shape = [32, 64, 32, 32];
const n = 32 * 64 * 32 * 32;

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
  ],
};
