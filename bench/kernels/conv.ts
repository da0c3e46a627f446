import { conv2d, grad, noGrad, randn } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

/** Batch, channels in, height and width, channels out, kernel, stride, padding. */
type Shape = readonly [
  n: number,
  ci: number,
  size: number,
  co: number,
  kernel: number,
  stride: number,
  padding: number,
];

/** The peers have the same table: bench/peers/native.cc and bench/peers/torch/kernels.py. */
const shapes: Readonly<Record<string, Shape>> = {
  'c3x3-64-32x32-b32': [32, 64, 32, 64, 3, 1, 1],
  'c3x3-256-8x8-b32': [32, 256, 8, 256, 3, 1, 1],
  'c3x3-512-4x4-b32': [32, 512, 4, 512, 3, 1, 1],
  'c7x7s2-3-64-224-b4': [4, 3, 224, 64, 7, 2, 3],
};

function rows(name: string, [n, ci, size, co, kernel, stride, padding]: Shape): KernelCase[] {
  const side = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const flops = 2 * n * co * side * side * ci * kernel * kernel;
  const [x, w, y] = [n * ci * size * size, co * ci * kernel * kernel, n * co * side * side];
  const options = { stride, padding };
  const image = [n, ci, size, size];
  const filter = [co, ci, kernel, kernel];
  // Nobody asks for the gradient of a picture of three channels.
  const byData = ci > 3;
  const backward = (which: string, factor: number, bytes: number): KernelCase => ({
    name: `conv-${which}-${name}`,
    flops: factor * flops,
    bytes,
    setUp() {
      const input = randn(image, { requiresGrad: which !== 'bwdw' && byData });
      const weight = randn(filter, { requiresGrad: which !== 'bwdd' });
      const output = conv2d(input, weight, null, options);
      const inputs = [input, weight].filter((each) => each.requiresGrad);
      const gradOptions = { gradOutputs: randn(output.shape), retainGraph: true };
      return () => {
        for (const gradient of grad(output, inputs, gradOptions)) gradient.dispose();
      };
    },
  });
  return [
    {
      name: `conv-fwd-${name}`,
      flops,
      bytes: 4 * (x + w + y),
      setUp() {
        const input = randn(image);
        const weight = randn(filter);
        return () => noGrad(() => conv2d(input, weight, null, options)).dispose();
      },
    },
    backward('bwd', byData ? 2 : 1, 4 * (y + (byData ? 2 * x : x) + (byData ? 2 * w : w))),
    ...(byData ? [backward('bwdd', 1, 4 * (y + w + x))] : []),
    backward('bwdw', 1, 4 * (y + x + w)),
  ];
}

/** Convolutions: forward, both gradients, the gradients by data and by weight alone. */
export const convKernels: KernelFamily = {
  rows: Object.entries(shapes).flatMap(([name, shape]) => rows(name, shape)),
};
