import { keep } from '../autograd/scope.js';
import { checkInteger, checkNumber } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { ModuleList } from '../nn/container.js';
import { Embedding } from '../nn/embedding.js';
import { normal_ } from '../nn/init.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { RMSNorm } from '../nn/norm.js';
import { RotaryPositions } from '../nn/positions.js';
import { silu } from '../ops/activation.js';
import { repeatInterleave } from '../ops/arrange.js';
import { scaledDotProductAttention } from '../ops/attention.js';
import { add, ge, mul } from '../ops/binary.js';
import { arange, zeros } from '../ops/create.js';
import { narrow, permute, reshape, transpose, unsqueeze } from '../ops/views.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { generateTokens, type DecoderCallOptions, type GenerateOptions, type KVCache } from './generate.js';

/** Sizes of a {@link Decoder}. */
export interface DecoderConfig {
  readonly vocabulary: number;
  readonly context: number;
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  /** Heads of keys and values, each read by as many queries as there are more of those; `heads`. */
  readonly kvHeads?: number;
  /** Width of the feed-forward layers; 8/3 of `width`, rounded up to a multiple of 8. */
  readonly hidden?: number;
  /** Base of the rotary positions; 10000. */
  readonly base?: number;
  /** Added to mean squares by the norms; 1e-5. */
  readonly eps?: number;
}

/** Queries and keys turned by their positions; grouped heads of keys and values (Ainslie et al., "GQA", 2023). */
class Attention extends Module {
  readonly q_proj: Linear;
  readonly k_proj: Linear;
  readonly v_proj: Linear;
  readonly o_proj: Linear;
  readonly #config: Required<DecoderConfig>;

  constructor(config: Required<DecoderConfig>) {
    super();
    const { width, heads, kvHeads } = config;
    const narrower = (width / heads) * kvHeads;
    this.q_proj = new Linear(width, width, { bias: false });
    this.k_proj = new Linear(width, narrower, { bias: false });
    this.v_proj = new Linear(width, narrower, { bias: false });
    this.o_proj = new Linear(width, width, { bias: false });
    this.#config = config;
  }

  /** x (B, T, width); with a cache, x are the tokens from `start` on. */
  forward(x: Tensor, positions: RotaryPositions, cache: KVCache['layers'][number] | null, start: number): Tensor {
    const { heads, kvHeads, width } = this.#config;
    const [batch, steps] = x.shape as [number, number];
    const split = (y: Tensor, count: number): Tensor =>
      transpose(reshape(y, [batch, steps, count, width / heads]), 1, 2);
    const q = positions.forward(split(this.q_proj.forward(x), heads), { start });
    let k = positions.forward(split(this.k_proj.forward(x), kvHeads), { start });
    let v = split(this.v_proj.forward(x), kvHeads);
    if (cache !== null) {
      narrow(cache.k, 2, start, steps).copy_(k);
      narrow(cache.v, 2, start, steps).copy_(v);
      [k, v] = [narrow(cache.k, 2, 0, start + steps), narrow(cache.v, 2, 0, start + steps)];
    }
    if (kvHeads < heads) [k, v] = [repeatInterleave(k, heads / kvHeads, 1), repeatInterleave(v, heads / kvHeads, 1)];
    // After earlier tokens, token i sees these and those before itself.
    const integers = (from: number, to: number): Tensor => arange(from, to, 1, { dtype: 'int32' });
    const later = start > 0 && steps > 1;
    const mask = later ? ge(unsqueeze(integers(start, start + steps), 1), integers(0, start + steps)) : null;
    const y = scaledDotProductAttention(q, k, v, { mask, causal: start === 0 });
    return this.o_proj.forward(reshape(permute(y, [0, 2, 1, 3]), [batch, steps, width]));
  }
}

/** W_down(silu(W_gate x) ⊙ W_up x): Shazeer, "GLU variants improve Transformer" (2020). */
class GatedFeedForward extends Module {
  readonly gate_proj: Linear;
  readonly up_proj: Linear;
  readonly down_proj: Linear;

  constructor({ width, hidden }: Required<DecoderConfig>) {
    super();
    this.gate_proj = new Linear(width, hidden, { bias: false });
    this.up_proj = new Linear(width, hidden, { bias: false });
    this.down_proj = new Linear(hidden, width, { bias: false });
  }

  forward(x: Tensor): Tensor {
    return this.down_proj.forward(mul(silu(this.gate_proj.forward(x)), this.up_proj.forward(x)));
  }
}

class Block extends Module {
  readonly self_attn: Attention;
  readonly mlp: GatedFeedForward;
  readonly input_layernorm: RMSNorm;
  readonly post_attention_layernorm: RMSNorm;

  constructor(config: Required<DecoderConfig>) {
    super();
    const { width, eps } = config;
    this.self_attn = new Attention(config);
    this.mlp = new GatedFeedForward(config);
    this.input_layernorm = new RMSNorm(width, { eps });
    this.post_attention_layernorm = new RMSNorm(width, { eps });
  }

  forward(x: Tensor, positions: RotaryPositions, cache: KVCache['layers'][number] | null, start: number): Tensor {
    const y = add(x, this.self_attn.forward(this.input_layernorm.forward(x), positions, cache, start));
    return add(y, this.mlp.forward(this.post_attention_layernorm.forward(y)));
  }
}

/**
 * A decoder as they are built today (Touvron et al., "LLaMA", 2023): pre-norm blocks with RMSNorm, rotary positions, gated feed-forward
 * layers, no biases, and a head of its own. Members are named as Hugging Face's (`layers.0.self_attn.q_proj`, …).
 */
export class Decoder extends Module {
  readonly config: Required<DecoderConfig>;
  readonly embed_tokens: Embedding;
  readonly layers: ModuleList<Block>;
  readonly norm: RMSNorm;
  readonly lm_head: Linear;
  readonly positions: RotaryPositions;

  constructor(config: DecoderConfig, { generator }: { readonly generator?: Generator | undefined } = {}) {
    super();
    const { vocabulary, context, layers, heads, width, kvHeads = heads, base = 10000, eps = 1e-5 } = config;
    const { hidden = 8 * Math.ceil(width / 3) } = config;
    for (const [name, size] of Object.entries({ vocabulary, context, layers, heads, width, kvHeads, hidden })) {
      checkInteger('Decoder', name, size, { min: 1 });
    }
    checkNumber('Decoder', 'eps', eps, { min: 0 });
    if (width % (2 * heads) !== 0 || heads % kvHeads !== 0) {
      throw new ValueError(
        'Decoder: expected width to be a multiple of 2·heads, and heads of kvHeads, ' +
          `got width ${width}, heads ${heads} and kvHeads ${kvHeads}`,
      );
    }
    this.config = { vocabulary, context, layers, heads, width, kvHeads, hidden, base, eps };
    this.embed_tokens = new Embedding(vocabulary, width);
    this.layers = new ModuleList(Array.from({ length: layers }, () => new Block(this.config)));
    this.norm = new RMSNorm(width, { eps });
    this.lm_head = new Linear(width, vocabulary, { bias: false });
    this.positions = new RotaryPositions(context, width / heads, { base });
    this.resetParameters(generator);
  }

  /** Draws new initial values: N(0, 0.02²). */
  resetParameters(generator?: Generator): void {
    for (const p of this.parameters()) if (p.ndim > 1) normal_(p, 0, 0.02, generator);
  }

  /** tokens (B, T) of int32 to logits (B, T, vocabulary), or (B, 1, vocabulary) of the last token. */
  forward(tokens: Tensor, { cache = null, last = false }: DecoderCallOptions = {}): Tensor {
    if (tokens.ndim !== 2 || tokens.shape[1] === 0) {
      throw new ShapeError(`Decoder: expected tokens of shape [B, T], T ≥ 1, got ${formatShape(tokens.shape)}`);
    }
    const start = cache?.length ?? 0;
    const steps = tokens.shape[1]!;
    const room = cache === null ? this.config.context : Math.min(cache.capacity, this.config.context);
    if (start + steps > room) throw new ShapeError(`Decoder: expected at most ${room} tokens, got ${start + steps}`);
    let x = this.embed_tokens.forward(tokens);
    let i = 0;
    for (const block of this.layers) x = block.forward(x, this.positions, cache?.layers[i++] ?? null, start);
    if (cache !== null) cache.length += steps;
    if (last) x = narrow(x, 1, steps - 1, 1);
    return this.lm_head.forward(this.norm.forward(x));
  }

  /** An empty cache for up to `capacity` tokens of `batch` texts. */
  newCache(capacity: number = this.config.context, batch = 1): KVCache {
    checkInteger('newCache', 'capacity', capacity, { min: 1, max: this.config.context });
    const { heads, kvHeads, width, layers } = this.config;
    const make = (): Tensor => keep(zeros([batch, kvHeads, capacity, width / heads]));
    return { layers: Array.from({ length: layers }, () => ({ k: make(), v: make() })), capacity, length: 0 };
  }

  /** Continues `prompt` token by token; see {@link generateTokens}. */
  generate(prompt: readonly number[], options: GenerateOptions = {}): AsyncGenerator<number, void, undefined> {
    return generateTokens(this, prompt, options);
  }
}
