import type { DataLoaderOptions } from '../data/loader.js';
import type { Dataset } from '../data/dataset.js';
import type { PairInput, SentencePair } from '../data/pairs.js';
import { FileFormatError, UsageError } from '../errors.js';
import type { SequenceDataset, SequenceEntry, SequenceSizes } from '../models/sequences.js';
import type { Tensor } from '../tensor.js';
import type { OwnTokenizer } from '../text/files.js';
import type { CharTokenizer, WordTokenizer } from '../text/vocabularies.js';
import { formatBytes, type Io } from './common.js';

/** Input of a sequence model: tokens (N, T) of a text, or sources and targets. */
export type SequenceInput = Tensor | PairInput;

/** Batches of a sequence model. */
export type SequenceBatches = Dataset<readonly [input: SequenceInput, target: Tensor, weight?: number]>;

/** One split, with what its loader needs to know. */
export interface SequenceSplit {
  readonly data: SequenceBatches;
  readonly lengths?: DataLoaderOptions['lengths'];
}

/** Tokenizers of a run by name: `text`, or `source` and `target`. */
export type Tokenizers = Readonly<Record<string, OwnTokenizer>>;

/** A data set of sequences, opened. */
export interface SequenceData {
  readonly tokenizers: Tokenizers;
  readonly splits: Readonly<Record<'train' | 'test', SequenceSplit>>;
  /** Some held-out pairs to be shown; none for texts. */
  readonly shown: readonly SentencePair[];
}

/** What {@link openSequences} needs to know. */
export interface SequenceDataOptions {
  readonly dataDir: string | null;
  readonly context: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  /** Those of the run; made for the training data when left out. */
  readonly tokenizers?: Tokenizers;
}

/** Held-out sequences of synthetic tasks, and pairs that are shown. */
const HELD_OUT = 1000;
const SHOWN = 12;
/** Words that come less often are unknown. */
const MIN_COUNT = 2;

/** Whether texts of a data set are lines by themselves. */
export const isLines = (dataset: SequenceDataset): boolean => dataset === 'names';

/** Whether a data set is of random sequences, which all have one length and no end. */
export const isSynthetic = (dataset: SequenceDataset): dataset is 'reverse' | 'copy' =>
  dataset === 'reverse' || dataset === 'copy';

/** Opens a data set of text or pairs; downloads are announced on `io.err`. */
export async function openSequences(
  dataset: SequenceDataset,
  options: SequenceDataOptions,
  io: Io,
): Promise<SequenceData> {
  if (isSynthetic(dataset)) return synthetic(dataset, options);
  const corpora = await import('../data/corpora.js');
  const { dataDir, signal } = options;
  let announced = '';
  const source = {
    ...(dataDir === null ? {} : { dataDir }),
    ...(signal === undefined ? {} : { signal }),
    onProgress: (file: string, _done: number, total: number | undefined): void => {
      if (announced === file) return;
      announced = file;
      io.err.write(`downloading ${file}${total === undefined ? '' : ` (${formatBytes(total)})`}\n`);
    },
  };
  const load = <T>(fn: (options: typeof source & { split: 'train' | 'test' }) => Promise<T>): Promise<[T, T]> =>
    Promise.all([fn({ ...source, split: 'train' }), fn({ ...source, split: 'test' })]);
  switch (dataset) {
    case 'translation':
      return translation(...(await load(corpora.sentencePairs)), options);
    case 'names':
      return lines(...(await load(corpora.names)), options);
    case 'shakespeare':
      return text(await corpora.tinyShakespeare(source), options);
    case 'text': {
      if (dataDir === null) throw new UsageError('--dataset text needs the file: --data-dir FILE.txt');
      return text(await (await import('../data/text.js')).readText(dataDir), options);
    }
  }
}

async function text(whole: string, { context, tokenizers }: SequenceDataOptions): Promise<SequenceData> {
  const [{ splitText }, { TextDataset }] = await Promise.all([import('../data/corpora.js'), import('../data/text.js')]);
  const tokenizer = (tokenizers?.['text'] ?? (await charactersOf(whole))) as CharTokenizer;
  const tokens = (split: 'train' | 'test'): Int32Array => tokenizer.encode(splitText(whole, split));
  return {
    tokenizers: { text: tokenizer },
    splits: {
      train: { data: new TextDataset(tokens('train'), { context }) },
      test: { data: new TextDataset(tokens('test'), { context, stride: context }) },
    },
    shown: [],
  };
}

async function lines(train: string[], test: string[], { tokenizers }: SequenceDataOptions): Promise<SequenceData> {
  const { LineDataset } = await import('../data/text.js');
  const tokenizer = tokenizers?.['text'] ?? (await charactersOf(`\n${[...train, ...test].join('')}`));
  const split = (list: string[]): SequenceSplit => {
    const data = new LineDataset(list, { tokenizer });
    return { data, lengths: data.lengths };
  };
  return { tokenizers: { text: tokenizer }, splits: { train: split(train), test: split(test) }, shown: [] };
}

const charactersOf = async (whole: string): Promise<CharTokenizer> =>
  (await import('../text/vocabularies.js')).CharTokenizer.from(whole);

async function translation(
  train: SentencePair[],
  test: SentencePair[],
  { tokenizers }: SequenceDataOptions,
): Promise<SequenceData> {
  const [{ WordTokenizer: Words }, { PairDataset }] = await Promise.all([
    import('../text/vocabularies.js'),
    import('../data/pairs.js'),
  ]);
  const side = (name: 'source' | 'target'): WordTokenizer => {
    const given = tokenizers?.[name];
    if (given instanceof Words) return given;
    const texts = train.map((pair) => pair[name === 'source' ? 0 : 1]);
    // Capitals mean little in English and much in German.
    return Words.from(texts, { minCount: MIN_COUNT, lowercase: name === 'source' });
  };
  const both = { source: side('source'), target: side('target') };
  const split = (pairs: SentencePair[]): SequenceSplit => {
    const data = new PairDataset(pairs, both);
    return { data, lengths: data.lengths };
  };
  const every = Math.max(1, Math.floor(test.length / SHOWN));
  const shown = test.filter((_, i) => i % every === Math.floor(every / 2)).slice(0, SHOWN);
  return { tokenizers: both, splits: { train: split(train), test: split(test) }, shown };
}

async function synthetic(task: 'reverse' | 'copy', { context, seed }: SequenceDataOptions): Promise<SequenceData> {
  const [{ SyntheticPairs }, { CharTokenizer: Characters }] = await Promise.all([
    import('../data/pairs.js'),
    import('../text/vocabularies.js'),
  ]);
  const symbols = new Characters('0123456789', { special: ['<s>'] });
  const train = new SyntheticPairs({ task, length: context, seed: 2 * seed });
  const test = new SyntheticPairs({ task, length: context, seed: 2 * seed + 1, size: HELD_OUT });
  const { Rows } = await import('../data/rows.js');
  const [{ source }, target] = test.getBatch(Rows.range(0, SHOWN / 2));
  const [sources, targets] = await Promise.all([source.data(), target.data()]);
  const part = (all: ArrayLike<number>, i: number): string =>
    symbols.decode(Array.from({ length: context }, (_, t) => all[i * context + t]!));
  return {
    tokenizers: { source: symbols, target: symbols },
    splits: { train: { data: train }, test: { data: test } },
    shown: Array.from({ length: SHOWN / 2 }, (_, i) => [part(sources, i), part(targets, i)] as const),
  };
}

/** Units of models for translation, which need more than the synthetic tasks. */
const TRANSLATION_WIDTH = 256;

/** Sizes of a model for tokenizers. */
export function sizesFor(
  entry: SequenceEntry,
  dataset: SequenceDataset,
  tokenizers: Tokenizers,
  context: number,
): SequenceSizes {
  const { text: only, source = only, target = source } = tokenizers;
  if (source === undefined || target === undefined)
    throw new FileFormatError(
      'myelin: expected the tokenizers of the run to have the names text, or source and target',
    );
  const width = dataset === 'translation' ? TRANSLATION_WIDTH : entry.sizes.width;
  const padding = dataset === 'translation' ? 0 : null;
  return { vocabulary: source.size, targetVocabulary: target.size, width, padding, context };
}

/** Throws {@link UsageError} unless a model can be trained on a data set. */
export function checkSequences(model: string, { task }: SequenceEntry, dataset: SequenceDataset): void {
  const isText = dataset === 'shakespeare' || dataset === 'names' || dataset === 'text';
  if (isText === (task === 'language')) return;
  const [takes, has] = task === 'language' ? ['one text', 'pairs'] : ['pairs', 'one text'];
  throw new UsageError(`model ${model} takes ${takes} and ${dataset} has ${has}`);
}
