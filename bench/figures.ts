/** What is known of a workload beforehand, without loading the library. */
export interface Figures {
  /** Loss of the first and of the tenth step in every correct implementation, to 1e-4 and 1e-3. */
  readonly loss: readonly [first: number, last: number];
  /** Multiplications and additions of the matrix products of a step. */
  readonly flops: number;
}

/** Forward, weight gradient and, but for the first layer, input gradient: 2·rows·in·out each. */
function mlpFlops(rows: number, ...sizes: readonly number[]): number {
  let total = 0;
  for (let i = 1; i < sizes.length; i++) total += (i === 1 ? 4 : 6) * rows * (sizes[i - 1] ?? 0) * (sizes[i] ?? 0);
  return total;
}

/** The workloads in the order of tables. */
export const figures: Readonly<Record<string, Figures>> = {
  'mlp-mnist': { loss: [2.353784, 1.848507], flops: mlpFlops(64, 784, 200, 200, 10) },
  'mlp-mnist-b1024': { loss: [2.33748, 2.275773], flops: mlpFlops(1024, 784, 200, 200, 10) },
  'mlp-mnist1d': { loss: [2.326962, 2.196228], flops: mlpFlops(100, 40, 100, 100, 10) },
  'shallow-1d': { loss: [0.3571641, 0.3250542], flops: mlpFlops(32, 1, 3, 1) },
  autoencoder: { loss: [0.08902889, 0.08262563], flops: mlpFlops(128, 784, 256, 32, 256, 784) },
};

/** A kernel by its name: `gemm-nt-512` or `gemm-nt-64x200x784`; undefined if it is none. */
export function parseGemm(name: string): { kind: 'nn' | 'nt' | 'tn'; m: number; n: number; k: number } | undefined {
  const match = /^gemm-(nn|nt|tn)-(\d+)(?:x(\d+)x(\d+))?$/.exec(name);
  if (match === null) return undefined;
  const [, kind, m, n = m, k = m] = match;
  const size = { m: Number(m), n: Number(n), k: Number(k) };
  if (size.m * size.n * size.k === 0 || Math.max(size.m, size.n, size.k) > 16384) return undefined;
  return { kind: kind as 'nn' | 'nt' | 'tn', ...size };
}

/** What `--only gemm` stands for. */
export const gemmNames: readonly string[] = ['nn', 'nt', 'tn'].flatMap((kind) =>
  [64, 128, 256, 512, 1024, 2048].map((size) => `gemm-${kind}-${size}x${size}x${size}`),
);
