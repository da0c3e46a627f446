import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import type { SentencePair } from '../data/pairs.js';
import type { SequenceDataset } from '../models/sequences.js';
import { AttentionSeq2Seq } from '../models/seq2seq.js';
import { TransformerSeq2Seq } from '../models/transformer.js';
import { tensor } from '../ops/create.js';
import { Generator } from '../random.js';
import type { Tensor } from '../tensor.js';
import { TokenStream } from '../text/tokenizer.js';
import type { OwnTokenizer } from '../text/files.js';
import { WordTokenizer } from '../text/vocabularies.js';
import { renderAttention } from '../train/heatmap.js';
import type { AnyModel } from '../train/types.js';
import { isLines, type SequenceData, type Tokenizers } from './sequence_data.js';
import type { SequenceModel } from './sequence_model.js';

/** What {@link sampleText} needs to know. */
interface SampleOptions {
  readonly dataset: SequenceDataset;
  readonly tokenizer: OwnTokenizer;
  readonly seed: number;
  readonly signal: AbortSignal;
}

const SAMPLE_TOKENS = 400;
const SAMPLE_LINES = 10;
const TEMPERATURE = 0.8;

/** A text, or ten lines, that a trained model makes up. */
export async function sampleText(
  generate: NonNullable<SequenceModel['generate']>,
  { dataset, tokenizer, seed, signal }: SampleOptions,
): Promise<string> {
  const lines = isLines(dataset);
  const generator = new Generator(seed);
  const begin = [...startOf(tokenizer)];
  const out: string[] = [];
  for (let i = 0; i < (lines ? SAMPLE_LINES : 1); i++) {
    const stream = new TokenStream(tokenizer);
    const options = {
      temperature: TEMPERATURE,
      maxTokens: lines ? SAMPLE_TOKENS / SAMPLE_LINES : SAMPLE_TOKENS,
      stop: lines ? begin : [],
      generator,
      signal,
    };
    let text = '';
    for await (const token of generate(begin, options)) text += stream.push(token);
    out.push(text.trimEnd());
  }
  return out.join('\n');
}

/** What a text begins with where there is no prompt: a line break, or the first token. */
export function startOf(tokenizer: OwnTokenizer): Int32Array {
  try {
    return tokenizer.encode('\n');
  } catch {
    return Int32Array.of(0);
  }
}

/** A table of held-out sources with what the model writes for them, and a picture of its attention if it has some. */
export async function showPairs(
  model: AnyModel,
  translate: NonNullable<SequenceModel['translate']>,
  { shown, tokenizers }: SequenceData,
  signal: AbortSignal,
): Promise<{ table: string; picture: string | null }> {
  const rows: (readonly [string, string, string])[] = [];
  for (const [source, target] of shown) rows.push([source, (await translate(source, { signal })).text, target]);
  const width = (column: 0 | 1): number => Math.max(...rows.map((row) => row[column].length));
  const table = rows
    .map(([source, made, target]) => {
      const left = `${source.padEnd(width(0))}  →  ${made}`;
      return made === target ? left : `${left.padEnd(width(0) + 5 + width(1))}  (${target})`;
    })
    .join('\n');
  const longest = shown.reduce<SentencePair | undefined>(
    (best, pair) => (best === undefined || pair[0].length > best[0].length ? pair : best),
    undefined,
  );
  const looks = model instanceof AttentionSeq2Seq || model instanceof TransformerSeq2Seq;
  const picture = looks && longest !== undefined ? await attentionOf(model, translate, longest[0], tokenizers) : null;
  return { table, picture };
}

/** Where a model looks in a source for each token of a target that begins with the token of beginnings: (T, S). */
function weightsOf(model: AttentionSeq2Seq | TransformerSeq2Seq, source: readonly number[], target: number[]): Tensor {
  const row = (tokens: readonly number[]): Tensor => tensor([[...tokens]], { dtype: 'int32' });
  if (model instanceof TransformerSeq2Seq) return model.attention(row(source), row(target)).select(0, 0);
  return model.forward(row(source).transpose(0, 1), row(target).transpose(0, 1))[1].select(2, 0);
}

/** The picture of where a model looks while it writes the target of a source. */
export async function attentionOf(
  model: AttentionSeq2Seq | TransformerSeq2Seq,
  translate: NonNullable<SequenceModel['translate']>,
  text: string,
  { source: from, target: to }: Tokenizers,
): Promise<string> {
  const { source, target } = await translate(text);
  const begin = to instanceof WordTokenizer ? to.begin : 0;
  const written = to instanceof WordTokenizer ? [...target, to.end] : target;
  const weights = scope(() => noGrad(() => weightsOf(model, source, [begin, ...written.slice(0, -1)])));
  const values = await weights.data();
  const names = (tokens: readonly number[], tokenizer: OwnTokenizer): string[] =>
    tokens.map((token) => ('vocabulary' in tokenizer ? tokenizer.vocabulary.pieces[token]! : String(token)));
  return renderAttention(
    written.map((_, t) => source.map((__, s) => values[t * source.length + s]!)),
    { source: names(source, from!), target: names(written, to!), title: 'Attention', subtitle: text },
  );
}
