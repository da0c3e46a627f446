import { show } from '../check.js';
import { ValueError } from '../errors.js';
import type { Module } from '../nn/module.js';
import type { Generator } from '../random.js';
import { CharRNN } from './char_rnn.js';
import { GPT } from './gpt.js';
import { AttentionSeq2Seq, Seq2Seq } from './seq2seq.js';
import { TransformerSeq2Seq } from './transformer.js';

/** Data sets of text and of sequences. */
export const sequenceDatasets = ['shakespeare', 'names', 'text', 'reverse', 'copy', 'translation'] as const;

/** One of {@link sequenceDatasets}. */
export type SequenceDataset = (typeof sequenceDatasets)[number];

/** What a sequence model is made for. */
export interface SequenceSizes {
  /** Tokens of the text, or of sources. */
  readonly vocabulary: number;
  /** Tokens of targets. */
  readonly targetVocabulary: number;
  /** Width of states and embeddings. */
  readonly width: number;
  /** Tokens of a text that are seen at once; the recipe's `context` when left out. */
  readonly context?: number;
  /** Token that fills sources and targets up; null where none does. */
  readonly padding: number | null;
}

/** A sequence model that the command line knows. */
export interface SequenceEntry {
  /** One line for lists of models. */
  readonly description: string;
  /** `language`: the next token of a text; `pairs`: a target for a source. */
  readonly task: 'language' | 'pairs';
  /** Data set it is trained on unless another is named. */
  readonly dataset: SequenceDataset;
  /** Sizes for that data set. */
  readonly sizes: SequenceSizes;
  /** Shapes of its inputs, of int32, for a table of its layers. */
  readonly inputs: readonly (readonly number[])[];
  /** Tokens that it is trained on at once. */
  readonly context: number;
  /** Makes it with fresh weights. */
  create(
    sizes: SequenceSizes,
    options?: { readonly generator?: Generator },
  ): Module & { forward(...inputs: never[]): unknown };
}

/** Characters of tiny Shakespeare. */
const SHAKESPEARE = 65;

const recurrent = (kind: 'rnn' | 'gru' | 'lstm', name: string): SequenceEntry => ({
  description: `character model: ${name} of 256 units`,
  task: 'language',
  dataset: 'shakespeare',
  sizes: { vocabulary: SHAKESPEARE, targetVocabulary: SHAKESPEARE, width: 256, padding: null },
  inputs: [[64, 1]],
  context: 64,
  create: ({ vocabulary, width }, options) => new CharRNN(kind, vocabulary, 64, width, options),
});

/** Ten symbols and the token that begins. */
const synthetic = { vocabulary: 11, targetVocabulary: 11, padding: null } as const;

/** Reversal of ten digits by GRUs of 64 units. */
const reversal = (
  description: string,
  Model: new (...given: ConstructorParameters<typeof Seq2Seq>) => Seq2Seq | AttentionSeq2Seq,
): SequenceEntry => ({
  description,
  task: 'pairs',
  dataset: 'reverse',
  sizes: { ...synthetic, width: 64 },
  inputs: [
    [10, 1],
    [10, 1],
  ],
  context: 10,
  create: ({ vocabulary, targetVocabulary, width }, options) => new Model(vocabulary, targetVocabulary, width, options),
});

const entries = {
  'char-gpt': {
    description: 'character model: decoder of 4 layers and heads, width 128, context 64',
    task: 'language',
    dataset: 'shakespeare',
    sizes: { vocabulary: SHAKESPEARE, targetVocabulary: SHAKESPEARE, width: 128, padding: null },
    inputs: [[1, 64]],
    context: 64,
    create: ({ vocabulary, width, context = 64 }, options) =>
      new GPT({ vocabulary, context, layers: 4, heads: 4, width, bias: false }, options),
  },
  'char-rnn': recurrent('rnn', 'Elman network'),
  'char-gru': recurrent('gru', 'GRU'),
  'char-lstm': recurrent('lstm', 'LSTM'),
  seq2seq: reversal('GRUs from sequence to sequence', Seq2Seq),
  'seq2seq-attention': reversal('GRUs from sequence to sequence with additive attention', AttentionSeq2Seq),
  'seq2seq-transformer': {
    description: 'Transformer from sequence to sequence, 2 + 2 layers, 8 heads',
    task: 'pairs',
    dataset: 'copy',
    sizes: { ...synthetic, width: 128 },
    inputs: [
      [1, 10],
      [1, 10],
    ],
    context: 10,
    create: ({ vocabulary, targetVocabulary, width, padding }, options) =>
      new TransformerSeq2Seq(vocabulary, targetVocabulary, {
        layers: 2,
        dModel: width,
        nhead: 8,
        dimFeedforward: 4 * width,
        paddingIdx: padding,
        ...options,
      }),
  },
} satisfies Record<string, SequenceEntry>;

/** Names that {@link sequenceEntry} takes. */
export type SequenceModelName = keyof typeof entries;

/** The sequence models' names, in the order of lists. */
export const sequenceModelNames = Object.keys(entries) as readonly SequenceModelName[];

/** Whether a name is that of a sequence model. */
export const isSequenceModel = (name: string): name is SequenceModelName => Object.hasOwn(entries, name);

/** What is known of a sequence model; throws {@link ValueError} that lists the names when there is none of this name. */
export function sequenceEntry(name: string): SequenceEntry {
  if (isSequenceModel(name)) return entries[name];
  throw new ValueError(`model: expected one of ${sequenceModelNames.join(', ')}, got ${show(name)}`);
}
