import { keep } from '../autograd/scope.js';
import { checkBoolean, checkInteger, checkNumber, checkOneOf } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { Embedding } from '../nn/embedding.js';
import { normal_, zeros_ } from '../nn/init.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { ModuleList } from '../nn/container.js';
import { LayerNorm } from '../nn/norm.js';
import { gelu } from '../ops/activation.js';
import { packedAttention, scaledDotProductAttention } from '../ops/attention.js';
import { add } from '../ops/binary.js';
import { tensor, zeros } from '../ops/create.js';
import { linear } from '../ops/matmul.js';
import { dropout } from '../ops/random.js';
import { narrow, permute, reshape, transpose } from '../ops/views.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { generateTokens, type DecoderCallOptions, type GenerateOptions, type KVCache } from './generate.js';

/** Sizes and choices of a {@link GPT}. */
export interface GPTConfig {
  readonly vocabulary: number;
  readonly context: number;
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  /** Width of the feed-forward layers; 4·width. */
  readonly hidden?: number;
  /** Their activation: GELU by its tanh approximation, as in GPT-2, or exactly; `gelu-tanh`. */
  readonly activation?: 'gelu-tanh' | 'gelu';
  /** Whether linear layers and norms have a bias; true. */
  readonly bias?: boolean;
  /** Added to variances by the norms; 1e-5. */
  readonly eps?: number;
  /** Probability of dropping embeddings, attention weights and the outputs of branches, in training; 0. */
  readonly dropout?: number;
}

const family = (layers: number, heads: number, width: number): GPTConfig => ({
  vocabulary: 50257,
  context: 1024,
  layers,
  heads,
  width,
});

/** The GPT-2 family (Radford et al., 2019), and GPT-3 (Brown et al., 2020) to be counted inside `meta`. */
export const gptConfigs = {
  gpt2: family(12, 12, 768),
  'gpt2-medium': family(24, 16, 1024),
  'gpt2-large': family(36, 20, 1280),
  'gpt2-xl': family(48, 25, 1600),
  gpt3: { ...family(96, 96, 12288), context: 2048 },
} as const satisfies Record<string, GPTConfig>;

interface Parts extends Required<GPTConfig> {
  readonly generator: Generator | undefined;
}

/** Attention of every token to itself and those before it. */
class Attention extends Module {
  readonly c_attn: Linear;
  readonly c_proj: Linear;
  readonly heads: number;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    super();
    const { width, heads, bias } = parts;
    this.c_attn = new Linear(width, 3 * width, { bias });
    this.c_proj = new Linear(width, width, { bias });
    this.heads = heads;
    this.#parts = parts;
  }

  /** x (B, T, width); with a cache, x are the tokens from `start` on. */
  forward(x: Tensor, cache: KVCache['layers'][number] | null, start: number): Tensor {
    const qkv = this.c_attn.forward(x);
    if (cache === null) {
      const dropout = this.training ? this.#parts.dropout : 0;
      const options = { causal: true, dropout, generator: this.#parts.generator };
      return this.c_proj.forward(packedAttention([qkv], this.heads, options));
    }
    const [batch, steps, width] = x.shape as [number, number, number];
    const parts = reshape(qkv, [batch, steps, 3, this.heads, width / this.heads]);
    const [q, k, v] = [0, 1, 2].map((i) => transpose(parts.select(2, i), 1, 2)) as [Tensor, Tensor, Tensor];
    narrow(cache.k, 2, start, steps).copy_(k);
    narrow(cache.v, 2, start, steps).copy_(v);
    const [keys, values] = [cache.k, cache.v].map((all) => narrow(all, 2, 0, start + steps)) as [Tensor, Tensor];
    const y = scaledDotProductAttention(q, keys, values, { mask: causalMask(start, steps) });
    return this.c_proj.forward(reshape(permute(y, [0, 2, 1, 3]), [batch, steps, width]));
  }
}

/** For `steps` tokens after `start` others: token i sees those before and itself. null when there is nothing to hide. */
function causalMask(start: number, steps: number): Tensor | null {
  if (steps === 1) return null;
  return tensor(
    Array.from({ length: steps }, (_, i) => Array.from({ length: start + steps }, (__, j) => j <= start + i)),
  );
}

class FeedForward extends Module {
  readonly c_fc: Linear;
  readonly c_proj: Linear;
  readonly activation: NonNullable<GPTConfig['activation']>;

  constructor({ width, hidden, activation, bias }: Parts) {
    super();
    this.c_fc = new Linear(width, hidden, { bias });
    this.c_proj = new Linear(hidden, width, { bias });
    this.activation = activation;
  }

  forward(x: Tensor): Tensor {
    return this.c_proj.forward(
      gelu(this.c_fc.forward(x), { approximate: this.activation === 'gelu' ? 'none' : 'tanh' }),
    );
  }
}

/** A pre-norm block: x + attention(norm(x)), then x + mlp(norm(x)). */
class Block extends Module {
  readonly ln_1: LayerNorm;
  readonly attn: Attention;
  readonly ln_2: LayerNorm;
  readonly mlp: FeedForward;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    super();
    const { width, eps, bias } = parts;
    this.ln_1 = new LayerNorm(width, { eps, bias });
    this.attn = new Attention(parts);
    this.ln_2 = new LayerNorm(width, { eps, bias });
    this.mlp = new FeedForward(parts);
    this.#parts = parts;
  }

  forward(x: Tensor, cache: KVCache['layers'][number] | null, start: number): Tensor {
    const { dropout: p, generator } = this.#parts;
    const drop = (branch: Tensor): Tensor => dropout(branch, { p, training: this.training, generator });
    const y = add(x, drop(this.attn.forward(this.ln_1.forward(x), cache, start)));
    return add(y, drop(this.mlp.forward(this.ln_2.forward(y))));
  }
}

/**
 * A decoder-only Transformer as GPT-2 (Radford et al., "Language models are unsupervised multitask learners", 2019): pre-norm blocks, tanh
 * GELU, trained positions, the head tied to the embedding. Members are named as Hugging Face's (`h.0.attn.c_attn`, …); weights are stored
 * (out, in).
 */
export class GPT extends Module {
  readonly config: Required<GPTConfig>;
  readonly wte: Embedding;
  readonly wpe: Embedding;
  readonly h: ModuleList<Block>;
  readonly ln_f: LayerNorm;
  readonly #generator: Generator | undefined;

  constructor(config: GPTConfig, { generator }: { readonly generator?: Generator | undefined } = {}) {
    super();
    const { vocabulary, context, layers, heads, width, hidden = 4 * width } = config;
    const { activation = 'gelu-tanh', bias = true, eps = 1e-5, dropout: p = 0 } = config;
    for (const [name, size] of Object.entries({ vocabulary, context, layers, heads, width, hidden })) {
      checkInteger('GPT', name, size, { min: 1 });
    }
    checkOneOf('GPT', 'activation', activation, ['gelu-tanh', 'gelu']);
    checkBoolean('GPT', 'bias', bias);
    checkNumber('GPT', 'eps', eps, { min: 0 });
    checkNumber('GPT', 'dropout', p, { min: 0, max: 1 });
    if (width % heads !== 0)
      throw new ValueError(`GPT: expected width to be a multiple of heads, got ${width} and ${heads}`);
    this.config = { vocabulary, context, layers, heads, width, hidden, activation, bias, eps, dropout: p };
    this.wte = new Embedding(vocabulary, width);
    this.wpe = new Embedding(context, width);
    const parts = { ...this.config, generator };
    this.h = new ModuleList(Array.from({ length: layers }, () => new Block(parts)));
    this.ln_f = new LayerNorm(width, { eps, bias });
    this.#generator = generator;
    this.resetParameters(generator);
  }

  /** Draws new initial values: N(0, 0.02²), the projections that end a block's branches by 1/√(2·layers) of it; biases 0. */
  resetParameters(generator?: Generator): void {
    for (const [name, p] of this.namedParameters()) {
      if (p.ndim > 1)
        normal_(p, 0, name.endsWith('c_proj.weight') ? 0.02 / Math.sqrt(2 * this.config.layers) : 0.02, generator);
      else if (name.endsWith('bias')) zeros_(p);
    }
  }

  /** tokens (B, T) of int32 to logits (B, T, vocabulary), or (B, 1, vocabulary) of the last token. */
  forward(tokens: Tensor, { cache = null, last = false }: DecoderCallOptions = {}): Tensor {
    if (tokens.ndim !== 2)
      throw new ShapeError(`GPT: expected tokens of shape [B, T], got ${formatShape(tokens.shape)}`);
    const start = cache?.length ?? 0;
    const steps = tokens.shape[1]!;
    if (steps === 0) throw new ShapeError(`GPT: expected at least one token, got ${formatShape(tokens.shape)}`);
    const room = cache === null ? this.config.context : Math.min(cache.capacity, this.config.context);
    if (start + steps > room) throw new ShapeError(`GPT: expected at most ${room} tokens, got ${start + steps}`);
    let x = add(this.wte.forward(tokens), narrow(this.wpe.weight, 0, start, steps));
    x = dropout(x, { p: this.config.dropout, training: this.training, generator: this.#generator });
    let i = 0;
    for (const block of this.h) x = block.forward(x, cache?.layers[i++] ?? null, start);
    if (cache !== null) cache.length += steps;
    if (last) x = narrow(x, 1, steps - 1, 1);
    return linear(this.ln_f.forward(x), this.wte.weight);
  }

  /** An empty cache for up to `capacity` tokens of `batch` texts. */
  newCache(capacity: number = this.config.context, batch = 1): KVCache {
    checkInteger('newCache', 'capacity', capacity, { min: 1, max: this.config.context });
    const { heads, width, layers } = this.config;
    const make = (): Tensor => keep(zeros([batch, heads, capacity, width / heads], { dtype: this.wte.weight.dtype }));
    return { layers: Array.from({ length: layers }, () => ({ k: make(), v: make() })), capacity, length: 0 };
  }

  /**
   * Continues `prompt` token by token; see {@link generateTokens}.
   * @example for await (const token of model.generate([1, 2, 3], { temperature: 0.8, topK: 50 })) show(token);
   */
  generate(prompt: readonly number[], options: GenerateOptions = {}): AsyncGenerator<number, void, undefined> {
    return generateTokens(this, prompt, options);
  }
}

/** A {@link GPT} of the GPT-2 family by its name, with fresh weights. */
export function gpt(name: keyof typeof gptConfigs, options: { readonly generator?: Generator | undefined } = {}): GPT {
  if (!Object.hasOwn(gptConfigs, name)) {
    throw new ValueError(`gpt: expected one of ${Object.keys(gptConfigs).join(', ')}, got ${name as string}`);
  }
  return new GPT(gptConfigs[name], options);
}
