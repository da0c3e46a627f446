import type { DType } from '../dtype.js';
import * as cast from '../ops/cast.js';
import { indexSelect } from '../ops/indexing.js';
import { matmul } from '../ops/matmul.js';
import * as reduce from '../ops/reduce.js';
import { logSoftmax, softmax } from '../ops/softmax.js';
import * as views from '../ops/views.js';
import type { Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { ElementwiseMethods } from './elementwise.js';

/**
 * Reductions, products, indexing and views as methods: each is the function of the same name with the tensor as its first
 * argument.
 */
export abstract class StructureMethods extends ElementwiseMethods {
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
  softmax(this: Tensor, dim: number): Tensor {
    return softmax(this, dim);
  }
  logSoftmax(this: Tensor, dim: number): Tensor {
    return logSoftmax(this, dim);
  }
  indexSelect(this: Tensor, dim: number, index: Tensor): Tensor {
    return indexSelect(this, dim, index);
  }
  reshape(this: Tensor, shape: Shape): Tensor {
    return views.reshape(this, shape);
  }
  view(this: Tensor, shape: Shape): Tensor {
    return views.view(this, shape);
  }
  flatten(this: Tensor, start?: number, end?: number): Tensor {
    return views.flatten(this, start, end);
  }
  transpose(this: Tensor, dim0: number, dim1: number): Tensor {
    return views.transpose(this, dim0, dim1);
  }
  permute(this: Tensor, dims: readonly number[]): Tensor {
    return views.permute(this, dims);
  }
  t(this: Tensor): Tensor {
    return views.t(this);
  }
  squeeze(this: Tensor, dim?: number | readonly number[]): Tensor {
    return views.squeeze(this, dim);
  }
  unsqueeze(this: Tensor, dim: number): Tensor {
    return views.unsqueeze(this, dim);
  }
  expand(this: Tensor, shape: Shape): Tensor {
    return views.expand(this, shape);
  }
  slice(this: Tensor, dim: number, start?: number, end?: number, step?: number): Tensor {
    return views.slice(this, dim, start, end, step);
  }
  narrow(this: Tensor, dim: number, start: number, length: number): Tensor {
    return views.narrow(this, dim, start, length);
  }
  select(this: Tensor, dim: number, index: number): Tensor {
    return views.select(this, dim, index);
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
