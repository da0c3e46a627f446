import { join } from 'node:path';
import type { PairInput } from '../data/pairs.js';
import { UsageError } from '../errors.js';
import type { StepModel } from '../models/beam.js';
import type { GenerateOptions } from '../models/generate.js';
import { sequenceEntry, type SequenceDataset } from '../models/sequences.js';
import type { Tensor } from '../tensor.js';
import type { OwnTokenizer } from '../text/files.js';
import type { WordTokenizer } from '../text/vocabularies.js';
import type { AnyModel } from '../train/types.js';
import type { Criterion } from './training.js';
import { isSynthetic, sizesFor, type SequenceInput, type Tokenizers } from './sequence_data.js';

/** How a sequence model is called, trained and asked. */
export interface SequenceModel extends Criterion<SequenceInput> {
  readonly model: AnyModel;
  readonly width: number;
  /** Continues a text; null for models of pairs. */
  readonly generate: ((prompt: readonly number[], options: GenerateOptions) => AsyncIterable<number>) | null;
  /** Writes a target for a source; null for models of a text. */
  readonly translate: ((source: string, options?: TranslateOptions) => Promise<Translation>) | null;
}

/** Options of {@link SequenceModel.translate}. */
export interface TranslateOptions {
  /** Beginnings that are followed at once; 1 takes the likeliest token at every step. */
  readonly beams?: number;
  readonly maxTokens?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A target that a model wrote. */
export interface Translation {
  readonly text: string;
  readonly source: readonly number[];
  readonly target: readonly number[];
}

/** File of a run's tokenizers. */
export const TOKENIZERS = 'tokenizer.json';

/** The tokenizers in a run's directory. */
export async function readTokenizers(run: string): Promise<Tokenizers> {
  const { loadTokenizers } = await import('../text/files.js');
  return loadTokenizers(join(run, TOKENIZERS));
}

/** Makes the model of a run for its tokenizers, with fresh weights. */
export async function makeSequenceModel(
  name: string,
  dataset: SequenceDataset,
  tokenizers: Tokenizers,
  context: number,
): Promise<SequenceModel> {
  const [{ GPT }, { CharRNN }, { AttentionSeq2Seq, Seq2Seq }, { TransformerSeq2Seq }, { crossEntropy }, metrics] =
    await Promise.all([
      import('../models/gpt.js'),
      import('../models/char_rnn.js'),
      import('../models/seq2seq.js'),
      import('../models/transformer.js'),
      import('../ops/loss.js'),
      import('../train/metrics.js'),
    ]);
  const entry = sequenceEntry(name);
  const sizes = sizesFor(entry, dataset, tokenizers, context);
  const model = entry.create(sizes);
  const timeFirst = model instanceof CharRNN || model instanceof Seq2Seq || model instanceof AttentionSeq2Seq;
  /** Logits (N, T, vocabulary). */
  const forward = (input: SequenceInput): Tensor => {
    if (model instanceof GPT) return model.forward(input as Tensor);
    if (model instanceof CharRNN) return model.forward((input as Tensor).transpose(0, 1))[0].transpose(0, 1);
    const { source, target, lengths } = input as PairInput;
    if (model instanceof TransformerSeq2Seq) return model.forward(source, target);
    const [from, to] = [source.transpose(0, 1), target.transpose(0, 1)];
    if (model instanceof Seq2Seq) return model.forward(from, to, { lengths }).transpose(0, 1);
    if (model instanceof AttentionSeq2Seq) return model.forward(from, to, { lengths })[0].transpose(0, 1);
    throw new UsageError(`model ${name} cannot be called here`);
  };
  const isPairs = entry.task === 'pairs';
  return {
    model,
    width: sizes.width,
    forward,
    // Time first is how these models' logits lie in memory.
    loss: (output, target) =>
      timeFirst
        ? crossEntropy(output.transpose(0, 1).flatten(0, 1), target.transpose(0, 1).flatten())
        : crossEntropy(output.flatten(0, 1), target.flatten()),
    metrics: {
      ...(isPairs ? { token_accuracy: metrics.tokenAccuracy } : {}),
      ...(isSynthetic(dataset) ? { sequence_accuracy: metrics.sequenceAccuracy } : {}),
    },
    derived: isSynthetic(dataset) ? {} : { perplexity: ({ loss = NaN }) => Math.exp(loss) },
    generate:
      model instanceof GPT || model instanceof CharRNN
        ? (prompt, options) =>
            model instanceof GPT ? model.generate(prompt, { ...options, slide: true }) : model.generate(prompt, options)
        : null,
    translate: isPairs ? translator(model as unknown as StepModel<unknown>, dataset, tokenizers) : null,
  };
}

function translator(
  model: StepModel<unknown>,
  dataset: SequenceDataset,
  { source: from, target: to }: Tokenizers,
): NonNullable<SequenceModel['translate']> {
  return async (text, { beams = 1, maxTokens = 60, signal } = {}) => {
    const [{ beamSearch, greedyDecode }, { tensor }] = await Promise.all([
      import('../models/beam.js'),
      import('../ops/create.js'),
    ]);
    const source = [...from!.encode(text)];
    if (source.length === 0) throw new UsageError('expected a prompt to write a target for, got an empty one');
    const marks = marksOf(to!);
    if (marks.closes) source.push(marks.end);
    const input = tensor(model.batchDim === 0 ? [source] : source.map((token) => [token]), { dtype: 'int32' });
    const options = {
      start: marks.begin,
      stop: marks.end,
      maxTokens: isSynthetic(dataset) ? source.length : maxTokens,
      signal,
    };
    const target =
      beams > 1
        ? (await beamSearch(model, input, { ...options, beams }))[0]!.tokens
        : (await greedyDecode(model, input, options))[0]!;
    return { text: to!.decode(target), source, target };
  };
}

/** The tokens around targets; sequences of one length have no end, and their beginning is never written. */
function marksOf(tokenizer: OwnTokenizer): { begin: number; end: number; closes: boolean } {
  const { begin, end } = tokenizer as Partial<WordTokenizer>;
  return begin === undefined || end === undefined ? { begin: 0, end: 0, closes: false } : { begin, end, closes: true };
}
