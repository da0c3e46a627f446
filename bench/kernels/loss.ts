import { crossEntropy, grad, logSoftmax, noGrad, randint, randn } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

/** Mean cross-entropy of rows of logits, and forward and backward together: logits are read twice and their gradient is written. */
function crossEntropies(rows: number, classes: number): KernelCase[] {
  const n = rows * classes;
  return [
    {
      name: `xent-fwd-${rows}x${classes}`,
      bytes: 4 * n,
      traffic: 'read',
      setUp() {
        const logits = randn([rows, classes]);
        const target = randint(0, classes, [rows]);
        return () => noGrad(() => crossEntropy(logits, target)).dispose();
      },
    },
    {
      name: `xent-both-${rows}x${classes}`,
      bytes: 12 * n,
      setUp() {
        const logits = randn([rows, classes], { requiresGrad: true });
        const target = randint(0, classes, [rows]);
        return () => {
          const loss = crossEntropy(logits, target);
          grad(loss, logits)[0].dispose();
          loss.dispose();
        };
      },
    },
  ];
}

const shape = [4096, 1024];
const n = 4096 * 1024;

/** Cross-entropy with few and many classes, log-softmax over the last dimension. */
export const lossKernels: KernelFamily = {
  rows: [
    ...crossEntropies(8192, 1000),
    ...crossEntropies(256, 50_000),
    {
      name: 'logsoftmax-fwd-4096x1024',
      bytes: 8 * n,
      setUp() {
        const x = randn(shape);
        return () => logSoftmax(x, -1).dispose();
      },
    },
    {
      name: 'logsoftmax-bwd-4096x1024',
      bytes: 12 * n,
      setUp() {
        const x = randn(shape, { requiresGrad: true });
        const y = logSoftmax(x, -1);
        const options = { gradOutputs: randn(shape), retainGraph: true };
        return () => grad(y, x, options)[0].dispose();
      },
    },
  ],
};
