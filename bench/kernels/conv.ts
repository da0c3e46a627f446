import { conv1d, conv2d, grad, noGrad, randn } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

/** Batch, channels in, height and width, channels out, kernel, stride, padding, groups. */
type Shape = readonly [
  n: number,
  ci: number,
  size: number,
  co: number,
  kernel: number,
  stride: number,
  padding: number,
  groups?: number,
];

/** The peers have the same table, and read other sizes from names as parse() does: bench/peers/native.cc, bench/peers/torch/kernels.py. */
const shapes: Readonly<Record<string, Shape>> = {
  'c3x3-64-32x32-b32': [32, 64, 32, 64, 3, 1, 1],
  'c3x3-256-8x8-b32': [32, 256, 8, 256, 3, 1, 1],
  'c3x3-512-4x4-b32': [32, 512, 4, 512, 3, 1, 1],
  'c7x7s2-3-64-224-b4': [4, 3, 224, 64, 7, 2, 3],
};

function rows(name: string, shape: Shape, rank: 1 | 2, byData: boolean): KernelCase[] {
  const [n, ci, size, co, kernel, stride, padding, groups = 1] = shape;
  const power = (value: number): number => value ** rank;
  const family = rank === 1 ? 'conv1d' : 'conv';
  const convolve = rank === 1 ? conv1d : conv2d;
  const side = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  const flops = (2 * n * co * power(side) * ci * power(kernel)) / groups;
  const [x, w, y] = [n * ci * power(size), (co * ci * power(kernel)) / groups, n * co * power(side)];
  const options = { stride, padding, groups };
  const image = [n, ci, ...new Array<number>(rank).fill(size)];
  const filter = [co, ci / groups, ...new Array<number>(rank).fill(kernel)];
  const backward = (which: string, factor: number, bytes: number): KernelCase => ({
    name: `${family}-${which}-${name}`,
    flops: factor * flops,
    bytes,
    setUp() {
      const input = randn(image, { requiresGrad: which !== 'bwdw' && byData });
      const weight = randn(filter, { requiresGrad: which !== 'bwdd' });
      const output = convolve(input, weight, null, options);
      const inputs = [input, weight].filter((each) => each.requiresGrad);
      const gradOptions = { gradOutputs: randn(output.shape), retainGraph: true };
      return () => {
        for (const gradient of grad(output, inputs, gradOptions)) gradient.dispose();
      };
    },
  });
  return [
    {
      name: `${family}-fwd-${name}`,
      flops,
      bytes: 4 * (x + w + y),
      setUp() {
        const input = randn(image);
        const weight = randn(filter);
        return () => noGrad(() => convolve(input, weight, null, options)).dispose();
      },
    },
    backward('bwd', byData ? 2 : 1, 4 * (y + (byData ? 2 * x : x) + (byData ? 2 * w : w))),
    ...(byData ? [backward('bwdd', 1, 4 * (y + w + x))] : []),
    backward('bwdw', 1, 4 * (y + x + w)),
  ];
}

const sizes = /^conv(1d)?-[a-z]+-((\d+)x(\d+)x(\d+)-(\d+)k(\d+)(?:s(\d+))?(?:p(\d+))?(?:g(\d+))?)$/;

/** Convolutions: forward, both gradients, the gradients by data and by weight alone. */
export const convKernels: KernelFamily = {
  // Nobody asks for the gradient of a picture of three channels.
  rows: Object.entries(shapes).flatMap(([name, shape]) => rows(name, shape, 2, shape[1] > 3)),
  // conv-fwd-32x64x28-128k3s2p1g4: batch × channels × size, channels out, kernel, stride (1), padding (0), groups (1); conv1d- too.
  parse(name) {
    const [, line, label = '', ...numbers] = sizes.exec(name) ?? [];
    if (label === '') return undefined;
    const [n = 0, ci = 0, size = 0, co = 0, kernel = 0, stride = 1, padding = 0, groups = 1] = numbers.map((each) =>
      (each as string | undefined) === undefined ? undefined : Number(each),
    );
    if (n * co * kernel * stride * groups === 0 || size + 2 * padding < kernel || ci % groups > 0 || co % groups > 0)
      return;
    const shape: Shape = [n, ci, size, co, kernel, stride, padding, groups];
    return rows(label, shape, line === undefined ? 2 : 1, true).find((row) => row.name === name);
  },
};
