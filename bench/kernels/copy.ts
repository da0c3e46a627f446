import { contiguous, ones, rand, randn, to, type Tensor } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

/** Reads x and writes as many elements of `each` bytes in another order or type. */
function copy(name: string, shape: readonly number[], op: (x: Tensor) => Tensor, each = 4): KernelCase {
  const n = shape.reduce((a, b) => a * b, 1);
  return {
    name: `${name}-${shape.join('x')}`,
    bytes: (4 + each) * n,
    setUp() {
      const x = randn(shape);
      return () => op(x).dispose();
    },
  };
}

const M16 = 16 * 1024 * 1024;

/** Copies that change the order of dimensions or the type, fills, and random numbers. */
export const copyKernels: KernelFamily = {
  rows: [
    copy('copy-transpose', [4096, 4096], (x) => contiguous(x.t())),
    copy('copy-to-nhwc', [32, 64, 56, 56], (x) => contiguous(x.permute([0, 2, 3, 1]))),
    copy('copy-to-nchw', [32, 56, 56, 64], (x) => contiguous(x.permute([0, 3, 1, 2]))),
    copy('copy-to-nhwc', [32, 3, 224, 224], (x) => contiguous(x.permute([0, 2, 3, 1]))),
    copy('copy-to-nchw', [32, 224, 224, 3], (x) => contiguous(x.permute([0, 3, 1, 2]))),
    copy('copy-heads', [32, 256, 8, 64], (x) => contiguous(x.transpose(1, 2))),
    copy('copy-to-float64', [M16], (x) => to(x, 'float64'), 8),
    copy('copy-to-int32', [M16], (x) => to(x, 'int32')),
    { name: 'fill-16M', bytes: 4 * M16, traffic: 'write', setUp: () => () => ones([M16]).dispose() },
    { name: 'rand-16M', bytes: 4 * M16, traffic: 'write', setUp: () => () => rand([M16]).dispose() },
    { name: 'randn-16M', bytes: 4 * M16, traffic: 'write', setUp: () => () => randn([M16]).dispose() },
  ],
};
