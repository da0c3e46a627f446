import { describe, expect, it } from 'vitest';
import { Dataset, ListDataset, randomSplit, TensorDataset } from '../../lib/data/dataset.js';
import { DataLoader } from '../../lib/data/loader.js';
import type { Rows } from '../../lib/data/rows.js';
import { DTypeError, IndexOutOfRangeError, ShapeError, ValueError } from '../../lib/errors.js';
import { scope } from '../../lib/autograd/scope.js';
import { arange, tensor, zeros } from '../../lib/ops/create.js';
import { Generator } from '../../lib/random.js';
import { synchronize } from '../../lib/native/stream.js';
import { memory } from '../../lib/runtime.js';
import type { Tensor } from '../../lib/tensor.js';

const list = (t: Tensor): number[] => [...t.dataSync()];
/** All batches of a data set in order. */
const batches = <B>(dataset: Dataset<B>, batchSize = 100): B[] => [...new DataLoader(dataset, { batchSize })];
const rowsOf = (dataset: Dataset<readonly Tensor[]>): number[] => batches(dataset).flatMap(([t]) => list(t!));

describe('TensorDataset', () => {
  const x = arange(20).reshape([10, 2]).to('uint8');
  const y = arange(10);

  it('gives the rows of all its tensors with their dtypes', () => {
    const data = new TensorDataset(x, y);
    expect(data.length).toBe(10);
    const got = batches(data, 4);
    expect(got.map(([a, b]) => [a.dtype, a.shape, list(a), list(b)])).toEqual([
      ['uint8', [4, 2], [0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3]],
      ['uint8', [4, 2], [8, 9, 10, 11, 12, 13, 14, 15], [4, 5, 6, 7]],
      ['uint8', [2, 2], [16, 17, 18, 19], [8, 9]],
    ]);
  });

  it('gives batches that can be changed and disposed without harm', () => {
    const own = arange(6);
    for (const batchSize of [2, 6]) {
      for (const [batch] of new DataLoader(new TensorDataset(own), { batchSize })) {
        batch.fill_(9);
        batch.dispose();
      }
    }
    for (const [batch] of new DataLoader(new TensorDataset(own), { batchSize: 6, shuffle: true })) batch.dispose();
    expect(list(own)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('keeps tensors that were made in a scope', () => {
    const data = scope(() => {
      const made = new TensorDataset(arange(3).add(1));
      return { made };
    }).made;
    expect(rowsOf(data)).toEqual([1, 2, 3]);
  });

  it('takes any number of rows, none too', () => {
    expect(batches(new TensorDataset(zeros([0, 3])))).toEqual([]);
    expect(rowsOf(new TensorDataset(tensor([5])))).toEqual([5]);
  });

  it('refuses tensors that do not fit together', () => {
    expect(() => new TensorDataset()).toThrow(ValueError);
    expect(() => new TensorDataset(x, 3 as unknown as Tensor)).toThrow(/expected tensors, got 3 at 1/);
    expect(() => new TensorDataset(tensor(1))).toThrow(ShapeError);
    expect(() => new TensorDataset(x, zeros([9]))).toThrow(/expected 10 rows in every tensor, got 9 at 1/);
  });
});

describe('map', () => {
  it('changes batches and frees what it made on the way', async () => {
    const data = new TensorDataset(arange(8).to('uint8'), arange(8));
    const mapped = data.map(([x, y]) => [x.to('float32').div(2).add(1), y, x.shape[0]] as const);
    expect(mapped.length).toBe(8);
    await synchronize();
    const before = memory().handles;
    const got = batches(mapped, 5);
    await synchronize();
    expect(memory().handles - before).toBe(4);
    expect(got.map(([x, y, n]) => [list(x), list(y), n])).toEqual([
      [[1, 1.5, 2, 2.5, 3], [0, 1, 2, 3, 4], 5],
      [[3.5, 4, 4.5], [5, 6, 7], 3],
    ]);
    expect(() => data.map(null as never)).toThrow(ValueError);
  });
});

describe('subset', () => {
  const data = new TensorDataset(arange(10, 20));

  it('takes arrays, typed arrays and tensors, in any order and more than once', () => {
    for (const indices of [[3, 1, 1], Int32Array.of(3, 1, 1), tensor([3, 1, 1], { dtype: 'int32' })]) {
      const part = data.subset(indices);
      expect(part.length).toBe(3);
      expect(rowsOf(part)).toEqual([13, 11, 11]);
    }
    expect(rowsOf(data.subset([]))).toEqual([]);
  });

  it('nests, shuffles and works on lists', () => {
    expect(rowsOf(data.subset([9, 8, 7]).subset([2, 0]))).toEqual([17, 19]);
    const items = new ListDataset(['a', 'b', 'c', 'd']).subset([3, 2, 1]).subset([0, 2]);
    expect(batches(items)).toEqual([['d', 'b']]);
    const shuffled = new DataLoader(data.subset([2, 4, 6, 8]), { batchSize: 3, shuffle: true });
    expect([...shuffled].flatMap(([t]) => list(t)).sort()).toEqual([12, 14, 16, 18]);
    const strings = new DataLoader(new ListDataset('a b c d e f'.split(' ')).subset([1, 2, 3]), {
      batchSize: 2,
      shuffle: true,
    });
    expect([...strings].flat().sort()).toEqual(['b', 'c', 'd']);
  });

  it.each([
    [[10], IndexOutOfRangeError],
    [[-1], IndexOutOfRangeError],
    [[0.5], ValueError],
    [[NaN], ValueError],
    [['0'], ValueError],
    ['01', ValueError],
    [undefined, ValueError],
  ])('refuses the indices %j', (indices, error) => {
    expect(() => data.subset(indices as number[])).toThrow(error);
  });

  it('refuses tensors that are no lists of integers', () => {
    expect(() => data.subset(tensor([0]))).toThrow(DTypeError);
    expect(() => data.subset(tensor([[0]], { dtype: 'int32' }))).toThrow(ShapeError);
    expect(() => data.subset(tensor([10], { dtype: 'int32' }))).toThrow(IndexOutOfRangeError);
  });
});

describe('randomSplit', () => {
  const data = new TensorDataset(arange(10));

  it('splits by numbers and by fractions without overlap', () => {
    for (const [lengths, sizes] of [
      [
        [7, 3],
        [7, 3],
      ],
      [
        [0.75, 0.25],
        [8, 2],
      ],
      [
        [1 / 3, 1 / 3, 1 / 3],
        [4, 3, 3],
      ],
      [
        [10, 0],
        [10, 0],
      ],
      [[1], [10]],
    ] as const) {
      const parts = randomSplit(data, lengths, { generator: new Generator(1) });
      expect(parts.map((p) => p.length)).toEqual(sizes);
      expect(parts.flatMap((p) => rowsOf(p)).sort((a, b) => a - b)).toEqual(list(arange(10)));
    }
  });

  it('follows the generator', () => {
    const split = (seed: number): number[] => rowsOf(randomSplit(data, [5, 5], { generator: new Generator(seed) })[0]!);
    expect(split(1)).toEqual(split(1));
    expect(split(1)).not.toEqual(split(2));
  });

  it.each([[[5, 4]], [[0.5, 0.4]], [[-1, 11]], [[]], [[NaN, 10]], [undefined]])('refuses the lengths %j', (lengths) => {
    expect(() => randomSplit(data, lengths as number[])).toThrow(ValueError);
  });
});

describe('ListDataset and datasets of one’s own', () => {
  it('collates items', () => {
    const squares = { length: 5, get: (i: number) => i * i };
    expect(batches(new ListDataset(squares), 3)).toEqual([
      [0, 1, 4],
      [9, 16],
    ]);
    const stacked = new ListDataset([1, 2, 3], (items) => tensor(items));
    expect(batches(stacked).map(list)).toEqual([[1, 2, 3]]);
    expect(() => new ListDataset(5 as never)).toThrow(ValueError);
    expect(() => new ListDataset([], 5 as never)).toThrow(ValueError);
  });

  it('gives rows as tensors or arrays', () => {
    class Squares extends Dataset<[Tensor, Int32Array]> {
      readonly length = 5;
      getBatch(rows: Rows): [Tensor, Int32Array] {
        return [rows.tensor().to('float32').square(), rows.array()];
      }
    }
    expect(batches(new Squares(), 3).map(([t, a]) => [list(t), [...a]])).toEqual([
      [
        [0, 1, 4],
        [0, 1, 2],
      ],
      [
        [9, 16],
        [3, 4],
      ],
    ]);
    for (const [t, a] of new DataLoader(new Squares(), { batchSize: 2, shuffle: true })) {
      expect(list(t)).toEqual(Array.from(a, (v) => v * v));
    }
  });
});
