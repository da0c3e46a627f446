import { attentionKernels } from './attention.js';
import { convKernels } from './conv.js';
import { copyKernels } from './copy.js';
import { elementwiseKernels } from './elementwise.js';
import { embeddingKernels } from './embedding.js';
import { imageKernels } from './image.js';
import type { KernelFamily } from './kernel.js';
import { lossKernels } from './loss.js';
import { matmulKernels } from './matmul.js';
import { normKernels } from './norm.js';
import { optimizerKernels } from './optimizer.js';
import { overheadKernels } from './overhead.js';
import { poolKernels } from './pool.js';
import { recurrentKernels } from './recurrent.js';
import { reduceKernels } from './reduce.js';
import { softmaxKernels } from './softmax.js';

/** Every family of kernels, in the order of tables. */
export const kernelFamilies: readonly KernelFamily[] = [
  matmulKernels,
  convKernels,
  softmaxKernels,
  lossKernels,
  normKernels,
  poolKernels,
  imageKernels,
  embeddingKernels,
  attentionKernels,
  recurrentKernels,
  elementwiseKernels,
  reduceKernels,
  copyKernels,
  optimizerKernels,
  overheadKernels,
];
