import { Embedding } from '../nn/embedding.js';
import { xavierUniform_ } from '../nn/init.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { SinusoidalPositions } from '../nn/positions.js';
import { Transformer, type TransformerOptions } from '../nn/transformer.js';
import { checkInteger } from '../check.js';
import { ShapeError } from '../errors.js';
import { eq, mul } from '../ops/binary.js';
import { dropout } from '../ops/random.js';
import { indexSelect } from '../ops/indexing.js';
import { cat, select, unsqueeze } from '../ops/views.js';
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
  /** What the encoder made of the source (B, S, dModel), and true where it is padding (B, S). */
  readonly memory: Tensor;
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
    const { memory, padding } = this.start(source);
    return this.out.forward(this.#decode(target, memory, padding));
  }

  start(source: Tensor): TransformerState {
    const padding = this.#padding(source);
    const memory = this.transformer.encoder.forward(this.#embed(source, this.src_emb), { keyPaddingMask: padding });
    return { memory, padding, tokens: null };
  }

  step(tokens: Tensor, { memory, padding, tokens: before }: TransformerState): [Tensor, TransformerState] {
    const column = unsqueeze(tokens, 1);
    const all = before === null ? column : cat([before, column], 1);
    const states = this.#decode(all, memory, padding);
    return [this.out.forward(select(states, 1, -1)), { memory, padding, tokens: all }];
  }

  rows({ memory, padding, tokens }: TransformerState, index: Tensor): TransformerState {
    const at = (x: Tensor): Tensor => indexSelect(x, 0, index);
    return {
      memory: at(memory),
      padding: padding === null ? null : at(padding),
      tokens: tokens === null ? null : at(tokens),
    };
  }

  #decode(target: Tensor, memory: Tensor, memoryKeyPaddingMask: Tensor | null): Tensor {
    const masks = { causal: true, targetKeyPaddingMask: this.#padding(target), memoryKeyPaddingMask };
    return this.transformer.decoder.forward(this.#embed(target, this.tgt_emb), memory, masks);
  }

  #padding(tokens: Tensor): Tensor | null {
    return this.paddingIdx === null ? null : eq(tokens, this.paddingIdx);
  }

  #embed(tokens: Tensor, table: Embedding): Tensor {
    if (tokens.ndim !== 2 || tokens.shape[1] === 0) {
      throw new ShapeError(
        `TransformerSeq2Seq: expected tokens of shape [B, T], T ≥ 1, got ${formatShape(tokens.shape)}`,
      );
    }
    const x = this.positions.forward(mul(table.forward(tokens), Math.sqrt(table.embeddingDim)));
    return dropout(x, { p: this.dropout, training: this.training, generator: this.#generator });
  }
}
