import { show } from '../check.js';
import { DTypeError, IndexOutOfRangeError, ShapeError, ValueError } from '../errors.js';
import { keep } from '../autograd/scope.js';
import { arange, fromTypedArray } from '../ops/create.js';
import { indexSelect } from '../ops/indexing.js';
import { narrow } from '../ops/views.js';
import { Tensor } from '../tensor.js';

/**
 * A list of row numbers that exists as a tensor, as an array, or as both: each form is made when it is first asked for.
 */
export class Indices {
  readonly length: number;
  #tensor: Tensor | undefined;
  #array: Int32Array | undefined;

  private constructor(length: number, tensor: Tensor | undefined, array: Int32Array | undefined) {
    this.length = length;
    this.#tensor = tensor;
    this.#array = array;
  }

  /** From an int32 tensor of one dimension, which is kept until {@link dispose}; its values are not looked at. */
  static of(tensor: Tensor): Indices {
    return new Indices(tensor.numel, keep(tensor), undefined);
  }

  /** From row numbers that are known to be rows. */
  static from(array: Int32Array): Indices {
    return new Indices(array.length, undefined, array);
  }

  /** From row numbers given by a user, checked to lie in [0, size). */
  static check(fn: string, indices: unknown, size: number): Indices {
    let list: ArrayLike<number>;
    if (indices instanceof Tensor) {
      if (indices.dtype !== 'int32')
        throw new DTypeError(`${fn}: expected indices of dtype int32, got ${indices.dtype}`);
      if (indices.ndim !== 1) throw new ShapeError(`${fn}: expected indices of shape [n], got ${show(indices.shape)}`);
      list = indices.dataSync();
    } else if (Array.isArray(indices) || indices instanceof Int32Array) {
      list = indices as ArrayLike<number>;
    } else {
      throw new ValueError(`${fn}: expected indices to be an array or an int32 tensor, got ${show(indices)}`);
    }
    const array = new Int32Array(list.length);
    for (let i = 0; i < array.length; i++) {
      const index: unknown = list[i];
      if (!Number.isInteger(index)) throw new ValueError(`${fn}: expected indices to be integers, got ${show(index)}`);
      if ((index as number) < 0 || (index as number) >= size) {
        throw new IndexOutOfRangeError(`${fn}: expected indices in [0, ${size - 1}], got ${show(index)}`);
      }
      array[i] = index as number;
    }
    return new Indices(array.length, undefined, array);
  }

  tensor(): Tensor {
    return (this.#tensor ??= keep(fromTypedArray(this.#array!, [this.length])));
  }

  array(): Int32Array {
    return (this.#array ??= this.#tensor!.dataSync() as Int32Array);
  }

  /** Makes the array without blocking the thread. */
  async load(): Promise<void> {
    this.#array ??= (await this.#tensor!.data()) as Int32Array;
  }

  dispose(): void {
    this.#tensor?.dispose();
  }
}

/** The rows of a data set that make one batch, in whichever form the data set needs them. */
export class Rows {
  /** How many rows. */
  readonly length: number;
  /** `[start, end)` when the rows are neighbours in order, else null. */
  readonly range: readonly [start: number, end: number] | null;
  readonly #tensor: () => Tensor;
  readonly #array: () => Int32Array;

  private constructor(
    length: number,
    tensor: () => Tensor,
    array: () => Int32Array,
    range: readonly [number, number] | null,
  ) {
    this.length = length;
    this.range = range;
    this.#tensor = tensor;
    this.#array = array;
  }

  /** Rows start … end − 1. */
  static range(start: number, end: number): Rows {
    const array = (): Int32Array => Int32Array.from({ length: end - start }, (_, i) => start + i);
    return new Rows(end - start, () => arange(start, end), array, [start, end]);
  }

  /** The rows that stand at start … end − 1 in a list. */
  static part(indices: Indices, start: number, end: number): Rows {
    return new Rows(
      end - start,
      () => narrow(indices.tensor(), 0, start, end - start),
      () => indices.array().subarray(start, end),
      null,
    );
  }

  /** The row numbers, int32 of shape [n]. */
  tensor(): Tensor {
    return this.#tensor();
  }

  /** The row numbers. */
  array(): Int32Array {
    return this.#array();
  }

  /** These rows of a list of rows. @internal */
  within(indices: Indices): Rows {
    if (this.range !== null) return Rows.part(indices, ...this.range);
    return new Rows(
      this.length,
      () => indexSelect(indices.tensor(), 0, this.tensor()),
      () => this.array().map((i) => indices.array()[i]!),
      null,
    );
  }
}
