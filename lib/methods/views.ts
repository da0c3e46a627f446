import * as arrange from '../ops/arrange.js';
import * as views from '../ops/views.js';
import type { Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { ElementwiseMethods } from './elementwise.js';

type Dims = number | readonly number[];

/** Shapes, views and rearranged copies as methods: each is the function of the same name with the tensor as its first argument. */
export abstract class ViewMethods extends ElementwiseMethods {
  reshape(this: Tensor, shape: Shape): Tensor {
    return views.reshape(this, shape);
  }
  /** {@link reshape} to the shape of another tensor. */
  reshapeAs(this: Tensor, other: Tensor): Tensor {
    return views.reshape(this, other.shape);
  }
  view(this: Tensor, shape: Shape): Tensor {
    return views.view(this, shape);
  }
  /** {@link view} with the shape of another tensor. */
  viewAs(this: Tensor, other: Tensor): Tensor {
    return views.view(this, other.shape);
  }
  flatten(this: Tensor, start?: number, end?: number): Tensor {
    return views.flatten(this, start, end);
  }
  /** All elements in row-major order as one dimension. */
  ravel(this: Tensor): Tensor {
    return views.flatten(this);
  }
  unflatten(this: Tensor, dim: number, sizes: Shape): Tensor {
    return views.unflatten(this, dim, sizes);
  }
  transpose(this: Tensor, dim0: number, dim1: number): Tensor {
    return views.transpose(this, dim0, dim1);
  }
  swapaxes(this: Tensor, dim0: number, dim1: number): Tensor {
    return views.swapaxes(this, dim0, dim1);
  }
  permute(this: Tensor, dims: readonly number[]): Tensor {
    return views.permute(this, dims);
  }
  movedim(this: Tensor, source: Dims, destination: Dims): Tensor {
    return views.movedim(this, source, destination);
  }
  t(this: Tensor): Tensor {
    return views.t(this);
  }
  squeeze(this: Tensor, dim?: Dims): Tensor {
    return views.squeeze(this, dim);
  }
  unsqueeze(this: Tensor, dim: number): Tensor {
    return views.unsqueeze(this, dim);
  }
  expand(this: Tensor, shape: Shape): Tensor {
    return views.expand(this, shape);
  }
  /** {@link expand} to the shape of another tensor. */
  expandAs(this: Tensor, other: Tensor): Tensor {
    return views.expand(this, other.shape);
  }
  broadcastTo(this: Tensor, shape: Shape): Tensor {
    return views.broadcastTo(this, shape);
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
  split(this: Tensor, sizes: Dims, dim?: number): Tensor[] {
    return views.split(this, sizes, dim);
  }
  chunk(this: Tensor, chunks: number, dim?: number): Tensor[] {
    return views.chunk(this, chunks, dim);
  }
  tensorSplit(this: Tensor, sections: Dims, dim?: number): Tensor[] {
    return views.tensorSplit(this, sections, dim);
  }
  unbind(this: Tensor, dim?: number): Tensor[] {
    return views.unbind(this, dim);
  }
  diagonal(this: Tensor, offset?: number, dim1?: number, dim2?: number): Tensor {
    return views.diagonal(this, offset, dim1, dim2);
  }
  diagEmbed(this: Tensor, offset?: number, dim1?: number, dim2?: number): Tensor {
    return views.diagEmbed(this, offset, dim1, dim2);
  }
  diag(this: Tensor, offset?: number): Tensor {
    return views.diag(this, offset);
  }
  /** The function `unfoldDim`. */
  unfold(this: Tensor, dim: number, size: number, step: number): Tensor {
    return views.unfoldDim(this, dim, size, step);
  }
  flip(this: Tensor, dims: Dims): Tensor {
    return arrange.flip(this, dims);
  }
  fliplr(this: Tensor): Tensor {
    return arrange.fliplr(this);
  }
  flipud(this: Tensor): Tensor {
    return arrange.flipud(this);
  }
  rot90(this: Tensor, k?: number, dims?: readonly [number, number]): Tensor {
    return arrange.rot90(this, k, dims);
  }
  roll(this: Tensor, shifts: Dims, dims?: Dims): Tensor {
    return arrange.roll(this, shifts, dims);
  }
  repeat(this: Tensor, repeats: Shape): Tensor {
    return arrange.repeat(this, repeats);
  }
  tile(this: Tensor, repeats: Shape): Tensor {
    return arrange.tile(this, repeats);
  }
  repeatInterleave(this: Tensor, repeats: Dims, dim?: number): Tensor {
    return arrange.repeatInterleave(this, repeats, dim);
  }
  tril(this: Tensor, diagonal?: number): Tensor {
    return arrange.tril(this, diagonal);
  }
  triu(this: Tensor, diagonal?: number): Tensor {
    return arrange.triu(this, diagonal);
  }
}
