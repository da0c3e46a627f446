import { add, gelu, grad, mul, randn, type Tensor } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

const M16 = 16 * 1024 * 1024;
const K64 = 64 * 1024;

function binary(name: string, n: number, op: (a: Tensor, b: Tensor) => Tensor): KernelCase {
  return {
    name,
    bytes: 12 * n,
    setUp() {
      const a = randn([n]);
      const b = randn([n]);
      return () => op(a, b).dispose();
    },
  };
}

function unary(name: string, n: number, op: (x: Tensor) => Tensor): KernelCase {
  return {
    name,
    bytes: 8 * n,
    setUp() {
      const x = randn([n]);
      return () => op(x).dispose();
    },
  };
}

/** The gradient of `op` at a fixed x: reads x and the gradient, writes one. */
function backward(name: string, n: number, op: (x: Tensor) => Tensor): KernelCase {
  return {
    name,
    bytes: 12 * n,
    setUp() {
      const x = randn([n], { requiresGrad: true });
      const y = op(x);
      const options = { gradOutputs: randn([n]), retainGraph: true };
      return () => grad(y, x, options)[0].dispose();
    },
  };
}

const geluTanh = (x: Tensor): Tensor => gelu(x, { approximate: 'tanh' });

/** Elementwise operations; `-out`: the peer writes into a preallocated result, ours into the block that the last call gave back. */
export const elementwiseKernels: KernelFamily = {
  rows: [
    binary('ew-add-16M', M16, add),
    binary('ew-add-out-16M', M16, add),
    binary('ew-mul-out-16M', M16, mul),
    unary('ew-gelu-tanh-16M', M16, geluTanh),
    unary('ew-gelu-erf-16M', M16, (x) => gelu(x)),
    backward('ew-gelu-tanh-bwd-16M', M16, geluTanh),
    binary('ew-add-out-64K', K64, add),
    unary('ew-gelu-tanh-64K', K64, geluTanh),
  ],
};
