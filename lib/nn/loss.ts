import { checkBoolean, checkInteger, checkNumber, checkOneOf, show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import {
  cosineSimilarity,
  pairwiseDistance,
  type CosineSimilarityOptions,
  type PairwiseDistanceOptions,
} from '../ops/distance.js';
import { crossEntropy, nllLoss } from '../ops/loss.js';
import { checkReduction, type LossOptions, type Reduction } from '../ops/loss_common.js';
import {
  cosineEmbeddingLoss,
  hingeEmbeddingLoss,
  marginRankingLoss,
  multiMarginLoss,
  softMarginLoss,
  tripletMarginLoss,
  type MultiMarginLossOptions,
  type TripletMarginLossOptions,
} from '../ops/loss_margins.js';
import {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  gaussianNllLoss,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  multilabelSoftMarginLoss,
  poissonNllLoss,
  smoothL1Loss,
  type GaussianNllLossOptions,
  type KlDivOptions,
  type PoissonNllLossOptions,
} from '../ops/loss_pairs.js';
import { formatShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { Module } from './module.js';

// Each module holds the options of the function of the same name; `weight` and `pos_weight` are buffers, as in PyTorch.

type Check = 'number' | 'boolean';

/** A loss without tensors of its own. */
abstract class PlainLoss<Options extends object> extends Module {
  /** What the function is called with. */
  readonly options: Readonly<Options>;

  constructor(options: Options, kinds: Readonly<Record<string, Check>> = {}) {
    super();
    const name = new.target.name;
    for (const [key, value] of Object.entries(options) as [string, unknown][]) {
      if (value === undefined) continue;
      if (key === 'reduction') {
        checkOneOf(
          name,
          key,
          value,
          name === 'KLDivLoss' ? ['none', 'mean', 'sum', 'batchmean'] : ['none', 'mean', 'sum'],
        );
      } else if (kinds[key] === 'number') checkNumber(name, key, value, { finite: key !== 'p' });
      else if (kinds[key] === 'boolean') checkBoolean(name, key, value);
      else throw new ValueError(`${name}: there is no option ${show(key)}`);
    }
    this.options = { ...options };
  }

  protected override extraRepr(): string {
    return Object.entries(this.options)
      .map(([key, value]) => `${key}=${String(value)}`)
      .join(', ');
  }
}

/** Checks class weights given to a constructor. */
function checkWeight(name: string, weight: unknown): Tensor | undefined {
  if (weight === undefined || weight === null) return undefined;
  if (!(weight instanceof Tensor)) throw new ValueError(`${name}: expected weight to be a Tensor, got ${show(weight)}`);
  return weight;
}

/** Options of {@link NLLLoss}. */
export interface NLLLossOptions {
  /** One factor per class, (C); mean divides by the sum of the factors that count. */
  readonly weight?: Tensor;
  /** `mean`. */
  readonly reduction?: Reduction;
  /** Examples with this target do not count; −100. */
  readonly ignoreIndex?: number;
}

/** Options of {@link CrossEntropyLoss}. */
export interface CrossEntropyLossOptions extends NLLLossOptions {
  /** Share of the target probability that is spread over all classes, 0 to 1; 0. */
  readonly labelSmoothing?: number;
}

/** A loss of classes, each with a weight. */
abstract class ClassLoss extends Module {
  readonly weight: Tensor | null;
  readonly reduction: Reduction;
  readonly ignoreIndex: number;

  constructor({ weight, reduction = 'mean', ignoreIndex = -100 }: NLLLossOptions) {
    super();
    const name = new.target.name;
    const given = checkWeight(name, weight);
    if (given !== undefined && given.ndim !== 1) {
      throw new ShapeError(`${name}: expected weight of shape [C], got ${formatShape(given.shape)}`);
    }
    this.weight = given === undefined ? null : this.registerBuffer('weight', given);
    this.reduction = checkReduction(name, reduction);
    this.ignoreIndex = checkInteger(name, 'ignoreIndex', ignoreIndex);
  }
}

/**
 * −log softmax(logits)[target]: logits (N, C, …) with targets (N, …) of int32 or with probabilities of their shape, to a scalar,
 * or with reduction `none` (N, …).
 */
export class CrossEntropyLoss extends ClassLoss {
  readonly labelSmoothing: number;

  constructor({ labelSmoothing = 0, ...options }: CrossEntropyLossOptions = {}) {
    super(options);
    this.labelSmoothing = checkNumber('CrossEntropyLoss', 'labelSmoothing', labelSmoothing, { min: 0, max: 1 });
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    const { weight, reduction, ignoreIndex, labelSmoothing } = this;
    return crossEntropy(logits, target, { reduction, ignoreIndex, labelSmoothing, weight });
  }
}

/** −x[target] of log-probabilities (N, C, …). See {@link nllLoss}. */
export class NLLLoss extends ClassLoss {
  constructor(options: NLLLossOptions = {}) {
    super(options);
  }

  forward(x: Tensor, target: Tensor): Tensor {
    const { weight, reduction, ignoreIndex } = this;
    return nllLoss(x, target, { reduction, ignoreIndex, weight });
  }
}

/** (x − y)² of two tensors of one shape, to a scalar or with reduction `none` to that shape. */
export class MSELoss extends PlainLoss<LossOptions> {
  constructor(options: LossOptions = {}) {
    super(options);
  }

  forward(x: Tensor, y: Tensor): Tensor {
    return mseLoss(x, y, this.options);
  }
}

/** |x − y|. See {@link l1Loss}. */
export class L1Loss extends PlainLoss<LossOptions> {
  constructor(options: LossOptions = {}) {
    super(options);
  }

  forward(x: Tensor, y: Tensor): Tensor {
    return l1Loss(x, y, this.options);
  }
}

/** Squares below `beta`, lines above. See {@link smoothL1Loss}. */
export class SmoothL1Loss extends PlainLoss<LossOptions & { beta?: number }> {
  constructor(options: LossOptions & { beta?: number } = {}) {
    super(options, { beta: 'number' });
  }

  forward(x: Tensor, y: Tensor): Tensor {
    return smoothL1Loss(x, y, this.options);
  }
}

/** Squares below `delta`, lines above. See {@link huberLoss}. */
export class HuberLoss extends PlainLoss<LossOptions & { delta?: number }> {
  constructor(options: LossOptions & { delta?: number } = {}) {
    super(options, { delta: 'number' });
  }

  forward(x: Tensor, y: Tensor): Tensor {
    return huberLoss(x, y, this.options);
  }
}

/** Of probabilities. See {@link binaryCrossEntropy}. */
export class BCELoss extends Module {
  readonly weight: Tensor | null;
  readonly reduction: Reduction;

  constructor({ weight, reduction = 'mean' }: LossOptions & { weight?: Tensor } = {}) {
    super();
    const given = checkWeight('BCELoss', weight);
    this.weight = given === undefined ? null : this.registerBuffer('weight', given);
    this.reduction = checkReduction('BCELoss', reduction);
  }

  forward(x: Tensor, y: Tensor): Tensor {
    return binaryCrossEntropy(x, y, { weight: this.weight, reduction: this.reduction });
  }
}

/** Of logits. See {@link binaryCrossEntropyWithLogits}. */
export class BCEWithLogitsLoss extends Module {
  readonly weight: Tensor | null;
  readonly pos_weight: Tensor | null;
  readonly reduction: Reduction;

  constructor({ weight, posWeight, reduction = 'mean' }: LossOptions & { weight?: Tensor; posWeight?: Tensor } = {}) {
    super();
    const [all, positive] = [checkWeight('BCEWithLogitsLoss', weight), checkWeight('BCEWithLogitsLoss', posWeight)];
    this.weight = all === undefined ? null : this.registerBuffer('weight', all);
    this.pos_weight = positive === undefined ? null : this.registerBuffer('pos_weight', positive);
    this.reduction = checkReduction('BCEWithLogitsLoss', reduction);
  }

  forward(x: Tensor, y: Tensor): Tensor {
    const { weight, pos_weight: posWeight, reduction } = this;
    return binaryCrossEntropyWithLogits(x, y, { weight, posWeight, reduction });
  }
}

/** The divergence of distributions. See {@link klDiv}. */
export class KLDivLoss extends PlainLoss<KlDivOptions> {
  constructor(options: KlDivOptions = {}) {
    super(options, { logTarget: 'boolean' });
  }

  forward(x: Tensor, target: Tensor): Tensor {
    return klDiv(x, target, this.options);
  }
}

/** Normal distributions. See {@link gaussianNllLoss}. */
export class GaussianNLLLoss extends PlainLoss<GaussianNllLossOptions> {
  constructor(options: GaussianNllLossOptions = {}) {
    super(options, { full: 'boolean', eps: 'number' });
  }

  forward(x: Tensor, target: Tensor, variance: Tensor): Tensor {
    return gaussianNllLoss(x, target, variance, this.options);
  }
}

/** Poisson distributions. See {@link poissonNllLoss}. */
export class PoissonNLLLoss extends PlainLoss<PoissonNllLossOptions> {
  constructor(options: PoissonNllLossOptions = {}) {
    super(options, { logInput: 'boolean', full: 'boolean', eps: 'number' });
  }

  forward(x: Tensor, target: Tensor): Tensor {
    return poissonNllLoss(x, target, this.options);
  }
}

/** Distances of pairs. See {@link hingeEmbeddingLoss}. */
export class HingeEmbeddingLoss extends PlainLoss<LossOptions & { margin?: number }> {
  constructor(options: LossOptions & { margin?: number } = {}) {
    super(options, { margin: 'number' });
  }

  forward(x: Tensor, y: Tensor): Tensor {
    return hingeEmbeddingLoss(x, y, this.options);
  }
}

/** Which of two is to rank above. See {@link marginRankingLoss}. */
export class MarginRankingLoss extends PlainLoss<LossOptions & { margin?: number }> {
  constructor(options: LossOptions & { margin?: number } = {}) {
    super(options, { margin: 'number' });
  }

  forward(x1: Tensor, x2: Tensor, y: Tensor): Tensor {
    return marginRankingLoss(x1, x2, y, this.options);
  }
}

/** log(1 + e^(−y x)). See {@link softMarginLoss}. */
export class SoftMarginLoss extends PlainLoss<LossOptions> {
  constructor(options: LossOptions = {}) {
    super(options);
  }

  forward(x: Tensor, y: Tensor): Tensor {
    return softMarginLoss(x, y, this.options);
  }
}

/** Anchors, what is near to them and what is not. See {@link tripletMarginLoss}. */
export class TripletMarginLoss extends PlainLoss<TripletMarginLossOptions> {
  constructor(options: TripletMarginLossOptions = {}) {
    super(options, { margin: 'number', p: 'number', eps: 'number', swap: 'boolean' });
  }

  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return tripletMarginLoss(anchor, positive, negative, this.options);
  }
}

/** Angles of pairs. See {@link cosineEmbeddingLoss}. */
export class CosineEmbeddingLoss extends PlainLoss<LossOptions & { margin?: number }> {
  constructor(options: LossOptions & { margin?: number } = {}) {
    super(options, { margin: 'number' });
  }

  forward(x1: Tensor, x2: Tensor, y: Tensor): Tensor {
    return cosineEmbeddingLoss(x1, x2, y, this.options);
  }
}

/** Scores of classes. See {@link multiMarginLoss}. */
export class MultiMarginLoss extends PlainLoss<Omit<MultiMarginLossOptions, 'weight'>> {
  readonly weight: Tensor | null;

  constructor({ weight, ...options }: MultiMarginLossOptions = {}) {
    super(options, { p: 'number', margin: 'number' });
    const given = checkWeight('MultiMarginLoss', weight);
    this.weight = given === undefined ? null : this.registerBuffer('weight', given);
  }

  forward(x: Tensor, target: Tensor): Tensor {
    return multiMarginLoss(x, target, { ...this.options, weight: this.weight });
  }
}

/** Scores of classes of which any number may hold. See {@link multilabelSoftMarginLoss}. */
export class MultiLabelSoftMarginLoss extends PlainLoss<LossOptions> {
  readonly weight: Tensor | null;

  constructor({ weight, ...options }: LossOptions & { weight?: Tensor } = {}) {
    super(options);
    const given = checkWeight('MultiLabelSoftMarginLoss', weight);
    this.weight = given === undefined ? null : this.registerBuffer('weight', given);
  }

  forward(x: Tensor, y: Tensor): Tensor {
    return multilabelSoftMarginLoss(x, y, { ...this.options, weight: this.weight });
  }
}

/** Cosines of angles. See {@link cosineSimilarity}. */
export class CosineSimilarity extends PlainLoss<CosineSimilarityOptions> {
  constructor(options: CosineSimilarityOptions = {}) {
    super(options, { dim: 'number', eps: 'number' });
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    return cosineSimilarity(x1, x2, this.options);
  }
}

/** Norms of differences. See {@link pairwiseDistance}. */
export class PairwiseDistance extends PlainLoss<PairwiseDistanceOptions> {
  constructor(options: PairwiseDistanceOptions = {}) {
    super(options, { p: 'number', eps: 'number', keepdim: 'boolean' });
  }

  forward(x1: Tensor, x2: Tensor): Tensor {
    return pairwiseDistance(x1, x2, this.options);
  }
}
