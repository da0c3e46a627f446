import { embedding, grad, noGrad, randint, randn } from 'myelin';
import type { KernelFamily } from './kernel.js';

const [vocabulary, width, count] = [10_000, 512, 2048];

/** Rows looked up in a table; backward writes the table's whole gradient. */
export const embeddingKernels: KernelFamily = {
  rows: [
    {
      name: 'emb-fwd-10000x512-2048',
      bytes: 8 * count * width,
      setUp() {
        const table = randn([vocabulary, width]);
        const ids = randint(0, vocabulary, [count]);
        return () => noGrad(() => embedding(ids, table)).dispose();
      },
    },
    {
      name: 'emb-bwd-10000x512-2048',
      bytes: 4 * vocabulary * width,
      traffic: 'write',
      setUp() {
        const table = randn([vocabulary, width], { requiresGrad: true });
        const y = embedding(randint(0, vocabulary, [count]), table);
        const options = { gradOutputs: randn(y.shape), retainGraph: true };
        return () => grad(y, table, options)[0].dispose();
      },
    },
  ],
};
