import { checkBoolean, checkInteger, checkNumber, checkOneOf } from '../check.js';
import type { DType } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { add } from '../ops/binary.js';
import { gelu, relu } from '../ops/activation.js';
import { cat } from '../ops/views.js';
import type { Generator } from '../random.js';
import type { Tensor } from '../tensor.js';
import { MultiheadAttention } from './attention.js';
import { ModuleList } from './container.js';
import { Dropout } from './dropout.js';
import { xavierUniform_ } from './init.js';
import { Linear } from './linear.js';
import { Module } from './module.js';
import { LayerNorm } from './norm.js';

/** Options of {@link TransformerEncoderLayer} and {@link TransformerDecoderLayer}; names and defaults are PyTorch's. */
export interface TransformerLayerOptions {
  /** Width of the hidden layer; 2048. */
  readonly dimFeedforward?: number;
  /** Probability of dropping, in training; 0.1. */
  readonly dropout?: number;
  /** `relu` (the default) or `gelu`. */
  readonly activation?: 'relu' | 'gelu';
  readonly layerNormEps?: number;
  /** Tensors are (B, T, E) instead of (T, B, E); false. */
  readonly batchFirst?: boolean;
  /** Norms stand before attention and feed-forward (pre-norm) instead of after the sums (post-norm); false. */
  readonly normFirst?: boolean;
  readonly dtype?: DType;
  readonly generator?: Generator | undefined;
}

/** Masks of a {@link TransformerEncoder}; see {@link MultiheadAttention}. */
export interface EncoderMasks {
  readonly mask?: Tensor | null;
  readonly keyPaddingMask?: Tensor | null;
  /** Step i sees steps 0 … i only. */
  readonly causal?: boolean;
}

/** Masks of a {@link TransformerDecoder}; see {@link MultiheadAttention}. */
export interface DecoderMasks {
  readonly targetMask?: Tensor | null;
  readonly memoryMask?: Tensor | null;
  readonly targetKeyPaddingMask?: Tensor | null;
  readonly memoryKeyPaddingMask?: Tensor | null;
  /** Step i of the target sees its steps 0 … i only; quicker than a mask that says so. */
  readonly causal?: boolean;
}

/** Masks of a step of a {@link TransformerDecoder}: those of the keys so far, the step's own included, and of the memory's. */
export type StepMasks = Pick<DecoderMasks, 'targetKeyPaddingMask' | 'memoryKeyPaddingMask'>;

/** Keys and values (B, heads, T, E / heads) of a {@link TransformerDecoderLayer}: of the target so far, and of the memory. */
export interface DecoderLayerCache {
  /** null before the first step. */
  readonly keys: Tensor | null;
  readonly values: Tensor | null;
  readonly memoryKeys: Tensor;
  readonly memoryValues: Tensor;
}

/** What both layers share: feed-forward, norms and dropout, in PyTorch's order of members. */
abstract class TransformerLayer extends Module {
  readonly normFirst: boolean;
  readonly activation: 'relu' | 'gelu';

  constructor(options: TransformerLayerOptions) {
    super();
    const name = this.constructor.name;
    this.normFirst = checkBoolean(name, 'normFirst', options.normFirst ?? false);
    this.activation = checkOneOf(name, 'activation', options.activation ?? 'relu', ['relu', 'gelu']);
  }

  protected activate(x: Tensor): Tensor {
    return this.activation === 'relu' ? relu(x) : gelu(x);
  }

  /** x + part(norm(x)), or norm(x + part(x)). */
  protected around(x: Tensor, norm: LayerNorm, part: (x: Tensor) => Tensor): Tensor {
    return this.normFirst ? add(x, part(norm.forward(x))) : norm.forward(add(x, part(x)));
  }
}

interface Sizes {
  hidden: number;
  p: number;
  eps: number;
  inner: { dtype?: DType; generator?: Generator | undefined };
  attention: { dropout: number; batchFirst: boolean; dtype?: DType; generator?: Generator | undefined };
}

function sizesOf(options: TransformerLayerOptions): Sizes {
  const { dimFeedforward = 2048, dropout = 0.1, layerNormEps = 1e-5, batchFirst = false, dtype, generator } = options;
  checkInteger('Transformer', 'dimFeedforward', dimFeedforward, { min: 1 });
  const inner = { ...(dtype === undefined ? {} : { dtype }), generator };
  return { hidden: dimFeedforward, p: dropout, eps: layerNormEps, inner, attention: { dropout, batchFirst, ...inner } };
}

const dropouts = ({ p, inner }: Sizes): Dropout =>
  inner.generator === undefined ? new Dropout(p) : new Dropout(p, { generator: inner.generator });

const normOf = (dModel: number, { eps, inner }: Sizes): LayerNorm =>
  new LayerNorm(dModel, inner.dtype === undefined ? { eps } : { eps, dtype: inner.dtype });

/** Self-attention and feed-forward, each with a skip connection and a norm (Vaswani et al., 2017); as PyTorch's. */
export class TransformerEncoderLayer extends TransformerLayer {
  readonly self_attn: MultiheadAttention;
  readonly linear1: Linear;
  readonly dropout: Dropout;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly dropout1: Dropout;
  readonly dropout2: Dropout;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super(options);
    const sizes = sizesOf(options);
    this.self_attn = new MultiheadAttention(dModel, nhead, sizes.attention);
    this.linear1 = new Linear(dModel, sizes.hidden, sizes.inner);
    this.dropout = dropouts(sizes);
    this.linear2 = new Linear(sizes.hidden, dModel, sizes.inner);
    this.norm1 = normOf(dModel, sizes);
    this.norm2 = normOf(dModel, sizes);
    this.dropout1 = dropouts(sizes);
    this.dropout2 = dropouts(sizes);
  }

  forward(source: Tensor, { mask = null, keyPaddingMask = null, causal = false }: EncoderMasks = {}): Tensor {
    const x = this.around(source, this.norm1, (y) =>
      this.dropout1.forward(this.self_attn.forward(y, y, y, { attnMask: mask, keyPaddingMask, causal })[0]),
    );
    return this.around(x, this.norm2, (y) =>
      this.dropout2.forward(this.linear2.forward(this.dropout.forward(this.activate(this.linear1.forward(y))))),
    );
  }
}

/** Self-attention, attention to a memory and feed-forward, each with a skip connection and a norm; as PyTorch's. */
export class TransformerDecoderLayer extends TransformerLayer {
  readonly self_attn: MultiheadAttention;
  readonly multihead_attn: MultiheadAttention;
  readonly linear1: Linear;
  readonly dropout: Dropout;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly norm3: LayerNorm;
  readonly dropout1: Dropout;
  readonly dropout2: Dropout;
  readonly dropout3: Dropout;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super(options);
    const sizes = sizesOf(options);
    this.self_attn = new MultiheadAttention(dModel, nhead, sizes.attention);
    this.multihead_attn = new MultiheadAttention(dModel, nhead, sizes.attention);
    this.linear1 = new Linear(dModel, sizes.hidden, sizes.inner);
    this.dropout = dropouts(sizes);
    this.linear2 = new Linear(sizes.hidden, dModel, sizes.inner);
    this.norm1 = normOf(dModel, sizes);
    this.norm2 = normOf(dModel, sizes);
    this.norm3 = normOf(dModel, sizes);
    this.dropout1 = dropouts(sizes);
    this.dropout2 = dropouts(sizes);
    this.dropout3 = dropouts(sizes);
  }

  forward(target: Tensor, memory: Tensor, masks: DecoderMasks = {}): Tensor {
    return this.#whole(target, memory, masks, false)[0];
  }

  /** {@link forward} with the weights of attention to the memory, (B, T, S), their mean over the heads. */
  forwardWithWeights(target: Tensor, memory: Tensor, masks: DecoderMasks = {}): [output: Tensor, weights: Tensor] {
    return this.#whole(target, memory, masks, true) as [Tensor, Tensor];
  }

  #whole(target: Tensor, memory: Tensor, masks: DecoderMasks, needWeights: boolean): [Tensor, Tensor | null] {
    const { targetMask = null, memoryMask = null, causal = false } = masks;
    const { targetKeyPaddingMask = null, memoryKeyPaddingMask = null } = masks;
    const own = { attnMask: targetMask, keyPaddingMask: targetKeyPaddingMask, causal };
    const other = { attnMask: memoryMask, keyPaddingMask: memoryKeyPaddingMask, needWeights };
    let weights: Tensor | null = null;
    const output = this.#through(
      target,
      (y) => this.self_attn.forward(y, y, y, own)[0],
      (y) => {
        const [context, seen] = this.multihead_attn.forward(y, memory, memory, other);
        weights = seen;
        return context;
      },
    );
    return [output, weights];
  }

  /** What {@link step} knows of a memory before the first token. */
  start(memory: Tensor): DecoderLayerCache {
    const [memoryKeys, memoryValues] = this.multihead_attn.keysValues(memory);
    return { keys: null, values: null, memoryKeys, memoryValues };
  }

  /** {@link forward} for the step that follows those in the cache: target (B, 1, E), or (1, B, E). Gives what is known then, too. */
  step(target: Tensor, cache: DecoderLayerCache, masks: StepMasks = {}): [output: Tensor, cache: DecoderLayerCache] {
    const { targetKeyPaddingMask = null, memoryKeyPaddingMask = null } = masks;
    const { memoryKeys, memoryValues } = cache;
    let { keys, values } = cache;
    const output = this.#through(
      target,
      (y) => {
        const [key, value] = this.self_attn.keysValues(y);
        keys = keys === null ? key : cat([keys, key], 2);
        values = values === null ? value : cat([values, value], 2);
        return this.self_attn.attend(y, keys, values, { keyPaddingMask: targetKeyPaddingMask });
      },
      (y) => this.multihead_attn.attend(y, memoryKeys, memoryValues, { keyPaddingMask: memoryKeyPaddingMask }),
    );
    return [output, { keys, values, memoryKeys, memoryValues }];
  }

  #through(target: Tensor, own: (y: Tensor) => Tensor, other: (y: Tensor) => Tensor): Tensor {
    let x = this.around(target, this.norm1, (y) => this.dropout1.forward(own(y)));
    x = this.around(x, this.norm2, (y) => this.dropout2.forward(other(y)));
    return this.around(x, this.norm3, (y) =>
      this.dropout3.forward(this.linear2.forward(this.dropout.forward(this.activate(this.linear1.forward(y))))),
    );
  }
}

/** Layers of a {@link TransformerEncoderLayer}, made by `layer`, and a last norm or none. */
export class TransformerEncoder extends Module {
  readonly layers: ModuleList<TransformerEncoderLayer>;
  readonly norm: LayerNorm | null;

  constructor(layer: (index: number) => TransformerEncoderLayer, numLayers: number, norm: LayerNorm | null = null) {
    super();
    checkInteger('TransformerEncoder', 'numLayers', numLayers, { min: 0 });
    this.layers = new ModuleList(Array.from({ length: numLayers }, (_, i) => layer(i)));
    this.norm = norm;
  }

  forward(source: Tensor, masks: EncoderMasks = {}): Tensor {
    let x = source;
    for (const layer of this.layers) x = layer.forward(x, masks);
    return this.norm === null ? x : this.norm.forward(x);
  }
}

/** Layers of a {@link TransformerDecoderLayer}, made by `layer`, and a last norm or none. */
export class TransformerDecoder extends Module {
  readonly layers: ModuleList<TransformerDecoderLayer>;
  readonly norm: LayerNorm | null;

  constructor(layer: (index: number) => TransformerDecoderLayer, numLayers: number, norm: LayerNorm | null = null) {
    super();
    checkInteger('TransformerDecoder', 'numLayers', numLayers, { min: 0 });
    this.layers = new ModuleList(Array.from({ length: numLayers }, (_, i) => layer(i)));
    this.norm = norm;
  }

  forward(target: Tensor, memory: Tensor, masks: DecoderMasks = {}): Tensor {
    let x = target;
    for (const layer of this.layers) x = layer.forward(x, memory, masks);
    return this.norm === null ? x : this.norm.forward(x);
  }

  /** {@link forward} with each layer's weights of attention to the memory; see {@link TransformerDecoderLayer.forwardWithWeights}. */
  forwardWithWeights(target: Tensor, memory: Tensor, masks: DecoderMasks = {}): [output: Tensor, weights: Tensor[]] {
    let x = target;
    const weights = Array.from(this.layers, (layer) => {
      const [y, seen] = layer.forwardWithWeights(x, memory, masks);
      x = y;
      return seen;
    });
    return [this.norm === null ? x : this.norm.forward(x), weights];
  }

  /** What {@link step} knows of a memory before the first token, for each layer. */
  start(memory: Tensor): DecoderLayerCache[] {
    return Array.from(this.layers, (layer) => layer.start(memory));
  }

  /** {@link forward} step by step, each with the keys and values of those before; see {@link TransformerDecoderLayer.step}. */
  step(
    target: Tensor,
    caches: readonly DecoderLayerCache[],
    masks: StepMasks = {},
  ): [output: Tensor, caches: DecoderLayerCache[]] {
    let x = target;
    const next = Array.from(this.layers, (layer, i) => {
      const [y, cache] = layer.step(x, caches[i]!, masks);
      x = y;
      return cache;
    });
    return [this.norm === null ? x : this.norm.forward(x), next];
  }
}

/** Options of {@link Transformer}. */
export interface TransformerOptions extends TransformerLayerOptions {
  readonly dModel?: number;
  readonly nhead?: number;
  readonly numEncoderLayers?: number;
  readonly numDecoderLayers?: number;
}

/**
 * Encoder and decoder of "Attention is all you need" (Vaswani et al., 2017) without embeddings, as PyTorch's `nn.Transformer`: 44,140,544
 * parameters at its defaults (6 + 6 layers, dModel 512, 8 heads, 2048). Matrices start Xavier-uniform.
 */
export class Transformer extends Module {
  readonly encoder: TransformerEncoder;
  readonly decoder: TransformerDecoder;
  readonly dModel: number;
  readonly nhead: number;
  readonly batchFirst: boolean;

  constructor(options: TransformerOptions = {}) {
    super();
    const { dModel = 512, nhead = 8, numEncoderLayers = 6, numDecoderLayers = 6, batchFirst = false } = options;
    this.dModel = checkInteger('Transformer', 'dModel', dModel, { min: 1 });
    this.nhead = checkInteger('Transformer', 'nhead', nhead, { min: 1 });
    checkNumber('Transformer', 'dropout', options.dropout ?? 0.1, { min: 0, max: 1 });
    this.batchFirst = checkBoolean('Transformer', 'batchFirst', batchFirst);
    const norm = (): LayerNorm => normOf(dModel, sizesOf(options));
    const encoderLayer = (): TransformerEncoderLayer => new TransformerEncoderLayer(dModel, nhead, options);
    const decoderLayer = (): TransformerDecoderLayer => new TransformerDecoderLayer(dModel, nhead, options);
    this.encoder = new TransformerEncoder(encoderLayer, numEncoderLayers, norm());
    this.decoder = new TransformerDecoder(decoderLayer, numDecoderLayers, norm());
    for (const p of this.parameters()) if (p.ndim > 1) xavierUniform_(p, { generator: options.generator });
  }

  /** source (S, B, E) and target (T, B, E), or batch first; the source itself when left out. Gives the target's shape. */
  forward(
    source: Tensor,
    target: Tensor = source,
    {
      sourceMask = null,
      sourceKeyPaddingMask = null,
      ...masks
    }: DecoderMasks & { readonly sourceMask?: Tensor | null; readonly sourceKeyPaddingMask?: Tensor | null } = {},
  ): Tensor {
    for (const [name, x] of Object.entries({ source, target })) {
      if (x.shape[x.ndim - 1] !== this.dModel) {
        throw new ShapeError(
          `Transformer: expected ${name} of shape [..., ${this.dModel}], got [${x.shape.join(', ')}]`,
        );
      }
    }
    const memory = this.encoder.forward(source, { mask: sourceMask, keyPaddingMask: sourceKeyPaddingMask });
    return this.decoder.forward(target, memory, masks);
  }
}

/**
 * The Transformer block as the lectures write it, without norms: H = x + attention(x), then FC(FC(H)) + H, with an activation between
 * both layers.
 */
export class LiteralTransformerBlock extends Module {
  readonly attn: MultiheadAttention;
  readonly fc1: Linear;
  readonly fc2: Linear;

  constructor(
    dModel: number,
    nhead: number,
    options: Pick<TransformerLayerOptions, 'dimFeedforward' | 'dtype' | 'generator'> = {},
  ) {
    super();
    const sizes = sizesOf({ dimFeedforward: 4 * dModel, ...options, dropout: 0, batchFirst: true });
    this.attn = new MultiheadAttention(dModel, nhead, sizes.attention);
    this.fc1 = new Linear(dModel, sizes.hidden, sizes.inner);
    this.fc2 = new Linear(sizes.hidden, dModel, sizes.inner);
  }

  /** x (B, T, dModel). */
  forward(x: Tensor, { causal = false }: { readonly causal?: boolean } = {}): Tensor {
    const h = add(x, this.attn.forward(x, x, x, { causal })[0]);
    return add(this.fc2.forward(relu(this.fc1.forward(h))), h);
  }
}
