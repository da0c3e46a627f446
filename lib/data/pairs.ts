import { show } from '../check.js';
import { FileFormatError, ValueError } from '../errors.js';
import { fromTypedArray } from '../ops/create.js';
import type { Tensor } from '../tensor.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { Dataset } from './dataset.js';
import { IGNORED, padTokens } from './pad.js';
import type { Rows } from './rows.js';
import { checkInteger } from '../check.js';
import { readText } from './text.js';

/** A text and its translation. */
export type SentencePair = readonly [source: string, target: string];

/**
 * Pairs from a text with one pair a line, source and target with a tab between; further columns are left out, and so are empty lines.
 * @throws {FileFormatError} with the line, where one has no tab or an empty side.
 */
export async function readPairs(path: string): Promise<SentencePair[]> {
  const pairs: SentencePair[] = [];
  (await readText(path)).split(/\r?\n/).forEach((line, i) => {
    if (line === '') return;
    const [source = '', target = ''] = line.split('\t').map((side) => side.trim());
    if (source === '' || target === '') {
      throw new FileFormatError(
        `readPairs: expected source and target with a tab between in line ${i + 1} of ${path}, got ${show(line)}`,
        path,
      );
    }
    pairs.push([source, target]);
  });
  if (pairs.length === 0) throw new FileFormatError(`readPairs: expected ${path} to hold pairs, got none`, path);
  return pairs;
}

/** Input of a model from sequence to sequence. */
export interface PairInput {
  /** Tokens of the sources, int32 (N, S), filled up with padding. */
  readonly source: Tensor;
  /** Tokens of the targets so far, int32 (N, T): begin, then all but the end. */
  readonly target: Tensor;
  /** Tokens of each source; null where all have S. */
  readonly lengths: readonly number[] | null;
}

/** Tokens with a beginning and an end, as {@link WordTokenizer} has them. */
export interface MarkedTokenizer extends Tokenizer {
  readonly padding: number;
  readonly begin: number;
  readonly end: number;
}

/** Options of {@link PairDataset}. */
export interface PairDatasetOptions {
  readonly source: MarkedTokenizer;
  readonly target: MarkedTokenizer;
}

/**
 * Pairs of texts for a model from sequence to sequence. Batches are {@link PairInput}, targets (N, T) that end with the end token and are
 * filled up with −100, and the number of target tokens that count. Sources end with the end token, too.
 */
export class PairDataset extends Dataset<[input: PairInput, target: Tensor, count: number]> {
  readonly pairs: readonly SentencePair[];
  readonly length: number;
  /** For `lengths` of a {@link DataLoader}: those of the sources, then of the targets. */
  readonly lengths: readonly number[];
  readonly #options: PairDatasetOptions;
  readonly #sources: readonly Int32Array[];
  readonly #targets: readonly Int32Array[];

  constructor(pairs: readonly SentencePair[], options: PairDatasetOptions) {
    super();
    if (!Array.isArray(pairs) || pairs.length === 0)
      throw new ValueError(`PairDataset: expected at least one pair, got ${show(pairs)}`);
    this.pairs = pairs as readonly SentencePair[];
    this.length = pairs.length;
    this.#options = options;
    const { source, target } = options;
    this.#sources = this.pairs.map(([text]) => Int32Array.of(...source.encode(text), source.end));
    this.#targets = this.pairs.map(([, text]) => Int32Array.of(target.begin, ...target.encode(text), target.end));
    this.lengths = this.#sources.map((row, i) => row.length * 1000 + this.#targets[i]!.length);
  }

  getBatch(rows: Rows): [input: PairInput, target: Tensor, count: number] {
    const numbers = Array.from(rows.array());
    const sources = numbers.map((row) => this.#sources[row]!);
    const targets = numbers.map((row) => this.#targets[row]!);
    const steps = sources.reduce((most, row) => Math.max(most, row.length), 0);
    const input = {
      source: padTokens(sources, this.#options.source.padding),
      target: padTokens(
        targets.map((row) => row.subarray(0, -1)),
        this.#options.target.padding,
      ),
      lengths: sources.every((row) => row.length === steps) ? null : sources.map((row) => row.length),
    };
    const count = targets.reduce((sum, row) => sum + row.length - 1, 0);
    return [
      input,
      padTokens(
        targets.map((row) => row.subarray(1)),
        IGNORED,
      ),
      count,
    ];
  }
}

/** Options of {@link SyntheticPairs}. */
export interface SyntheticPairsOptions {
  /** `reverse`: the target is the source backwards; `copy`: it is the source. */
  readonly task: 'reverse' | 'copy';
  /** Symbols in a sequence; 10. */
  readonly length?: number;
  /** Different symbols, tokens 1 to `symbols`; 10. Token 0 begins a target. */
  readonly symbols?: number;
  /** Sequences of other seeds are others; 0. */
  readonly seed?: number;
  /** Number of sequences; 2³¹ − 1. */
  readonly size?: number;
}

/**
 * Random sequences to be copied or reversed, made when they are asked for: the i-th depends on `seed` and i only. Batches are
 * {@link PairInput} without padding and targets (N, length).
 */
export class SyntheticPairs extends Dataset<[input: PairInput, target: Tensor]> {
  readonly task: 'reverse' | 'copy';
  readonly steps: number;
  readonly symbols: number;
  readonly seed: number;
  readonly length: number;

  constructor({ task, length = 10, symbols = 10, seed = 0, size = 2 ** 31 - 1 }: SyntheticPairsOptions) {
    super();
    const fn = 'SyntheticPairs';
    if (task !== 'reverse' && task !== 'copy')
      throw new ValueError(`${fn}: expected task to be one of reverse, copy, got ${show(task)}`);
    this.task = task;
    this.steps = checkInteger(fn, 'length', length, { min: 1, max: 2 ** 16 });
    this.symbols = checkInteger(fn, 'symbols', symbols, { min: 1, max: 2 ** 30 });
    this.seed = checkInteger(fn, 'seed', seed, { min: 0 });
    this.length = checkInteger(fn, 'size', size, { min: 1, max: 2 ** 31 - 1 });
  }

  /** Tokens of a model for it. */
  get vocabulary(): number {
    return this.symbols + 1;
  }

  getBatch(rows: Rows): [input: PairInput, target: Tensor] {
    const { steps } = this;
    const shape = [rows.length, steps];
    const source = new Int32Array(rows.length * steps);
    const target = new Int32Array(rows.length * steps);
    const begun = new Int32Array(rows.length * steps);
    rows.array().forEach((row, i) => {
      const at = i * steps;
      for (let t = 0; t < steps; t++) source[at + t] = 1 + (this.#hash(row, t) % this.symbols);
      const from = source.subarray(at, at + steps);
      target.set(this.task === 'copy' ? from : from.slice().reverse(), at);
      begun.set(target.subarray(at, at + steps - 1), at + 1);
    });
    const tensors = [source, begun, target].map((values) => fromTypedArray(values, shape));
    return [{ source: tensors[0]!, target: tensors[1]!, lengths: null }, tensors[2]!];
  }

  /** 32 bits that depend on the seed, the row and the step: two rounds of MurmurHash3's mixing (Appleby, 2011). */
  #hash(row: number, step: number): number {
    let h = Math.imul(this.seed ^ 0x9e3779b9, 0x85ebca6b);
    for (const part of [row, step, 0x27d4eb2f]) {
      h = Math.imul(h ^ part, 0xcc9e2d51);
      h ^= h >>> 15;
      h = Math.imul(h, 0xc2b2ae35);
      h ^= h >>> 13;
    }
    return h >>> 0;
  }
}
