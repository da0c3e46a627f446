import { elementwiseKernels } from './elementwise.js';
import type { KernelFamily } from './kernel.js';
import { matmulKernels } from './matmul.js';
import { optimizerKernels } from './optimizer.js';
import { overheadKernels } from './overhead.js';
import { softmaxKernels } from './softmax.js';

/** Every family of kernels, in the order of tables. */
export const kernelFamilies: readonly KernelFamily[] = [
  matmulKernels,
  softmaxKernels,
  elementwiseKernels,
  optimizerKernels,
  overheadKernels,
];
