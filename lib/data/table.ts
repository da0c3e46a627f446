import { checkString, show } from '../check.js';
import { ValueError } from '../errors.js';
import { fromTypedArray } from '../ops/create.js';
import type { Tensor } from '../tensor.js';
import { TensorDataset } from './dataset.js';

/** One column of a {@link Table}: all numbers, or all text. */
export type Column = Float64Array | readonly string[];

/** Which columns {@link Table.dataset} takes. */
export interface TableDatasetOptions {
  /** Columns of numbers that make an input row; all but the target and columns of text when left out. */
  readonly features?: readonly string[];
  /** The column to be predicted: numbers become float32, text becomes int32 classes. */
  readonly target: string;
  /** Takes whole numbers from 0 as int32 classes as well; default false. */
  readonly classes?: boolean;
}

/** Columns of equal length by name, as a CSV or Parquet file holds them. */
export class Table {
  /** The columns' names, in the order of the file. */
  readonly names: readonly string[];
  /** Rows in every column. */
  readonly length: number;
  readonly #columns: ReadonlyMap<string, Column>;

  /** @throws {ValueError} when columns have different lengths. */
  constructor(columns: ReadonlyMap<string, Column>) {
    this.#columns = new Map(columns);
    this.names = [...columns.keys()];
    this.length = columns.values().next().value?.length ?? 0;
    for (const [name, column] of columns) {
      if (column.length === this.length) continue;
      throw new ValueError(`Table: expected ${this.length} rows in ${show(name)}, got ${column.length}`);
    }
  }

  /** A column; throws {@link ValueError} that lists the names when there is none of this name. */
  column(name: string): Column {
    const column = this.#columns.get(checkString('Table.column', 'name', name));
    if (column !== undefined) return column;
    throw new ValueError(`Table.column: expected one of ${this.names.join(', ')}, got ${show(name)}`);
  }

  /** A column of numbers. */
  numbers(name: string): Float64Array {
    const column = this.column(name);
    if (column instanceof Float64Array) return column;
    throw new ValueError(`Table.numbers: expected ${show(name)} to hold numbers, got text such as ${show(column[0])}`);
  }

  /** The distinct values of a column of text in ascending order: class k of the data set is the k-th. */
  classes(name: string): string[] {
    const column = this.column(name);
    if (column instanceof Float64Array) {
      throw new ValueError(`Table.classes: expected ${show(name)} to hold text, got numbers`);
    }
    return [...new Set(column)].sort();
  }

  /** Rows (N, features) of float32 and targets (N): float32, or int32 classes. */
  dataset({ features, target, classes = false }: TableDatasetOptions): TensorDataset<[x: Tensor, y: Tensor]> {
    const numeric = this.names.filter((name) => name !== target && this.column(name) instanceof Float64Array);
    const inputs = (features ?? numeric).map((name) => this.numbers(name));
    const [n, d] = [this.length, inputs.length];
    const rows = new Float32Array(n * d);
    inputs.forEach((column, j) => {
      for (let i = 0; i < n; i++) rows[i * d + j] = column[i]!;
    });
    return new TensorDataset(fromTypedArray(rows, [n, d]), this.#target(target, classes));
  }

  #target(name: string, asClasses: boolean): Tensor {
    const column = this.column(name);
    const n = column.length;
    if (!(column instanceof Float64Array)) {
      const index = new Map(this.classes(name).map((value, k) => [value, k]));
      return fromTypedArray(
        Int32Array.from(column, (value) => index.get(value)!),
        [n],
      );
    }
    if (!asClasses) return fromTypedArray(Float32Array.from(column), [n]);
    const bad = column.findIndex((v) => !Number.isInteger(v) || v < 0 || v > 2 ** 31 - 1);
    if (bad >= 0) {
      throw new ValueError(
        `Table.dataset: expected classes 0, 1, … in ${show(name)}, got ${column[bad]} at row ${bad}`,
      );
    }
    return fromTypedArray(Int32Array.from(column), [n]);
  }
}

/** What a cell without a value becomes: `error` refuses it, `nan` makes it NaN (in columns of numbers). */
export type MissingValues = 'error' | 'nan';

/** Rows that are read at most unless the caller says otherwise. */
export const DEFAULT_MAX_ROWS = 10_000_000;
