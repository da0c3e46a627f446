import * as gather from '../ops/gather.js';
import { indexSelect } from '../ops/indexing.js';
import * as scan from '../ops/scan.js';
import * as sort from '../ops/sort.js';
import * as subscript from '../ops/subscript.js';
import type { Tensor } from '../tensor.js';
import { ViewMethods } from './views.js';

/** Indexing, order and running results as methods: each is the function of the same name with the tensor as its first argument. */
export abstract class IndexingMethods extends ViewMethods {
  index(this: Tensor, ...subscripts: subscript.Subscript[]): Tensor {
    return subscript.index(this, ...subscripts);
  }
  indexPut(
    this: Tensor,
    subscripts: readonly subscript.Subscript[],
    value: Tensor | number,
    options?: subscript.IndexPutOptions,
  ): Tensor {
    return subscript.indexPut(this, subscripts, value, options);
  }
  gather(this: Tensor, dim: number, index: Tensor): Tensor {
    return gather.gather(this, dim, index);
  }
  takeAlongDim(this: Tensor, index: Tensor, dim?: number): Tensor {
    return gather.takeAlongDim(this, index, dim);
  }
  take(this: Tensor, index: Tensor): Tensor {
    return gather.take(this, index);
  }
  scatter(this: Tensor, dim: number, index: Tensor, src: Tensor | number): Tensor {
    return gather.scatter(this, dim, index, src);
  }
  scatterAdd(this: Tensor, dim: number, index: Tensor, src: Tensor): Tensor {
    return gather.scatterAdd(this, dim, index, src);
  }
  indexSelect(this: Tensor, dim: number, index: Tensor): Tensor {
    return indexSelect(this, dim, index);
  }
  indexAdd(this: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
    return gather.indexAdd(this, dim, index, source);
  }
  indexCopy(this: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
    return gather.indexCopy(this, dim, index, source);
  }
  indexFill(this: Tensor, dim: number, index: Tensor, value: number): Tensor {
    return gather.indexFill(this, dim, index, value);
  }
  nonzero(this: Tensor): Tensor {
    return gather.nonzero(this);
  }
  maskedSelect(this: Tensor, mask: Tensor): Tensor {
    return gather.maskedSelect(this, mask);
  }
  maskedScatter(this: Tensor, mask: Tensor, source: Tensor): Tensor {
    return gather.maskedScatter(this, mask, source);
  }
  maskedFill(this: Tensor, mask: Tensor, value: number | Tensor): Tensor {
    return gather.maskedFill(this, mask, value);
  }
  sort(this: Tensor, options?: sort.SortOptions): scan.ValuesAndIndices {
    return sort.sort(this, options);
  }
  argsort(this: Tensor, options?: sort.SortOptions): Tensor {
    return sort.argsort(this, options);
  }
  topk(this: Tensor, k: number, options?: sort.TopkOptions): scan.ValuesAndIndices {
    return sort.topk(this, k, options);
  }
  kthvalue(this: Tensor, k: number, dim?: number, keepdim?: boolean): scan.ValuesAndIndices {
    return sort.kthvalue(this, k, dim, keepdim);
  }
  unique(this: Tensor): sort.Unique {
    return sort.unique(this);
  }
  bincount(this: Tensor, options?: sort.BincountOptions): Tensor {
    return sort.bincount(this, options);
  }
  cumsum(this: Tensor, dim: number, options?: scan.DTypeOption): Tensor {
    return scan.cumsum(this, dim, options);
  }
  cumprod(this: Tensor, dim: number, options?: scan.DTypeOption): Tensor {
    return scan.cumprod(this, dim, options);
  }
  cummax(this: Tensor, dim: number): scan.ValuesAndIndices {
    return scan.cummax(this, dim);
  }
  cummin(this: Tensor, dim: number): scan.ValuesAndIndices {
    return scan.cummin(this, dim);
  }
}
