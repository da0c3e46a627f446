import { grad, randn, softmax } from 'myelin';
import type { KernelFamily } from './kernel.js';

const shape = [4096, 1024];
const n = 4096 * 1024;

/** Softmax over the last dimension. */
export const softmaxKernels: KernelFamily = {
  rows: [
    {
      name: 'softmax-fwd-4096x1024',
      bytes: 8 * n,
      setUp() {
        const x = randn(shape);
        return () => softmax(x, -1).dispose();
      },
    },
    {
      name: 'softmax-bwd-4096x1024',
      bytes: 12 * n,
      setUp() {
        const x = randn(shape, { requiresGrad: true });
        const y = softmax(x, -1);
        const options = { gradOutputs: randn(shape), retainGraph: true };
        return () => grad(y, x, options)[0].dispose();
      },
    },
  ],
};
