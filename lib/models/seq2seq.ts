import { additiveAttention } from '../nn/attention.js';
import { Embedding } from '../nn/embedding.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { GRU, GRUCell } from '../nn/rnn.js';
import { cat, stack } from '../ops/views.js';
import type { Generator } from '../random.js';
import type { Tensor } from '../tensor.js';

/** Options of {@link Seq2Seq} and {@link AttentionSeq2Seq}. */
export interface Seq2SeqOptions {
  readonly generator?: Generator | undefined;
}

/**
 * Sequence to sequence (Sutskever et al., 2014): a GRU reads the source; its last state is all that a second GRU knows when it writes
 * the target.
 */
export class Seq2Seq extends Module {
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
  }

  /** source (S, B), the target's tokens so far (T, B): logits (T, B, vocabulary) of those that follow. */
  forward(source: Tensor, target: Tensor): Tensor {
    const [, state] = this.enc.forward(this.src_emb.forward(source));
    const [states] = this.dec.forward(this.tgt_emb.forward(target), state);
    return this.out.forward(states);
  }
}

/**
 * Sequence to sequence with additive attention (Bahdanau et al., 2015): before every step the decoder's state looks at all states of the
 * encoder, and reads their weighted mean beside the token.
 */
export class AttentionSeq2Seq extends Module {
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
  }

  /** source (S, B), the target's tokens so far (T, B): logits (T, B, vocabulary) and the attention's weights (T, S, B). */
  forward(source: Tensor, target: Tensor): [logits: Tensor, weights: Tensor] {
    const [memory, last] = this.enc.forward(this.src_emb.forward(source));
    const keys = this.attn_w2.forward(memory);
    const inputs = this.tgt_emb.forward(target);
    const states: Tensor[] = [];
    const looks: Tensor[] = [];
    let h = last.select(0, 0);
    for (let t = 0; t < target.shape[0]!; t++) {
      // attend
      const [context, weights] = additiveAttention(h, memory, keys, this.attn_w1.weight, this.attn_v.weight);
      // update
      h = this.cell.forward(cat([inputs.select(0, t), context], 1), h);
      states.push(h);
      looks.push(weights);
    }
    return [this.out.forward(stack(states)), stack(looks)];
  }
}
