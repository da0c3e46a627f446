import type { DType } from '../dtype.js';
import * as cast from '../ops/cast.js';
import { addmm, baddbmm, bmm, dot, matmul, mm, mv, outer, type AddmmOptions } from '../ops/matmul.js';
import * as reduce from '../ops/reduce.js';
import { logSoftmax, softmax } from '../ops/softmax.js';
import type { Tensor } from '../tensor.js';
import { IndexingMethods } from './indexing.js';

/**
 * Reductions, products and copies as methods: each is the function of the same name with the tensor as its first
 * argument.
 */
export abstract class StructureMethods extends IndexingMethods {
  sum(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return reduce.sum(this, dim, keepdim);
  }
  mean(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return reduce.mean(this, dim, keepdim);
  }
  prod(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return reduce.prod(this, dim, keepdim);
  }
  amax(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return reduce.amax(this, dim, keepdim);
  }
  amin(this: Tensor, dim?: reduce.Dims, keepdim?: boolean): Tensor {
    return reduce.amin(this, dim, keepdim);
  }
  /** The largest of all elements. */
  max(this: Tensor): Tensor {
    return reduce.amax(this);
  }
  /** The smallest of all elements. */
  min(this: Tensor): Tensor {
    return reduce.amin(this);
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
