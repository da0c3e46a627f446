import { checkBoolean, checkInteger, show } from '../check.js';
import { StateDictError, ValueError } from '../errors.js';
import { randint, randperm } from '../ops/random.js';
import { defaultGenerator, Generator, type GeneratorState } from '../random.js';
import { Dataset } from './dataset.js';
import { Indices, Rows } from './rows.js';

/** How a {@link DataLoader} makes batches. */
export interface DataLoaderOptions {
  /** Examples in a batch; default 1. */
  readonly batchSize?: number;
  /** A new random order each epoch; default false: as they stand in the data set. */
  readonly shuffle?: boolean;
  /**
   * Examples an epoch, drawn with replacement, so that one may come twice and another not at all; needs `shuffle`. Default: each
   * example once.
   */
  readonly draws?: number | undefined;
  /**
   * Sizes of the examples: those of nearly the same size share a batch, so that little is padded. With `shuffle` the batches come in a
   * random order, and neighbours are sought among 64 batches at a time.
   */
  readonly lengths?: ArrayLike<number> | undefined;
  /** Where the order comes from; the default generator when left out. */
  readonly generator?: Generator;
  /** Leaves out a last batch that is smaller than the others; default false. */
  readonly dropLast?: boolean;
  /** Where batches are promises: how many beyond the present one are begun ahead; default 2. */
  readonly prefetch?: number;
}

/** Where a {@link DataLoader} stands; plain JSON. */
export interface LoaderState {
  /** Examples and examples a batch of the loader that this came from. */
  readonly rows: number;
  readonly batchSize: number;
  /** The epoch under way, or null between epochs. */
  readonly epoch: {
    /** The generator before it drew the order; null when not shuffled. */
    readonly generator: GeneratorState | null;
    /** Batches that were given out. */
    readonly position: number;
  } | null;
  /** The generator now; null when not shuffled. */
  readonly generator: GeneratorState | null;
}

/**
 * Gives the batches of a data set, once through for each `for … of` or `for await … of`. The order of an epoch is drawn when
 * its loop starts, from the generator only, so that the same seed gives the same batches. With {@link state} and
 * {@link loadState} a later process goes on with the very next batch.
 *
 * @example
 * for (const [x, y] of new DataLoader(train, { batchSize: 100, shuffle: true })) { … }
 */
export class DataLoader<B> implements Iterable<B> {
  readonly dataset: Dataset<B>;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly draws: number | undefined;
  readonly generator: Generator;
  readonly prefetch: number;
  readonly #lengths: ArrayLike<number> | undefined;
  /** The loop that was started last, until it ends. */
  #epoch: Epoch<B> | null = null;
  /** What {@link loadState} left for the next loop. */
  #resume: LoaderState['epoch'] = null;

  /** @throws {ValueError} when the data set is none or an option is out of its range. */
  constructor(dataset: Dataset<B>, options: DataLoaderOptions = {}) {
    const fn = 'DataLoader';
    if (!(dataset instanceof Dataset)) throw new ValueError(`${fn}: expected a Dataset, got ${show(dataset)}`);
    const { batchSize = 1, shuffle = false, generator = defaultGenerator, dropLast = false, prefetch = 2 } = options;
    if (!(generator instanceof Generator)) {
      throw new ValueError(`${fn}: expected generator to be a Generator, got ${show(generator)}`);
    }
    this.dataset = dataset;
    this.batchSize = checkInteger(fn, 'batchSize', batchSize, { min: 1 });
    this.shuffle = checkBoolean(fn, 'shuffle', shuffle);
    this.dropLast = checkBoolean(fn, 'dropLast', dropLast);
    const { draws, lengths } = options;
    if (draws !== undefined) {
      checkInteger(fn, 'draws', draws, { min: 1, max: 2 ** 31 - 1 });
      if (!shuffle) throw new ValueError(`${fn}: expected shuffle with draws, got none`);
      if (dataset.length === 0) throw new ValueError(`${fn}: expected examples to draw from, got none`);
    }
    if (lengths !== undefined && lengths?.length !== dataset.length) {
      throw new ValueError(`${fn}: expected ${dataset.length} lengths, one an example, got ${show(lengths)}`);
    }
    this.draws = draws;
    this.#lengths = lengths;
    this.generator = generator;
    this.prefetch = checkInteger(fn, 'prefetch', prefetch, { min: 0 });
  }

  /** Batches in an epoch. */
  get length(): number {
    const n = (this.draws ?? this.dataset.length) / this.batchSize;
    return this.dropLast ? Math.floor(n) : Math.ceil(n);
  }

  [Symbol.iterator](): IterableIterator<B> {
    return this.#start();
  }

  /** Like the plain iterator, but waits for random orders and for batches that are promises without blocking the thread. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Awaited<B>, void, undefined> {
    const epoch = this.#start();
    if (this.dataset.rowsAs === 'array') await epoch.order?.load();
    for (const batch of epoch) yield await batch;
  }

  /**
   * Where this stands. Inside the loop the batch that was given last counts as done; after `break` the position stays until
   * the next loop starts.
   */
  state(): LoaderState {
    const epoch = this.#epoch ?? this.#resume;
    return {
      rows: this.dataset.length,
      batchSize: this.batchSize,
      epoch: epoch === null ? null : { generator: epoch.generator, position: epoch.position },
      generator: this.shuffle ? this.generator.getState() : null,
    };
  }

  /**
   * Goes back to where {@link state} was taken: the generator is set, and the next loop, if an epoch was under way, gives
   * that epoch's remaining batches.
   *
   * @throws {StateDictError} when the state is of a loader with other data, batches or order, or no state at all.
   */
  loadState(state: LoaderState): void {
    const problem = this.#problem(state);
    if (problem !== undefined) throw new StateDictError(`DataLoader.loadState: ${problem}`);
    if (state.generator !== null) this.generator.setState(state.generator);
    this.#epoch = null;
    this.#resume = state.epoch === null ? null : { ...state.epoch };
  }

  #problem(state: unknown): string | undefined {
    const { rows, batchSize, epoch, generator } = (state ?? {}) as Partial<LoaderState>;
    if (rows !== this.dataset.length || batchSize !== this.batchSize) {
      const wanted = `${this.dataset.length} rows in batches of ${this.batchSize}`;
      return `expected the state of a loader of ${wanted}, got ${show(rows)} rows in batches of ${show(batchSize)}`;
    }
    const states = epoch === null ? [generator] : [generator, epoch?.generator];
    if (!states.every((s) => (this.shuffle ? isGeneratorState(s) : s === null))) {
      return `expected the state of a loader ${this.shuffle ? 'with' : 'without'} shuffle, got another`;
    }
    const position: unknown = epoch === null ? 0 : epoch?.position;
    if (!Number.isInteger(position) || (position as number) < 0 || (position as number) > this.length) {
      return `expected a position in [0, ${this.length}], got ${show(position)}`;
    }
    return undefined;
  }

  #start(): Epoch<B> {
    const resume = this.#resume;
    this.#resume = null;
    let order: Indices | null = null;
    let drawn: GeneratorState | null = null;
    const { batchSize, draws } = this;
    const n = draws ?? this.dataset.length;
    const lengths = this.#lengths;
    if (lengths !== undefined && !this.shuffle) order = Indices.from(bySize(n, lengths, batchSize, n));
    if (this.shuffle) {
      let source = this.generator;
      if (resume?.generator) {
        // The order once more, without moving the generator, which drew it before the state was taken.
        source = new Generator(0);
        source.setState(resume.generator);
      }
      drawn = source.getState();
      order = Indices.of(
        draws === undefined
          ? randperm(n, { generator: source })
          : randint(0, this.dataset.length, [draws], { generator: source }),
      );
      if (lengths !== undefined) {
        const batches = Math.floor(n / batchSize);
        const drawnOrder = order.array();
        const turns = Indices.of(randperm(batches, { generator: source }));
        const sorted = bySize(drawnOrder, lengths, batchSize, POOL * batchSize, turns.array());
        for (const used of [order, turns]) used.dispose();
        order = Indices.from(sorted);
      }
    }
    const rows = this.dropLast ? this.length * batchSize : n;
    const epoch = new Epoch(this, order, drawn, rows, resume?.position ?? 0, (ended) => {
      if (this.#epoch === ended) this.#epoch = null;
    });
    this.#epoch = epoch;
    return epoch;
  }
}

/** Batches among which neighbours in size are sought. */
const POOL = 64;

/**
 * An order in which examples of nearly the same size stand together: each stretch of `pool` examples sorted by size, then its batches of
 * `batchSize` put in the order `turns`. A last batch that is smaller stays last.
 */
function bySize(
  order: ArrayLike<number> | number,
  lengths: ArrayLike<number>,
  batchSize: number,
  pool: number,
  turns?: ArrayLike<number>,
): Int32Array {
  const sorted = typeof order === 'number' ? Int32Array.from({ length: order }, (_, i) => i) : Int32Array.from(order);
  for (let start = 0; start < sorted.length; start += pool) {
    sorted.subarray(start, start + pool).sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  }
  if (turns === undefined) return sorted;
  const out = sorted.slice();
  for (let i = 0; i < turns.length; i++) {
    const from = turns[i]! * batchSize;
    out.set(sorted.subarray(from, from + batchSize), i * batchSize);
  }
  return out;
}

/** One pass over a data set. */
class Epoch<B> implements IterableIterator<B> {
  /** Batches that were begun and not yet given out. */
  #ahead: B[] = [];

  constructor(
    readonly loader: DataLoader<B>,
    /** Row numbers in the order of this epoch; null when that is their own. */
    readonly order: Indices | null,
    readonly generator: GeneratorState | null,
    /** Rows that are given out in all. */
    readonly rows: number,
    public position: number,
    readonly onEnd: (ended: Epoch<B>) => void,
  ) {}

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<B, undefined> {
    const { loader } = this;
    if (this.position * loader.batchSize >= this.rows) {
      this.onEnd(this);
      this.order?.dispose();
      return { done: true, value: undefined };
    }
    if (this.#ahead.length === 0) this.#begin();
    const value = this.#ahead[0]!;
    if (value instanceof Promise) while (this.#ahead.length <= loader.prefetch && this.#begin());
    this.#ahead.shift();
    this.position++;
    return { done: false, value };
  }

  /** Begins the next batch, if there is one. */
  #begin(): boolean {
    const { dataset, batchSize } = this.loader;
    const start = (this.position + this.#ahead.length) * batchSize;
    if (start >= this.rows) return false;
    const end = Math.min(start + batchSize, this.rows);
    const batch = dataset.getBatch(this.order === null ? Rows.range(start, end) : Rows.part(this.order, start, end));
    // A failure belongs to whoever is given the batch, if anybody is.
    if (batch instanceof Promise) batch.catch(() => undefined);
    this.#ahead.push(batch);
    return true;
  }

  /** Called by `break`: the position stays known to the loader. */
  return(): IteratorResult<B, undefined> {
    this.#ahead = [];
    this.order?.dispose();
    return { done: true, value: undefined };
  }
}

function isGeneratorState(value: unknown): value is GeneratorState {
  const { seed, offset } = (value ?? {}) as Partial<GeneratorState>;
  return Number.isSafeInteger(seed) && Number.isSafeInteger(offset) && seed! >= 0 && offset! >= 0;
}
