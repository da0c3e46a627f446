import { describe, expect, it } from 'vitest';
import { type Dataset, ListDataset, TensorDataset } from '../../lib/data/dataset.js';
import { DataLoader, type DataLoaderOptions, type LoaderState } from '../../lib/data/loader.js';
import { StateDictError, ValueError } from '../../lib/errors.js';
import { arange } from '../../lib/ops/create.js';
import { randperm } from '../../lib/ops/random.js';
import { defaultGenerator, Generator, manualSeed } from '../../lib/random.js';
import { synchronize } from '../../lib/native/stream.js';
import { memory } from '../../lib/runtime.js';

const data = new TensorDataset(arange(10));
const loaderOf = (options: DataLoaderOptions): DataLoader<readonly number[]> =>
  new DataLoader(
    data.map(([t]) => [...t.dataSync()]),
    options,
  );
const all = (loader: DataLoader<readonly number[]>): (readonly number[])[] => [...loader];
/** The state as a later process sees it. */
const reloaded = (state: LoaderState): LoaderState => JSON.parse(JSON.stringify(state)) as LoaderState;

describe('DataLoader', () => {
  it('gives batches in order, the last one smaller or not at all', () => {
    expect(all(loaderOf({ batchSize: 4 }))).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    expect(all(loaderOf({ batchSize: 4, dropLast: true }))).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ]);
    expect(all(loaderOf({}))).toHaveLength(10);
    expect(all(loaderOf({ batchSize: 100 }))).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]);
    expect(all(loaderOf({ batchSize: 100, dropLast: true }))).toEqual([]);
    expect([loaderOf({ batchSize: 4 }).length, loaderOf({ batchSize: 4, dropLast: true }).length]).toEqual([3, 2]);
  });

  it('shuffles with the order that the generator gives, a new one each epoch', () => {
    const loader = loaderOf({ batchSize: 3, shuffle: true, generator: new Generator(7) });
    const reference = new Generator(7);
    for (let epoch = 0; epoch < 3; epoch++) {
      expect(all(loader).flat()).toEqual([...randperm(10, { generator: reference }).dataSync()]);
    }
    expect(all(loaderOf({ batchSize: 3, shuffle: true, dropLast: true }))).toHaveLength(3);
    manualSeed(3);
    const first = all(loaderOf({ batchSize: 10, shuffle: true }));
    manualSeed(3);
    expect(all(loaderOf({ batchSize: 10, shuffle: true }))).toEqual(first);
  });

  it('works with for await, also over batches that are promises', async () => {
    const seen: number[] = [];
    for await (const batch of loaderOf({ batchSize: 4 })) seen.push(...batch);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const slow = new ListDataset([1, 2, 3], (items) => Promise.resolve(items.length));
    const counts: number[] = [];
    for await (const n of new DataLoader(slow, { batchSize: 2, shuffle: true })) counts.push(n);
    expect(counts).toEqual([2, 1]);
    const failing = new ListDataset([1], () => Promise.reject(new RangeError('bad item')));
    await expect(
      (async () => {
        for await (const _ of new DataLoader(failing)) expect.fail('no batch');
      })(),
    ).rejects.toThrow('bad item');
  });

  it.each([
    ['in order', {}],
    ['shuffled', { shuffle: true }],
    ['shuffled without the rest', { shuffle: true, dropLast: true }],
  ])('goes on at the very next batch, %s', (_, options) => {
    for (let stop = 0; stop <= 6; stop++) {
      const generator = new Generator(11);
      const first = loaderOf({ batchSize: 3, generator, ...options });
      const expected: (readonly number[])[] = [];
      let saved = reloaded(first.state());
      let taken = 0;
      for (let epoch = 0; epoch < 3; epoch++) {
        for (const batch of first) {
          if (taken >= stop) expected.push(batch);
          taken++;
          // Something else draws from the same generator between batches, as dropout does.
          generator.take(1);
          if (taken === stop) saved = reloaded(first.state());
        }
      }
      const other = new Generator(99);
      const second = loaderOf({ batchSize: 3, generator: other, ...options });
      second.loadState(saved);
      expect(second.state()).toEqual(saved);
      const got: (readonly number[])[] = [];
      while (got.length < expected.length) {
        for (const batch of second) {
          got.push(batch);
          other.take(1);
        }
      }
      expect(got).toEqual(expected);
      if (first.shuffle) expect(other.getState()).toEqual(generator.getState());
    }
  });

  it('keeps its position after break until the next loop, which starts anew', () => {
    const loader = loaderOf({ batchSize: 4, shuffle: true, generator: new Generator(5) });
    let rest: (readonly number[])[] = [];
    for (const _ of loader) break;
    const saved = reloaded(loader.state());
    expect(saved.epoch?.position).toBe(1);
    expect(all(loader)).toHaveLength(3);
    expect(loader.state().epoch).toBeNull();
    loader.loadState(saved);
    rest = all(loader);
    expect(rest).toHaveLength(2);
    expect(all(loader)).toHaveLength(3);
    const whole = loaderOf({ batchSize: 4, shuffle: true, generator: new Generator(5) });
    expect(all(whole).slice(1)).toEqual(rest);
  });

  it('at the end of an epoch gives no batch, then a new epoch', () => {
    const loader = loaderOf({ batchSize: 5 });
    let saved: LoaderState | undefined;
    for (const _ of loader) saved = loader.state();
    expect(saved?.epoch?.position).toBe(2);
    loader.loadState(saved!);
    expect(all(loader)).toEqual([]);
    expect(all(loader)).toHaveLength(2);
  });

  it('refuses states of other loaders', () => {
    const loader = loaderOf({ batchSize: 5, shuffle: true });
    const state = loader.state();
    const bad: unknown[] = [
      undefined,
      null,
      {},
      { ...state, rows: 11 },
      { ...state, batchSize: 4 },
      { ...state, generator: null },
      { ...state, generator: { seed: 1 } },
      { ...state, epoch: { generator: null, position: 0 } },
      { ...state, epoch: { generator: state.generator, position: 3 } },
      { ...state, epoch: { generator: state.generator, position: -1 } },
      { ...state, epoch: undefined },
    ];
    for (const wrong of bad) expect(() => loader.loadState(wrong as LoaderState)).toThrow(StateDictError);
    expect(() => loaderOf({ batchSize: 5 }).loadState(state)).toThrow(/without shuffle/);
    expect(loader.state()).toEqual(state);
  });

  it.each([
    [{ batchSize: 0 }],
    [{ batchSize: 1.5 }],
    [{ batchSize: NaN }],
    [{ shuffle: 1 }],
    [{ dropLast: 'yes' }],
    [{ generator: {} }],
  ])('refuses the options %j', (options) => {
    expect(() => new DataLoader(data, options as DataLoaderOptions)).toThrow(ValueError);
  });

  it('refuses what is no data set', () => {
    expect(() => new DataLoader([1, 2] as unknown as Dataset<unknown>)).toThrow(/expected a Dataset, got \[1, 2\]/);
  });

  it('uses the default generator for the order', () => {
    expect(loaderOf({ shuffle: true }).generator).toBe(defaultGenerator);
  });

  it('leaves no memory behind', async () => {
    const loader = new DataLoader(data, { batchSize: 3, shuffle: true });
    await synchronize();
    const before = memory().handles;
    for (let epoch = 0; epoch < 5; epoch++) for (const [t] of loader) t.dispose();
    for (const [t] of loader) {
      t.dispose();
      break;
    }
    await synchronize();
    expect(memory().handles).toBe(before);
  });
});
