import { checkBoolean, checkInteger } from '../check.js';
import { noGrad } from '../autograd/graph.js';
import type { DType } from '../dtype.js';
import { ShapeError } from '../errors.js';
import { checkFloat } from '../ops/apply.js';
import { empty } from '../ops/create.js';
import { embedding } from '../ops/indexing.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { normal_ } from './init.js';
import { checkFloatDType } from './linear.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

/** Options of {@link Embedding}. */
export interface EmbeddingOptions {
  /** A row that starts as zeros and gets no gradient; negative counts from the end. */
  readonly paddingIdx?: number | null;
  /**
   * Whether backward gives `weight` the gradient of the rows that were looked up and not of all, which is quicker with many rows:
   * `weight.grad` stays null, and `SGD` without momentum, `Adagrad` and `SparseAdam` update those rows alone; false.
   */
  readonly sparse?: boolean;
  /** `float32` (the default) or `float64`. */
  readonly dtype?: DType;
  readonly generator?: Generator | undefined;
}

/** A table of vectors: indices (…) of int32 to (…, embeddingDim). `weight` (numEmbeddings, embeddingDim) starts as N(0, 1). */
export class Embedding extends Module {
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly paddingIdx: number | null;
  readonly sparse: boolean;
  /** May be set to another layer's parameter, to share it. */
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingOptions = {}) {
    super();
    const { paddingIdx = null, sparse = false, dtype = 'float32', generator } = options;
    this.sparse = checkBoolean('Embedding', 'sparse', sparse);
    this.numEmbeddings = checkInteger('Embedding', 'numEmbeddings', numEmbeddings, { min: 1 });
    this.embeddingDim = checkInteger('Embedding', 'embeddingDim', embeddingDim, { min: 1 });
    checkFloatDType('Embedding', dtype);
    if (paddingIdx !== null) {
      checkInteger('Embedding', 'paddingIdx', paddingIdx, { min: -numEmbeddings, max: numEmbeddings - 1 });
    }
    this.paddingIdx = paddingIdx === null || paddingIdx >= 0 ? paddingIdx : paddingIdx + numEmbeddings;
    this.weight = new Parameter(empty([numEmbeddings, embeddingDim], { dtype }));
    this.resetParameters(generator);
  }

  /** A layer on an existing table (V, D), which is not trained unless `freeze` is false. */
  static fromPretrained(
    table: Tensor,
    { freeze = true, ...options }: Omit<EmbeddingOptions, 'dtype' | 'generator'> & { readonly freeze?: boolean } = {},
  ): Embedding {
    checkBoolean('Embedding.fromPretrained', 'freeze', freeze);
    if (checkFloat('Embedding.fromPretrained', 'table', table).ndim !== 2) {
      throw new ShapeError(`Embedding.fromPretrained: expected table of shape [V, D], got ${formatShape(table.shape)}`);
    }
    const layer = new Embedding(table.shape[0]!, table.shape[1]!, { ...options, dtype: table.dtype });
    noGrad(() => layer.weight.copy_(table));
    layer.weight.requiresGrad = !freeze;
    return layer;
  }

  /** Draws new initial values. */
  resetParameters(generator?: Generator): void {
    normal_(this.weight, 0, 1, generator);
    if (this.paddingIdx !== null) noGrad(() => this.weight.narrow(0, this.paddingIdx!, 1).zero_());
  }

  forward(index: Tensor): Tensor {
    return embedding(index, this.weight, { paddingIdx: this.paddingIdx, sparse: this.sparse });
  }

  protected override extraRepr(): string {
    const padding = this.paddingIdx === null ? '' : `, paddingIdx=${this.paddingIdx}`;
    return `${this.numEmbeddings}, ${this.embeddingDim}${padding}${this.sparse ? ', sparse=true' : ''}`;
  }
}
