import type { DType } from '../dtype.js';
import * as cast from '../ops/cast.js';
import { addmm, baddbmm, bmm, dot, matmul, mm, mv, outer, type AddmmOptions } from '../ops/matmul.js';
import * as linalg from '../ops/linalg.js';
import { bernoulli, multinomial, type FromGenerator, type MultinomialOptions } from '../ops/random.js';
import * as reduce from '../ops/reduce.js';
import type { ValuesAndIndices } from '../ops/scan.js';
import { logSoftmax, softmax } from '../ops/softmax.js';
import { median } from '../ops/sort.js';
import * as statistics from '../ops/statistics.js';
import type { Tensor } from '../tensor.js';
import { IndexingMethods } from './indexing.js';

/**
 * Reductions, products and copies as methods: each is the function of the same name with the tensor as its first
 * argument.
 */
export abstract class StructureMethods extends IndexingMethods {
  sum(this: Tensor, dim?: reduce.Dims, keepdim?: boolean, options?: reduce.ReduceDType): Tensor {
    return reduce.sum(this, dim, keepdim, options);
  }
  mean(this: Tensor, dim?: reduce.Dims, keepdim?: boolean, options?: reduce.ReduceDType): Tensor {
    return reduce.mean(this, dim, keepdim, options);
  }
  prod(this: Tensor, dim?: reduce.Dims, keepdim?: boolean, options?: reduce.ReduceDType): Tensor {
    return reduce.prod(this, dim, keepdim, options);
  }
  amax(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return reduce.amax(this, dim, keepdim);
  }
  amin(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return reduce.amin(this, dim, keepdim);
  }
  max(this: Tensor, other?: Tensor): Tensor;
  max(this: Tensor, dim: number, keepdim?: boolean): ValuesAndIndices;
  max(this: Tensor, dim?: number | Tensor, keepdim?: boolean): Tensor | ValuesAndIndices {
    return reduce.max(this, dim as number, keepdim);
  }
  min(this: Tensor, other?: Tensor): Tensor;
  min(this: Tensor, dim: number, keepdim?: boolean): ValuesAndIndices;
  min(this: Tensor, dim?: number | Tensor, keepdim?: boolean): Tensor | ValuesAndIndices {
    return reduce.min(this, dim as number, keepdim);
  }
  /** The middle of all elements; with a dimension, the middle along it and where it stands. */
  median(this: Tensor): Tensor;
  median(this: Tensor, dim: number, keepdim?: boolean): ValuesAndIndices;
  median(this: Tensor, dim?: number, keepdim?: boolean): Tensor | ValuesAndIndices {
    return dim === undefined ? median(this) : median(this, dim, keepdim);
  }
  var(this: Tensor, dim?: reduce.Dims | null, options?: statistics.VarianceOptions): Tensor {
    return statistics.variance(this, dim, options);
  }
  std(this: Tensor, dim?: reduce.Dims | null, options?: statistics.VarianceOptions): Tensor {
    return statistics.std(this, dim, options);
  }
  logsumexp(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return statistics.logsumexp(this, dim, keepdim);
  }
  norm(this: Tensor, p?: number | 'fro' | 'nuc', dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return statistics.norm(this, p, dim, keepdim);
  }
  nansum(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return statistics.nansum(this, dim, keepdim);
  }
  nanmean(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return statistics.nanmean(this, dim, keepdim);
  }
  svd(this: Tensor): linalg.Svd {
    return linalg.svd(this);
  }
  inverse(this: Tensor): Tensor {
    return linalg.inverse(this);
  }
  det(this: Tensor): Tensor {
    return linalg.det(this);
  }
  trace(this: Tensor): Tensor {
    return linalg.trace(this);
  }
  argmax(this: Tensor, dim?: number, keepdim?: boolean): Tensor {
    return reduce.argmax(this, dim, keepdim);
  }
  argmin(this: Tensor, dim?: number, keepdim?: boolean): Tensor {
    return reduce.argmin(this, dim, keepdim);
  }
  any(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return reduce.any(this, dim, keepdim);
  }
  all(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return reduce.all(this, dim, keepdim);
  }
  countNonzero(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return reduce.countNonzero(this, dim, keepdim);
  }
  matmul(this: Tensor, other: Tensor): Tensor {
    return matmul(this, other);
  }
  mm(this: Tensor, other: Tensor): Tensor {
    return mm(this, other);
  }
  bmm(this: Tensor, other: Tensor): Tensor {
    return bmm(this, other);
  }
  mv(this: Tensor, other: Tensor): Tensor {
    return mv(this, other);
  }
  dot(this: Tensor, other: Tensor): Tensor {
    return dot(this, other);
  }
  outer(this: Tensor, other: Tensor): Tensor {
    return outer(this, other);
  }
  addmm(this: Tensor, a: Tensor, b: Tensor, options?: AddmmOptions): Tensor {
    return addmm(this, a, b, options);
  }
  baddbmm(this: Tensor, a: Tensor, b: Tensor, options?: AddmmOptions): Tensor {
    return baddbmm(this, a, b, options);
  }
  softmax(this: Tensor, dim: number): Tensor {
    return softmax(this, dim);
  }
  logSoftmax(this: Tensor, dim: number): Tensor {
    return logSoftmax(this, dim);
  }
  /** 1 with the probability that each element is, else 0. */
  bernoulli(this: Tensor, options?: FromGenerator): Tensor {
    return bernoulli(this, options);
  }
  multinomial(this: Tensor, count: number, options?: MultinomialOptions): Tensor {
    return multinomial(this, count, options);
  }
  contiguous(this: Tensor): Tensor {
    return cast.contiguous(this);
  }
  clone(this: Tensor): Tensor {
    return cast.clone(this);
  }
  to(this: Tensor, dtype: DType): Tensor {
    return cast.to(this, dtype);
  }
}
