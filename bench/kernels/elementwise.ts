import { add, dropout, exp, gelu, grad, gt, log, mul, randn, sigmoid, silu, tanh, where, type Tensor } from 'myelin';
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

function unary(name: string, n: number, op: (x: Tensor) => Tensor, bytesEach = 8): KernelCase {
  return {
    name,
    bytes: bytesEach * n,
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

/** x and a smaller operand that is repeated over it. */
function broadcast(
  name: string,
  shape: readonly number[],
  small: readonly number[],
  op: (a: Tensor, b: Tensor) => Tensor,
): KernelCase {
  return {
    name,
    bytes: 8 * shape.reduce((a, b) => a * b, 1),
    setUp() {
      const a = randn(shape);
      const b = randn(small);
      return () => op(a, b).dispose();
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
    backward('ew-gelu-erf-bwd-16M', M16, (x) => gelu(x)),
    unary('ew-exp-16M', M16, exp),
    unary('ew-log-16M', M16, (x) => log(x)),
    unary('ew-tanh-16M', M16, tanh),
    unary('ew-sigmoid-16M', M16, sigmoid),
    unary('ew-silu-16M', M16, silu),
    backward('ew-silu-bwd-16M', M16, silu),
    {
      name: 'ew-where-16M',
      bytes: 13 * M16,
      setUp() {
        const [a, b] = [randn([M16]), randn([M16])];
        const condition = gt(a, b);
        return () => where(condition, a, b).dispose();
      },
    },
    unary('ew-dropout-16M', M16, (x) => dropout(x, { p: 0.1 })),
    broadcast('ew-add-row-8192x2048', [8192, 2048], [2048], add),
    broadcast('ew-mul-channel-32x64x64x64', [32, 64, 64, 64], [64, 1, 1], mul),
    binary('ew-add-out-64K', K64, add),
    unary('ew-gelu-tanh-64K', K64, geluTanh),
  ],
};
