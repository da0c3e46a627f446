import { checkInteger, show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { keep, scope } from '../autograd/scope.js';
import { clone } from '../ops/cast.js';
import { indexSelect } from '../ops/indexing.js';
import { randperm } from '../ops/random.js';
import { narrow } from '../ops/views.js';
import type { Generator } from '../random.js';
import { Tensor } from '../tensor.js';
import { Indices, type Rows } from './rows.js';

/**
 * Numbered examples that can be had in batches of the type `B`. Extend it for data of your own:
 *
 * @example
 * class Squares extends Dataset<Tensor> {
 *   readonly length = 1000;
 *   getBatch(rows: Rows) { return rows.tensor().to('float32').square(); }
 * }
 */
export abstract class Dataset<B> {
  /** Number of examples. */
  abstract readonly length: number;

  /** Whether {@link getBatch} asks for row numbers as a tensor or as an array; a hint for loaders. */
  get rowsAs(): 'tensor' | 'array' {
    return 'array';
  }

  /** The batch of these rows. Its tensors belong to the caller, who may change or dispose them. */
  abstract getBatch(rows: Rows): B;

  /**
   * The same examples with each batch passed through `fn` when it is made: conversion, scaling, augmentation. Tensors that
   * `fn` makes and does not return (in arrays, maps or plain objects) are freed. Where batches are promises, `fn` is given what
   * they resolve with.
   *
   * @example train.map(([image, label]) => [image.to('float32').div(255).flatten(1), label])
   */
  map<const C>(fn: (batch: Awaited<B>) => C): Dataset<Batches<B, C>> {
    if (typeof fn !== 'function') throw new ValueError(`map: expected a function of a batch, got ${show(fn)}`);
    return new Mapped<B, C>(this, fn);
  }

  /**
   * The examples with these numbers, in this order.
   *
   * @throws {IndexOutOfRangeError} when a number is not in [0, length); {@link ValueError}, {@link DTypeError},
   * {@link ShapeError} for anything but a list of integers.
   */
  subset(indices: readonly number[] | Int32Array | Tensor): Dataset<B> {
    return new Subset(this, Indices.check('subset', indices, this.length));
  }
}

/** Batches of the type `C` made of those of the type `B`: promises where those are. */
export type Batches<B, C> = B extends Promise<unknown> ? Promise<Awaited<C>> : C;

class Mapped<B, C> extends Dataset<Batches<B, C>> {
  readonly #base: Dataset<B>;
  readonly #fn: (batch: Awaited<B>) => C;

  constructor(base: Dataset<B>, fn: (batch: Awaited<B>) => C) {
    super();
    this.#base = base;
    this.#fn = fn;
  }

  get length(): number {
    return this.#base.length;
  }

  override get rowsAs(): 'tensor' | 'array' {
    return this.#base.rowsAs;
  }

  getBatch(rows: Rows): Batches<B, C> {
    return scope(() => {
      const batch = this.#base.getBatch(rows);
      if (!(batch instanceof Promise)) return this.#fn(batch as Awaited<B>) as Batches<B, C>;
      return batch.then((value) => scope(() => this.#fn(value as Awaited<B>))) as Batches<B, C>;
    });
  }
}

class Subset<B> extends Dataset<B> {
  readonly #base: Dataset<B>;
  readonly #indices: Indices;

  constructor(base: Dataset<B>, indices: Indices) {
    super();
    this.#base = base;
    this.#indices = indices;
  }

  get length(): number {
    return this.#indices.length;
  }

  override get rowsAs(): 'tensor' | 'array' {
    return this.#base.rowsAs;
  }

  getBatch(rows: Rows): B {
    return this.#base.getBatch(rows.within(this.#indices));
  }
}

/**
 * Tensors whose first dimension counts examples. A batch is the tuple of their rows, gathered natively: no row passes
 * through JavaScript. Types stay as they are, so images can be kept as uint8 and converted by {@link Dataset.map}.
 *
 * @example const data = new TensorDataset(images, labels); // batches are [images, labels]
 */
export class TensorDataset<T extends readonly Tensor[]> extends Dataset<T> {
  /** The tensors, as given. */
  readonly tensors: T;
  readonly length: number;

  /**
   * @throws {ShapeError} when a tensor is a scalar or the first dimensions differ; {@link ValueError} when something is not a
   * tensor.
   */
  constructor(...tensors: T) {
    super();
    const sizes = tensors.map((t, i) => {
      if (!(t instanceof Tensor)) throw new ValueError(`TensorDataset: expected tensors, got ${show(t)} at ${i}`);
      if (t.ndim === 0) throw new ShapeError(`TensorDataset: expected at least 1 dimension, got a scalar at ${i}`);
      return t.shape[0]!;
    });
    if (sizes.length === 0) throw new ValueError('TensorDataset: expected at least one tensor, got none');
    const length = sizes[0]!;
    const other = sizes.findIndex((size) => size !== length);
    if (other > 0) {
      throw new ShapeError(`TensorDataset: expected ${length} rows in every tensor, got ${sizes[other]} at ${other}`);
    }
    for (const t of tensors) keep(t);
    this.tensors = tensors;
    this.length = length;
  }

  override get rowsAs(): 'tensor' {
    return 'tensor';
  }

  getBatch(rows: Rows): T {
    const { range } = rows;
    if (range !== null) {
      const [start, end] = range;
      return this.tensors.map((t) => clone(narrow(t, 0, start, end - start))) as unknown as T;
    }
    const index = rows.tensor();
    return this.tensors.map((t) => indexSelect(t, 0, index)) as unknown as T;
  }
}

/** Items by number: an array, or anything with a length that can make its i-th item. */
export type Items<T> = readonly T[] | { readonly length: number; get(index: number): T };

/**
 * Items of any type, one by one; `collate` makes a batch of the items of its rows (by default it is their array).
 *
 * @example
 * const words = new ListDataset(names, (batch) => tensor(batch.map(encode), { dtype: 'int32' }));
 */
export class ListDataset<T, B = T[]> extends Dataset<B> {
  readonly #items: Items<T>;
  readonly #collate: (items: T[]) => B;

  /** @throws {ValueError} when `items` has no length and way to get an item, or `collate` is not a function. */
  constructor(
    items: Items<T>,
    ...[collate]: T[] extends B ? [collate?: (items: T[]) => B] : [collate: (items: T[]) => B]
  ) {
    super();
    const list = items as Partial<{ length: unknown; get: unknown }> | null | undefined;
    if (!Array.isArray(items) && (typeof list?.get !== 'function' || !Number.isSafeInteger(list.length))) {
      throw new ValueError(`ListDataset: expected an array or an object with length and get, got ${show(items)}`);
    }
    if (collate !== undefined && typeof collate !== 'function') {
      throw new ValueError(`ListDataset: expected collate to be a function of the items, got ${show(collate)}`);
    }
    this.#items = items;
    this.#collate = collate ?? ((batch) => batch as unknown as B);
  }

  get length(): number {
    return this.#items.length;
  }

  getBatch(rows: Rows): B {
    const items = this.#items;
    const get = 'get' in items ? (i: number): T => items.get(i) : (i: number): T => items[i]!;
    return this.#collate(Array.from(rows.array(), get));
  }
}

/** Options of {@link randomSplit}. */
export interface RandomSplitOptions {
  /** Where the order comes from; the default generator when left out. */
  readonly generator?: Generator;
}

/**
 * Splits a data set at random into parts that do not overlap. `lengths` are numbers of examples that sum to the length, or
 * fractions that sum to 1 (rounded down; what is left goes to the first parts, one each).
 *
 * @throws {ValueError} when the lengths do not sum to that.
 */
export function randomSplit<B>(
  dataset: Dataset<B>,
  lengths: readonly number[],
  { generator }: RandomSplitOptions = {},
): Dataset<B>[] {
  const fn = 'randomSplit';
  if (!(dataset instanceof Dataset)) throw new ValueError(`${fn}: expected a Dataset, got ${show(dataset)}`);
  if (!Array.isArray(lengths) || lengths.length === 0) {
    throw new ValueError(`${fn}: expected lengths to be an array of at least one number, got ${show(lengths)}`);
  }
  const n = dataset.length;
  const total = (lengths as readonly number[]).reduce((a, b) => a + b, 0);
  let sizes: number[];
  if (Math.abs(total - 1) < 1e-9 && lengths.every((v) => v >= 0 && v <= 1) && n !== 1) {
    sizes = lengths.map((v) => Math.floor(v * n));
    let left = n - sizes.reduce((a, b) => a + b, 0);
    for (let i = 0; left > 0; i = (i + 1) % sizes.length, left--) sizes[i]!++;
  } else {
    sizes = lengths.map((v, i) => checkInteger(fn, `lengths[${i}]`, v, { min: 0 }));
    if (total !== n) throw new ValueError(`${fn}: expected lengths that sum to ${n}, or to 1, got ${show(lengths)}`);
  }
  const order = keep(randperm(n, { generator }));
  let start = 0;
  return sizes.map((size) => {
    const part = narrow(order, 0, start, size);
    start += size;
    return new Subset(dataset, Indices.of(part));
  });
}
