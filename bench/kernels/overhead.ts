import { add, matmul, ones } from 'myelin';
import type { KernelFamily } from './kernel.js';

/** What an operation costs that computes next to nothing. Results are dropped, as in a program, unless the name says `dispose`. */
export const overheadKernels: KernelFamily = {
  rows: [
    {
      name: 'op-add-1',
      setUp() {
        const a = ones([1]);
        const b = ones([1]);
        return () => void add(a, b);
      },
    },
    {
      name: 'op-add-1-dispose',
      setUp() {
        const a = ones([1]);
        const b = ones([1]);
        return () => add(a, b).dispose();
      },
    },
    {
      name: 'op-add-1-record',
      setUp() {
        const a = ones([1], { requiresGrad: true });
        const b = ones([1], { requiresGrad: true });
        return () => void add(a, b);
      },
    },
    {
      name: 'op-add-1-backward',
      setUp() {
        const a = ones([1], { requiresGrad: true });
        const b = ones([1], { requiresGrad: true });
        return () => add(a, b).backward();
      },
    },
    {
      name: 'op-mm-8x8',
      setUp() {
        const a = ones([8, 8]);
        const b = ones([8, 8]);
        return () => void matmul(a, b);
      },
    },
  ],
};
