import { matmul, randn } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

type Kind = 'nn' | 'nt' | 'tn';

/** C (m,n) = op(A) op(B): `nt` takes B stored (n,k), as a Linear layer does, `tn` takes A stored (k,m), as its weight gradient does. */
function gemm(kind: Kind, m: number, n: number, k: number): KernelCase {
  return {
    name: `gemm-${kind}-${m}x${n}x${k}`,
    flops: 2 * m * n * k,
    bytes: 4 * (m * k + k * n + m * n),
    setUp() {
      const a = kind === 'tn' ? randn([k, m]).t() : randn([m, k]);
      const b = kind === 'nt' ? randn([n, k]).t() : randn([k, n]);
      return () => matmul(a, b).dispose();
    },
  };
}

const kinds = ['nn', 'nt', 'tn'] as const;
const squares = [64, 128, 256, 512, 1024, 2048, 4096].map((size) => [size, size, size] as const);
const shapes = [
  ...squares,
  [64, 200, 784],
  [1024, 200, 784],
  [512, 2048, 512],
  [512, 512, 2048],
  [1024, 1152, 384],
] as const;

/** Matrix products, and `gemm-nt-512` or `gemm-nt-64x200x784` for any size up to 16384. */
export const matmulKernels: KernelFamily = {
  rows: shapes.flatMap(([m, n, k]) => kinds.map((kind) => gemm(kind, m, n, k))),
  parse(name) {
    const match = /^gemm-(nn|nt|tn)-(\d+)(?:x(\d+)x(\d+))?$/.exec(name);
    if (match === null) return undefined;
    const [, kind, m, n = m, k = m] = match;
    const sizes = [Number(m), Number(n), Number(k)] as const;
    if (Math.min(...sizes) < 1 || Math.max(...sizes) > 16384) return undefined;
    return gemm(kind as Kind, ...sizes);
  },
};
