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

  it('draws examples with replacement, and goes on with the same ones', () => {
    const options = { batchSize: 4, shuffle: true, draws: 42 };
    const loader = loaderOf({ ...options, generator: new Generator(5) });
    expect(loader.length).toBe(11);
    const epochs = [all(loader), all(loader)].map((batches) => batches.flat());
    for (const epoch of epochs) {
      expect(epoch).toHaveLength(42);
      expect(new Set(epoch).size).toBeGreaterThan(7);
      expect(epoch.every((i) => i >= 0 && i < 10)).toBe(true);
    }
    expect(epochs[0]).not.toEqual(epochs[1]);

    const again = loaderOf({ ...options, generator: new Generator(5) });
    const seen: (readonly number[])[] = [];
    for (const batch of again) if (seen.push(batch) === 3) break;
    const later = loaderOf({ ...options, generator: new Generator(9) });
    later.loadState(reloaded(again.state()));
    expect([...seen, ...all(later)].flat()).toEqual(epochs[0]);
    expect(all(later).flat()).toEqual(epochs[1]);
  });

  it('puts examples of one size together', () => {
    const n = 1000;
    const lengths = Array.from({ length: n }, (_, i) => 1 + ((i * 37) % 20));
    const numbers = new ListDataset(Array.from({ length: n }, (_, i) => i));
    const spread = (batches: number[][]): number =>
      batches
        .map((batch) => batch.map((i) => lengths[i]!))
        .reduce((sum, sizes) => sum + Math.max(...sizes) - Math.min(...sizes), 0) / batches.length;
    const loader = new DataLoader(numbers, { batchSize: 10, shuffle: true, lengths, generator: new Generator(1) });
    const [first, second] = [[...loader], [...loader]];
    expect(spread(first)).toBeLessThan(1);
    expect(spread([...new DataLoader(numbers, { batchSize: 10, shuffle: true })])).toBeGreaterThan(10);
    expect(first.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
    expect(first).not.toEqual(second);
    // Batches come in a random order, not from short to long.
    const sizes = first.map(([i]) => lengths[i!]!);
    expect(sizes).not.toEqual(sizes.toSorted((a, b) => a - b));
    const ordered = [...new DataLoader(numbers, { batchSize: 10, lengths })].map(([i]) => lengths[i!]!);
    expect(ordered).toEqual(ordered.toSorted((a, b) => a - b));

    const again = new DataLoader(numbers, { batchSize: 10, shuffle: true, lengths, generator: new Generator(1) });
    const seen: number[][] = [];
    for (const batch of again) if (seen.push(batch) === 7) break;
    const later = new DataLoader(numbers, { batchSize: 10, shuffle: true, lengths, generator: new Generator(2) });
    later.loadState(reloaded(again.state()));
    expect([...seen, ...later]).toEqual(first);
    expect([...later]).toEqual(second);
  });

  it('refuses draws without shuffle or data, and other numbers of lengths', () => {
    expect(() => loaderOf({ draws: 3 })).toThrow(/expected shuffle with draws/);
    expect(() => loaderOf({ draws: 0, shuffle: true })).toThrow(ValueError);
    expect(() => new DataLoader(new ListDataset([]), { draws: 3, shuffle: true })).toThrow(/expected examples to draw/);
    expect(() => loaderOf({ lengths: [1, 2] })).toThrow(/expected 10 lengths, one an example, got \[1, 2\]/);
  });

  it('refuses what is no data set', () => {
    expect(() => new DataLoader([1, 2] as unknown as Dataset<unknown>)).toThrow(/expected a Dataset, got \[1, 2\]/);
  });

  it('uses the default generator for the order', () => {
    expect(loaderOf({ shuffle: true }).generator).toBe(defaultGenerator);
  });

  it('leaves no memory behind', async () => {
    const loader = new DataLoader(data, { batchSize: 3, shuffle: true });
    // What other tests left must be gone, or its collection would be counted.
    globalThis.gc?.();
    await new Promise(setImmediate);
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
