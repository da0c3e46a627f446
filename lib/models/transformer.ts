import { Embedding } from '../nn/embedding.js';
import { xavierUniform_ } from '../nn/init.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { SinusoidalPositions } from '../nn/positions.js';
import { Transformer, type DecoderLayerCache, type DecoderMasks, type TransformerOptions } from '../nn/transformer.js';
import { checkInteger } from '../check.js';
import { ShapeError } from '../errors.js';
import { eq, mul } from '../ops/binary.js';
import { dropout } from '../ops/random.js';
import { indexSelect } from '../ops/indexing.js';
import { mean } from '../ops/reduce.js';
import { cat, select, stack, unsqueeze } from '../ops/views.js';
import { formatShape } from '../shape.js';
import type { Generator } from '../random.js';
import type { Tensor } from '../tensor.js';
import type { StepModel } from './beam.js';

/** Options of {@link TransformerSeq2Seq}; the others are those of `Transformer`. */
export interface TransformerSeq2SeqOptions extends Omit<TransformerOptions, 'batchFirst' | 'dtype'> {
  /** Layers of encoder and of decoder, unless they are given apart; 6. */
  readonly layers?: number;
  /** Tokens of the longest sequence; 512. */
  readonly maxLength?: number;
  /** The token that fills sources and targets up and is not looked at. */
  readonly paddingIdx?: number | null;
}

/** Sizes for the task to copy ten tokens of 1 to 10 (A. Rush, "The annotated Transformer", 2018): two layers. */
export const copyTask = { vocabulary: 11, layers: 2 } as const;

/** What {@link TransformerSeq2Seq} knows between two tokens. */
export interface TransformerState {
  /** Each decoder layer's keys and values, and true where the source is padding (B, S). */
  readonly layers: readonly DecoderLayerCache[];
  readonly padding: Tensor | null;
  /** The target so far (B, t), null before the first token. */
  readonly tokens: Tensor | null;
}

/**
 * The Transformer that translates (Vaswani et al., "Attention is all you need", 2017): embeddings times √dModel plus sinusoids, encoder
 * and decoder, and a linear layer to the logits of the next token. Matrices start Xavier-uniform.
 */
export class TransformerSeq2Seq extends Module implements StepModel<TransformerState> {
  readonly batchDim = 0;
  readonly src_emb: Embedding;
  readonly tgt_emb: Embedding;
  readonly positions: SinusoidalPositions;
  readonly transformer: Transformer;
  readonly out: Linear;
  readonly paddingIdx: number | null;
  readonly dropout: number;
  readonly #generator: Generator | undefined;

  constructor(sourceVocabulary: number, targetVocabulary: number, options: TransformerSeq2SeqOptions = {}) {
    super();
    const { layers = 6, maxLength = 512, paddingIdx = null, ...rest } = options;
    const { dModel = 512, numEncoderLayers = layers, numDecoderLayers = layers, generator } = rest;
    checkInteger('TransformerSeq2Seq', 'maxLength', maxLength, { min: 1 });
    this.src_emb = new Embedding(sourceVocabulary, dModel, { generator });
    this.tgt_emb = new Embedding(targetVocabulary, dModel, { generator });
    this.positions = new SinusoidalPositions(maxLength, dModel);
    this.transformer = new Transformer({ ...rest, dModel, numEncoderLayers, numDecoderLayers, batchFirst: true });
    this.out = new Linear(dModel, targetVocabulary, { generator });
    this.paddingIdx = paddingIdx;
    this.dropout = rest.dropout ?? 0.1;
    this.#generator = generator;
    for (const { weight } of [this.src_emb, this.tgt_emb, this.out]) xavierUniform_(weight, { generator });
  }

  /** source (B, S), the target's tokens so far (B, T): logits (B, T, vocabulary) of those that follow. */
  forward(source: Tensor, target: Tensor): Tensor {
    return this.out.forward(this.transformer.decoder.forward(...this.#decoderInputs(source, target)));
  }

  /** Where the decoder looks in a source (B, S) for each token that follows those of a target (B, T): (B, T, S), the mean over layers and heads. */
  attention(source: Tensor, target: Tensor): Tensor {
    const [, weights] = this.transformer.decoder.forwardWithWeights(...this.#decoderInputs(source, target));
    return mean(stack(weights), 0);
  }

  #decoderInputs(source: Tensor, target: Tensor): [target: Tensor, memory: Tensor, masks: DecoderMasks] {
    const [memory, memoryKeyPaddingMask] = this.#encode(source);
    const masks = { causal: true, targetKeyPaddingMask: this.#padding(target), memoryKeyPaddingMask };
    return [this.#embed(target, this.tgt_emb), memory, masks];
  }

  start(source: Tensor): TransformerState {
    const [memory, padding] = this.#encode(source);
    return { layers: this.transformer.decoder.start(memory), padding, tokens: null };
  }

  step(tokens: Tensor, { layers, padding, tokens: before }: TransformerState): [Tensor, TransformerState] {
    const column = unsqueeze(tokens, 1);
    const all = before === null ? column : cat([before, column], 1);
    const x = this.#embed(column, this.tgt_emb, before?.shape[1]);
    const masks = { targetKeyPaddingMask: this.#padding(all), memoryKeyPaddingMask: padding };
    const [states, next] = this.transformer.decoder.step(x, layers, masks);
    return [this.out.forward(select(states, 1, 0)), { layers: next, padding, tokens: all }];
  }

  rows({ layers, padding, tokens }: TransformerState, index: Tensor): TransformerState {
    const at = <T extends Tensor | null>(x: T): T => (x === null ? x : (indexSelect(x, 0, index) as T));
    return {
      layers: layers.map(({ keys, values, memoryKeys, memoryValues }) => ({
        keys: at(keys),
        values: at(values),
        memoryKeys: at(memoryKeys),
        memoryValues: at(memoryValues),
      })),
      padding: at(padding),
      tokens: at(tokens),
    };
  }

  /** What the encoder makes of a source (B, S, dModel), and true where that is padding (B, S). */
  #encode(source: Tensor): [memory: Tensor, padding: Tensor | null] {
    const padding = this.#padding(source);
    const x = this.#embed(source, this.src_emb);
    return [this.transformer.encoder.forward(x, { keyPaddingMask: padding }), padding];
  }

  #padding(tokens: Tensor): Tensor | null {
    return this.paddingIdx === null ? null : eq(tokens, this.paddingIdx);
  }

  /** Embeddings of tokens (B, T), which stand at positions from `start` on. */
  #embed(tokens: Tensor, table: Embedding, start = 0): Tensor {
    if (tokens.ndim !== 2 || tokens.shape[1] === 0) {
      throw new ShapeError(
        `TransformerSeq2Seq: expected tokens of shape [B, T], T ≥ 1, got ${formatShape(tokens.shape)}`,
      );
    }
    const x = this.positions.forward(mul(table.forward(tokens), Math.sqrt(table.embeddingDim)), { start });
    return dropout(x, { p: this.dropout, training: this.training, generator: this.#generator });
  }
}
