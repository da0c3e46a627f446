import { checkBoolean, checkInteger, checkNumber } from '../check.js';
import type { DType } from '../dtype.js';
import { ShapeError, ValueError } from '../errors.js';
import { checkFloat } from '../ops/apply.js';
import {
  additiveScores,
  attentionWeights,
  packedAttention,
  scaledDotProductAttention,
  weightedSum,
  type AttentionOptions,
} from '../ops/attention.js';
import { add } from '../ops/binary.js';
import { empty, where } from '../ops/create.js';
import { linear, matmul } from '../ops/matmul.js';
import { dropout } from '../ops/random.js';
import { mean } from '../ops/reduce.js';
import { softmax } from '../ops/softmax.js';
import { narrow, reshape, squeeze, transpose, unsqueeze } from '../ops/views.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { xavierUniform_, zeros_ } from './init.js';
import { checkFloatDType, Linear } from './linear.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

/** Options of {@link MultiheadAttention}. */
export interface MultiheadAttentionOptions {
  /** Probability of dropping attention weights, in training; 0. */
  readonly dropout?: number;
  /** Whether the projections have biases; true. */
  readonly bias?: boolean;
  /** Width of keys and of values; the width of queries when left out. */
  readonly kdim?: number;
  readonly vdim?: number;
  /** Tensors are (B, T, E) instead of (T, B, E); false. */
  readonly batchFirst?: boolean;
  readonly dtype?: DType;
  readonly generator?: Generator | undefined;
}

/** Options of a call of {@link MultiheadAttention}. */
export interface MultiheadCallOptions {
  /** (B, Tk), bool with true for keys to leave out, or float, added to the scores. */
  readonly keyPaddingMask?: Tensor | null;
  /** (Tq, Tk) or (B·heads, Tq, Tk), bool with true for pairs to leave out, or float, added to the scores. */
  readonly attnMask?: Tensor | null;
  /** Query i sees keys 0 … i only; quicker than a mask that says so. */
  readonly causal?: boolean;
  /** Whether to return the weights, which costs memory of Tq·Tk; false (PyTorch's default is true). */
  readonly needWeights?: boolean;
  /** Whether those are the mean over the heads, (B, Tq, Tk), or each head's, (B, heads, Tq, Tk); true. */
  readonly averageAttnWeights?: boolean;
}

/**
 * Multi-head attention (Vaswani et al., "Attention is all you need", 2017) with PyTorch's parameters: `in_proj_weight` (3E, E), or
 * `q_proj_weight` (E, E), `k_proj_weight` (E, kdim) and `v_proj_weight` (E, vdim) when widths differ; `in_proj_bias` (3E), `out_proj`.
 */
export class MultiheadAttention extends Module {
  readonly embedDim: number;
  readonly numHeads: number;
  readonly dropout: number;
  readonly batchFirst: boolean;
  readonly q_proj_weight: Parameter | null;
  readonly k_proj_weight: Parameter | null;
  readonly v_proj_weight: Parameter | null;
  readonly in_proj_weight: Parameter | null;
  readonly in_proj_bias: Parameter | null;
  readonly out_proj: Linear;
  readonly #generator: Generator | undefined;

  constructor(embedDim: number, numHeads: number, options: MultiheadAttentionOptions = {}) {
    super();
    const name = 'MultiheadAttention';
    const { dropout: p = 0, bias = true, batchFirst = false, dtype = 'float32', generator } = options;
    const { kdim = embedDim, vdim = embedDim } = options;
    this.embedDim = checkInteger(name, 'embedDim', embedDim, { min: 1 });
    this.numHeads = checkInteger(name, 'numHeads', numHeads, { min: 1 });
    if (embedDim % numHeads !== 0) {
      throw new ValueError(`${name}: expected embedDim to be a multiple of numHeads, got ${embedDim} and ${numHeads}`);
    }
    this.dropout = checkNumber(name, 'dropout', p, { min: 0, max: 1 });
    checkBoolean(name, 'bias', bias);
    this.batchFirst = checkBoolean(name, 'batchFirst', batchFirst);
    checkInteger(name, 'kdim', kdim, { min: 1 });
    checkInteger(name, 'vdim', vdim, { min: 1 });
    checkFloatDType(name, dtype);
    const table = (rows: number, columns: number): Parameter => new Parameter(empty([rows, columns], { dtype }));
    const one = kdim === embedDim && vdim === embedDim;
    this.q_proj_weight = one ? null : table(embedDim, embedDim);
    this.k_proj_weight = one ? null : table(embedDim, kdim);
    this.v_proj_weight = one ? null : table(embedDim, vdim);
    this.in_proj_weight = one ? table(3 * embedDim, embedDim) : null;
    this.in_proj_bias = bias ? new Parameter(empty([3 * embedDim], { dtype })) : null;
    this.out_proj = new Linear(embedDim, embedDim, { bias, dtype, generator });
    this.#generator = generator;
    this.resetParameters(generator);
  }

  /** Draws new initial values: Xavier-uniform for the input projections, 0 for the biases. */
  resetParameters(generator?: Generator): void {
    for (const w of [this.q_proj_weight, this.k_proj_weight, this.v_proj_weight, this.in_proj_weight]) {
      if (w !== null) xavierUniform_(w, { generator });
    }
    if (this.in_proj_bias !== null) zeros_(this.in_proj_bias);
    if (this.out_proj.bias !== null) zeros_(this.out_proj.bias);
  }

  /**
   * query (Tq, B, E), key (Tk, B, kdim), value (Tk, B, vdim), or batch first, or without a batch (T, E). Gives the output, like the
   * query, and the weights or null.
   */
  forward(query: Tensor, key: Tensor, value: Tensor, options: MultiheadCallOptions = {}): [Tensor, Tensor | null] {
    const name = 'MultiheadAttention';
    const { causal = false, needWeights = false, averageAttnWeights = true } = options;
    for (const [which, x] of Object.entries({ query, key, value })) {
      checkFloat(name, which, x);
      if (x.ndim !== query.ndim || (x.ndim !== 2 && x.ndim !== 3)) {
        throw new ShapeError(
          `${name}: expected ${which} of 2 or 3 dimensions as query has, got ${formatShape(x.shape)}`,
        );
      }
    }
    this.#check(query, key, value);
    const single = query.ndim === 2;
    const q = this.#batchFirst(query);
    const k = key === query ? q : this.#batchFirst(key);
    const v = value === key ? k : value === query ? q : this.#batchFirst(value);
    const mask = this.#mask(q, k.shape[1]!, options);
    const drop = this.training ? this.dropout : 0;
    let context: Tensor;
    let weights: Tensor | null = null;
    const given = { mask, causal, dropout: drop, generator: this.#generator };
    if (!needWeights && this.in_proj_weight !== null && k === v) {
      context = this.#packed(q, k, given);
    } else {
      const [queries, keys, values] = [q, k, v].map((x, i) => this.#heads(x, i)) as [Tensor, Tensor, Tensor];
      if (needWeights) {
        weights = attentionWeights(queries, keys, { mask, causal });
        weights = dropout(weights, { p: drop, training: drop > 0, generator: this.#generator });
        context = matmul(weights, values);
      } else {
        context = scaledDotProductAttention(queries, keys, values, given);
      }
      context = this.#joined(context);
    }
    const output = this.#asGiven(this.out_proj.forward(context), single);
    if (weights === null) return [output, null];
    const shown = averageAttnWeights ? mean(weights, 1) : weights;
    return [output, single ? squeeze(shown, 0) : shown];
  }

  /**
   * The keys and values (B, heads, Tk, E / heads) of key (Tk, B, kdim) and value (Tk, B, vdim), or batch first: what {@link attend} looks
   * at, to be kept while queries come one after another.
   */
  keysValues(key: Tensor, value: Tensor = key): [keys: Tensor, values: Tensor] {
    return [this.#heads(this.#batchFirst(key), 1), this.#heads(this.#batchFirst(value), 2)];
  }

  /** As {@link forward} gives, without weights, for the keys and values that {@link keysValues} made. */
  attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    options: Omit<MultiheadCallOptions, 'needWeights' | 'averageAttnWeights'> = {},
  ): Tensor {
    const q = this.#batchFirst(query);
    const given = {
      mask: this.#mask(q, keys.shape[2]!, options),
      causal: options.causal ?? false,
      dropout: this.training ? this.dropout : 0,
      generator: this.#generator,
    };
    const context = scaledDotProductAttention(this.#heads(q, 0), keys, values, given);
    return this.#asGiven(this.out_proj.forward(this.#joined(context)), query.ndim === 2);
  }

  #batchFirst(x: Tensor): Tensor {
    return x.ndim === 2 ? unsqueeze(x, 0) : this.batchFirst ? x : transpose(x, 0, 1);
  }

  /** The inverse: (B, T, E) as queries are given. */
  #asGiven(x: Tensor, single: boolean): Tensor {
    return single ? squeeze(x, 0) : this.batchFirst ? x : transpose(x, 0, 1);
  }

  /** (B, heads, T, E / heads) as (B, T, E). */
  #joined(x: Tensor): Tensor {
    return reshape(transpose(x, 1, 2), [x.shape[0]!, x.shape[2]!, this.embedDim]);
  }

  /** Throws unless widths, batch and lengths fit. */
  #check(query: Tensor, key: Tensor, value: Tensor): void {
    const kdim = this.k_proj_weight?.shape[1] ?? this.embedDim;
    const vdim = this.v_proj_weight?.shape[1] ?? this.embedDim;
    const time = query.ndim === 3 && this.batchFirst ? 1 : 0;
    const batch = query.ndim === 3 ? query.shape[1 - time]! : null;
    const refuse = (which: string, x: Tensor, steps: number | 'T', width: number): void => {
      const wanted: (number | string)[] = batch === null ? [steps, width] : [steps, batch, width];
      if (time === 1) wanted.splice(0, 2, batch!, steps);
      if (x.shape.every((size, d) => wanted[d] === 'T' || wanted[d] === size)) return;
      throw new ShapeError(
        `MultiheadAttention: expected ${which} of shape [${wanted.join(', ')}], got ${formatShape(x.shape)}`,
      );
    };
    refuse('query', query, 'T', this.embedDim);
    refuse('key', key, 'T', kdim);
    refuse('value', value, key.shape[time]!, vdim);
  }

  /** Self-attention, or attention to one memory, with the projections left side by side. */
  #packed(q: Tensor, k: Tensor, given: AttentionOptions): Tensor {
    const e = this.embedDim;
    const weight = this.in_proj_weight!;
    const bias = this.in_proj_bias;
    if (q === k) return packedAttention([linear(q, weight, bias)], this.numHeads, given);
    const part = (from: number, count: number): [Tensor, Tensor | null] => [
      narrow(weight, 0, from * e, count * e),
      bias === null ? null : narrow(bias, 0, from * e, count * e),
    ];
    return packedAttention([linear(q, ...part(0, 1)), linear(k, ...part(1, 2))], this.numHeads, given);
  }

  /** Projection `part` of queries, keys or values as (B, heads, T, E / heads). */
  #heads(x: Tensor, part: number): Tensor {
    const e = this.embedDim;
    const own = [this.q_proj_weight, this.k_proj_weight, this.v_proj_weight][part];
    const weight: Tensor = own ?? narrow(this.in_proj_weight!, 0, part * e, e);
    const bias = this.in_proj_bias === null ? null : narrow(this.in_proj_bias, 0, part * e, e);
    const y = linear(x, weight, bias);
    return transpose(reshape(y, [y.shape[0]!, y.shape[1]!, this.numHeads, e / this.numHeads]), 1, 2);
  }

  /** Both masks as one to add, or where there is one of bools, one that says what counts; broadcasts to (B, heads, Tq, Tk). */
  #mask(q: Tensor, tk: number, { keyPaddingMask = null, attnMask = null }: MultiheadCallOptions): Tensor | null {
    const [batch, tq] = q.shape as [number, number];
    let padding = keyPaddingMask;
    if (padding !== null) {
      if (padding.ndim === 1) padding = unsqueeze(padding, 0);
      if (padding.ndim !== 2 || padding.shape[0] !== batch || padding.shape[1] !== tk) {
        throw new ShapeError(
          `MultiheadAttention: expected keyPaddingMask of shape [${batch}, ${tk}], got ${formatShape(padding.shape)}`,
        );
      }
      padding = unsqueeze(unsqueeze(padding, 1), 1);
    }
    let pairs = attnMask;
    if (pairs !== null) {
      const rows = batch * this.numHeads;
      const lead = pairs.ndim === 2 || (pairs.ndim === 3 && pairs.shape[0] === rows);
      if (!lead || pairs.shape[pairs.ndim - 2] !== tq || pairs.shape[pairs.ndim - 1] !== tk) {
        throw new ShapeError(
          `MultiheadAttention: expected attnMask of shape [${tq}, ${tk}] or [${rows}, ${tq}, ${tk}], got ${formatShape(pairs.shape)}`,
        );
      }
      if (pairs.ndim === 3) pairs = reshape(pairs, [batch, this.numHeads, tq, tk]);
    }
    if (padding === null || pairs === null) {
      const only = padding ?? pairs;
      return only?.dtype === 'bool' ? only.logicalNot() : only;
    }
    if (padding.dtype === 'bool' && pairs.dtype === 'bool') {
      return padding.logicalNot().logicalAnd(pairs.logicalNot());
    }
    const added = (m: Tensor): Tensor => (m.dtype === 'bool' ? where(m, -Infinity, 0).to(q.dtype) : m);
    return add(added(padding), added(pairs));
  }

  protected override extraRepr(): string {
    return `embedDim=${this.embedDim}, numHeads=${this.numHeads}`;
  }
}

/**
 * Attention as the lectures first write it, softmax(q kᵀ) v without a scale: query (…, Tq, D), keys (…, Tk, D) and values (…, Tk, Dv).
 * Gives the context (…, Tq, Dv) and the weights (…, Tq, Tk). Luong et al., "Effective approaches to attention-based neural machine
 * translation" (2015).
 */
export class DotProductAttention extends Module {
  forward(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | null = null): [context: Tensor, weights: Tensor] {
    const weights = attentionWeights(query, keys, { scale: 1, mask });
    return [matmul(weights, values), weights];
  }
}

/**
 * Scaled dot-product attention (Vaswani et al., "Attention is all you need", 2017), softmax(q kᵀ / √D) v, for one look at a time: as
 * {@link DotProductAttention}, with weights that are returned. `scaledDotProductAttention` is the quick form without.
 */
export class ScaledDotProductAttention extends Module {
  forward(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | null = null): [context: Tensor, weights: Tensor] {
    const weights = attentionWeights(query, keys, { mask });
    return [matmul(weights, values), weights];
  }
}

/** Options of {@link AdditiveAttention}. */
export interface AdditiveAttentionOptions {
  readonly dtype?: DType;
  readonly generator?: Generator | undefined;
}

/**
 * Additive attention (Bahdanau et al., "Neural machine translation by jointly learning to align and translate", 2015): the score of a
 * state h and a memory m_s is vᵀ tanh(W₁ h + W₂ m_s).
 */
export class AdditiveAttention extends Module {
  readonly w1: Linear;
  readonly w2: Linear;
  readonly v: Linear;

  constructor(queryDim: number, memoryDim: number, hiddenDim: number, options: AdditiveAttentionOptions = {}) {
    super();
    this.w1 = new Linear(queryDim, hiddenDim, { ...options, bias: false });
    this.w2 = new Linear(memoryDim, hiddenDim, { ...options, bias: false });
    this.v = new Linear(hiddenDim, 1, { ...options, bias: false });
  }

  /** W₂ m of a memory (S, B, M), which stays the same from step to step. */
  keys(memory: Tensor): Tensor {
    return this.w2.forward(memory);
  }

  /**
   * query (B, Q), memory (S, B, M), its `keys` and a mask (S, B) with true for what counts: the context (B, M) and the weights (S, B).
   */
  forward(
    query: Tensor,
    memory: Tensor,
    keys: Tensor = this.keys(memory),
    mask: Tensor | null = null,
  ): [context: Tensor, weights: Tensor] {
    return additiveAttention(query, memory, keys, this.w1.weight, this.v.weight, mask);
  }
}

/** As {@link AdditiveAttention.forward}, with the weights W₁ (A, Q) and v (1, A) given. A column that sees nothing gets zeros. */
export function additiveAttention(
  query: Tensor,
  memory: Tensor,
  keys: Tensor,
  w1: Tensor,
  v: Tensor,
  mask: Tensor | null = null,
): [context: Tensor, weights: Tensor] {
  const scores = additiveScores(linear(query, w1), keys, reshape(v, [v.numel]));
  const weights = mask === null ? softmax(scores, 0) : maskedSoftmax(scores, mask);
  return [weightedSum(weights, memory), weights];
}

/** Softmax over dimension 0 of what the mask shows; 0 where it shows nothing. */
function maskedSoftmax(scores: Tensor, mask: Tensor): Tensor {
  const some = mask.any(0, true);
  return where(some, softmax(where(some, where(mask, scores, -Infinity), 0), 0), 0);
}
