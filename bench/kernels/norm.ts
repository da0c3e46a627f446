import {
  BatchNorm2d,
  grad,
  GroupNorm,
  LayerNorm,
  noGrad,
  randn,
  RMSNorm,
  type Module,
  type Parameter,
  type Tensor,
} from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

interface Norm extends Module {
  readonly weight: Parameter | null;
  readonly bias?: Parameter | null;
  forward(x: Tensor): Tensor;
}

/** Forward without gradient, and backward to x, gain and bias. Batch statistics: x is read twice. */
function norm(
  family: string,
  mark: string,
  shape: readonly number[],
  bytes: readonly number[],
  make: () => Norm,
): KernelCase[] {
  const n = shape.reduce((a, b) => a * b, 1);
  const [forward = 0, backward = 0] = bytes;
  return [
    {
      name: `${family}-fwd${mark}-${shape.join('x')}`,
      bytes: forward * n,
      setUp() {
        const x = randn(shape);
        const module = make();
        return () => noGrad(() => module.forward(x)).dispose();
      },
    },
    {
      name: `${family}-bwd-${shape.join('x')}`,
      bytes: backward * n,
      setUp() {
        const x = randn(shape, { requiresGrad: true });
        const module = make();
        const y = module.forward(x);
        const inputs = [x, module.weight, module.bias ?? null].filter((each) => each !== null);
        const options = { gradOutputs: randn(shape), retainGraph: true };
        return () => {
          for (const gradient of grad(y, inputs, options)) gradient.dispose();
        };
      },
    },
  ];
}

/** Layer and RMS norm over rows, batch norm over channels, group norm over groups of them. */
export const normKernels: KernelFamily = {
  rows: [
    ...norm('layernorm', '', [4096, 512], [8, 12], () => new LayerNorm(512)),
    ...norm('rmsnorm', '', [4096, 512], [8, 12], () => new RMSNorm(512)),
    ...norm('bn', '-train', [32, 64, 32, 32], [12, 20], () => new BatchNorm2d(64)),
    ...norm('groupnorm', '', [32, 64, 32, 32], [12, 20], () => new GroupNorm(8, 64)),
  ],
};
