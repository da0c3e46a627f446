import { grad, noGrad, randn, scaledDotProductAttention } from 'myelin';
import type { KernelFamily } from './kernel.js';

const shape = [8, 8, 256, 64];
const [batch, heads, steps, width] = shape as [number, number, number, number];
const products = batch * heads * steps * steps * width;
const n = batch * heads * steps * width;

/** Attention with a causal mask; arithmetic is counted as if there were none. */
export const attentionKernels: KernelFamily = {
  rows: [
    {
      name: 'attn-fwd-b8h8t256d64-causal',
      flops: 4 * products,
      bytes: 16 * n,
      setUp() {
        const [q, k, v] = [randn(shape), randn(shape), randn(shape)];
        return () => noGrad(() => scaledDotProductAttention(q, k, v, { causal: true })).dispose();
      },
    },
    {
      name: 'attn-bwd-b8h8t256d64-causal',
      flops: 10 * products,
      bytes: 32 * n,
      setUp() {
        const inputs = [1, 2, 3].map(() => randn(shape, { requiresGrad: true }));
        const [q, k, v] = inputs as [(typeof inputs)[0], (typeof inputs)[0], (typeof inputs)[0]];
        const y = scaledDotProductAttention(q, k, v, { causal: true });
        const options = { gradOutputs: randn(shape), retainGraph: true };
        return () => {
          for (const gradient of grad(y, inputs, options)) gradient.dispose();
        };
      },
    },
  ],
};
