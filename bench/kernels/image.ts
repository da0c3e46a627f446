import { grad, interpolate, noGrad, pad, randn, type Tensor } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

const shape = [32, 64, 32, 32];

/** An operation on images; or its gradient. */
function image(name: string, which: 'fwd' | 'bwd', outputs: number, op: (x: Tensor) => Tensor): KernelCase {
  return {
    name: `${name}-${which}-${shape.join('x')}`,
    bytes: 4 * 32 * 64 * (32 * 32 + outputs * outputs),
    setUp() {
      const x = randn(shape, { requiresGrad: which === 'bwd' });
      if (which === 'fwd') return () => noGrad(() => op(x)).dispose();
      const y = op(x);
      const options = { gradOutputs: randn(y.shape), retainGraph: true };
      return () => grad(y, x, options)[0].dispose();
    },
  };
}

const reflect = (x: Tensor): Tensor => pad(x, [1, 1, 1, 1], { mode: 'reflect' });
const bilinear = (x: Tensor): Tensor => interpolate(x, { scaleFactor: 2, mode: 'bilinear' });
const nearest = (x: Tensor): Tensor => interpolate(x, { scaleFactor: 2 });

/** Padding by one element a side, images of twice the size. */
export const imageKernels: KernelFamily = {
  rows: [
    image('pad-reflect1', 'fwd', 34, reflect),
    image('pad-reflect1', 'bwd', 34, reflect),
    image('interp-bilinear2', 'fwd', 64, bilinear),
    image('interp-bilinear2', 'bwd', 64, bilinear),
    image('interp-nearest2', 'fwd', 64, nearest),
    image('interp-nearest2', 'bwd', 64, nearest),
  ],
};
