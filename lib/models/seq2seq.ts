import { ShapeError } from '../errors.js';
import { additiveAttention } from '../nn/attention.js';
import { Embedding } from '../nn/embedding.js';
import { normal_ } from '../nn/init.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { GRU, GRUCell } from '../nn/rnn.js';
import { lt } from '../ops/binary.js';
import { arange, tensor } from '../ops/create.js';
import { indexSelect } from '../ops/indexing.js';
import { cat, select, stack, unsqueeze } from '../ops/views.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import type { StepModel } from './beam.js';

/** Fills embeddings from N(0, 0.1²): beside the recurrent weights of U(±1/√width), N(0, 1) drowns the state that counts positions. */
function initEmbeddings({ generator }: Seq2SeqOptions, ...embeddings: readonly Embedding[]): void {
  for (const { weight } of embeddings) normal_(weight, 0, 0.1, generator);
}

/** Options of {@link Seq2Seq} and {@link AttentionSeq2Seq}. */
export interface Seq2SeqOptions {
  readonly generator?: Generator | undefined;
}

/** Options of a call of {@link Seq2Seq} and {@link AttentionSeq2Seq}. */
export interface Seq2SeqCallOptions {
  /** Tokens of each source, 1 to S; what stands after them does not count. */
  readonly lengths?: readonly number[] | null;
}

/**
 * Sequence to sequence (Sutskever et al., 2014): a GRU reads the source; its last state is all that a second GRU knows when it writes
 * the target.
 */
export class Seq2Seq extends Module implements StepModel<Tensor> {
  readonly batchDim = 1;
  readonly src_emb: Embedding;
  readonly tgt_emb: Embedding;
  readonly enc: GRU;
  readonly dec: GRU;
  readonly out: Linear;

  constructor(sourceVocabulary: number, targetVocabulary: number, width: number, options: Seq2SeqOptions = {}) {
    super();
    this.src_emb = new Embedding(sourceVocabulary, width, options);
    this.tgt_emb = new Embedding(targetVocabulary, width, options);
    this.enc = new GRU(width, width, options);
    this.dec = new GRU(width, width, options);
    this.out = new Linear(width, targetVocabulary, options);
    initEmbeddings(options, this.src_emb, this.tgt_emb);
  }

  /** source (S, B), the target's tokens so far (T, B): logits (T, B, vocabulary) of those that follow. */
  forward(source: Tensor, target: Tensor, { lengths = null }: Seq2SeqCallOptions = {}): Tensor {
    const [states] = this.dec.forward(this.tgt_emb.forward(target), this.start(source, lengths));
    return this.out.forward(states);
  }

  /** The state (1, B, width) after reading the source (S, B). */
  start(source: Tensor, lengths: readonly number[] | null = null): Tensor {
    return this.enc.forward(this.src_emb.forward(source), null, { lengths })[1];
  }

  step(tokens: Tensor, state: Tensor): [logits: Tensor, state: Tensor] {
    const [states, next] = this.dec.forward(this.tgt_emb.forward(unsqueeze(tokens, 0)), state);
    return [this.out.forward(select(states, 0, 0)), next];
  }

  rows(state: Tensor, index: Tensor): Tensor {
    return indexSelect(state, 1, index);
  }
}

/** What {@link AttentionSeq2Seq} knows between two tokens. */
export interface AttentionState {
  /** The decoder's state (B, width). */
  readonly h: Tensor;
  /** The encoder's states (S, B, width), W₂ of them, and true where they count (S, B). */
  readonly memory: Tensor;
  readonly keys: Tensor;
  readonly mask: Tensor | null;
}

/**
 * Sequence to sequence with additive attention (Bahdanau et al., 2015): before every step the decoder's state looks at all states of the
 * encoder, and reads their weighted mean beside the token.
 */
export class AttentionSeq2Seq extends Module implements StepModel<AttentionState> {
  readonly batchDim = 1;
  readonly src_emb: Embedding;
  readonly tgt_emb: Embedding;
  readonly enc: GRU;
  readonly cell: GRUCell;
  readonly attn_w1: Linear;
  readonly attn_w2: Linear;
  readonly attn_v: Linear;
  readonly out: Linear;

  constructor(sourceVocabulary: number, targetVocabulary: number, width: number, options: Seq2SeqOptions = {}) {
    super();
    const plain = { ...options, bias: false };
    this.src_emb = new Embedding(sourceVocabulary, width, options);
    this.tgt_emb = new Embedding(targetVocabulary, width, options);
    this.enc = new GRU(width, width, options);
    this.cell = new GRUCell(2 * width, width, options);
    this.attn_w1 = new Linear(width, width, plain);
    this.attn_w2 = new Linear(width, width, plain);
    this.attn_v = new Linear(width, 1, plain);
    this.out = new Linear(width, targetVocabulary, options);
    initEmbeddings(options, this.src_emb, this.tgt_emb);
  }

  /** source (S, B), the target's tokens so far (T, B): logits (T, B, vocabulary) and the attention's weights (T, S, B). */
  forward(
    source: Tensor,
    target: Tensor,
    { lengths = null }: Seq2SeqCallOptions = {},
  ): [logits: Tensor, weights: Tensor] {
    if (target.ndim !== 2 || target.shape[0] === 0 || target.shape[1] !== source.shape[1]) {
      const wanted = `[T, ${source.shape[1]}], T ≥ 1`;
      throw new ShapeError(`AttentionSeq2Seq: expected target of shape ${wanted}, got ${formatShape(target.shape)}`);
    }
    const { memory, keys, mask, h: last } = this.start(source, lengths);
    const inputs = this.tgt_emb.forward(target);
    const states: Tensor[] = [];
    const looks: Tensor[] = [];
    let h = last;
    for (let t = 0; t < target.shape[0]!; t++) {
      // attend
      const [context, weights] = additiveAttention(h, memory, keys, this.attn_w1.weight, this.attn_v.weight, mask);
      // update
      h = this.cell.forward(cat([inputs.select(0, t), context], 1), h);
      states.push(h);
      looks.push(weights);
    }
    return [this.out.forward(stack(states)), stack(looks)];
  }

  /** What the decoder starts with after reading the source (S, B). */
  start(source: Tensor, lengths: readonly number[] | null = null): AttentionState {
    const [memory, last] = this.enc.forward(this.src_emb.forward(source), null, { lengths });
    const steps = unsqueeze(arange(0, source.shape[0], 1, { dtype: 'int32' }), 1);
    const mask = lengths === null ? null : lt(steps, tensor([...lengths], { dtype: 'int32' }));
    return { h: last.select(0, 0), memory, keys: this.attn_w2.forward(memory), mask };
  }

  step(tokens: Tensor, { h, ...rest }: AttentionState): [logits: Tensor, state: AttentionState] {
    const { memory, keys, mask } = rest;
    const [context] = additiveAttention(h, memory, keys, this.attn_w1.weight, this.attn_v.weight, mask);
    const next = this.cell.forward(cat([this.tgt_emb.forward(tokens), context], 1), h);
    return [this.out.forward(next), { ...rest, h: next }];
  }

  rows({ h, memory, keys, mask }: AttentionState, index: Tensor): AttentionState {
    const at = (x: Tensor): Tensor => indexSelect(x, 1, index);
    return { h: indexSelect(h, 0, index), memory: at(memory), keys: at(keys), mask: mask === null ? null : at(mask) };
  }
}
