import { Adam, Parameter, randn, SGD, type Optimizer } from 'myelin';
import type { KernelCase, KernelFamily } from './kernel.js';

const n = 10_000_000;

function update(name: string, bytesEach: number, optimizerOf: (p: Parameter) => Optimizer): KernelCase {
  return {
    name,
    bytes: bytesEach * n,
    traffic: 'memory',
    setUp() {
      const parameter = new Parameter(randn([n]));
      parameter.grad = randn([n]).mul(1e-3);
      const optimizer = optimizerOf(parameter);
      return () => optimizer.step();
    },
  };
}

/** Updates of ten million parameters in one tensor. */
export const optimizerKernels: KernelFamily = {
  rows: [
    update('adam-10M', 28, (p) => new Adam([p], { lr: 1e-4 })),
    update('sgdm-10M', 20, (p) => new SGD([p], { lr: 1e-4, momentum: 0.9 })),
  ],
};
