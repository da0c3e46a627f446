import { checkInteger, checkNumber, checkOneOf, show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { crossEntropy, mseLoss, type Reduction } from '../ops/loss.js';
import { formatShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { Module } from './module.js';

const reductions: readonly Reduction[] = ['none', 'mean', 'sum'];

/** Options of {@link CrossEntropyLoss}. */
export interface CrossEntropyLossOptions {
  /** One factor per class, (C); mean divides by the sum of the factors that count. */
  readonly weight?: Tensor;
  /** `mean`. */
  readonly reduction?: Reduction;
  /** Examples with this target do not count; −100. */
  readonly ignoreIndex?: number;
  /** Share of the target probability that is spread over all classes, 0 to 1; 0. */
  readonly labelSmoothing?: number;
}

/** −log softmax(logits)[target]: logits (N, C), target (N) int32 to a scalar, or (N) with reduction `none`. */
export class CrossEntropyLoss extends Module {
  readonly weight: Tensor | null;
  readonly reduction: Reduction;
  readonly ignoreIndex: number;
  readonly labelSmoothing: number;

  constructor(options: CrossEntropyLossOptions = {}) {
    super();
    const { weight, reduction = 'mean', ignoreIndex = -100, labelSmoothing = 0 } = options;
    if (weight !== undefined && !(weight instanceof Tensor)) {
      throw new ValueError(`CrossEntropyLoss: expected weight to be a Tensor, got ${show(weight)}`);
    }
    if (weight !== undefined && weight.ndim !== 1) {
      throw new ShapeError(`CrossEntropyLoss: expected weight of shape [C], got ${formatShape(weight.shape)}`);
    }
    this.weight = weight === undefined ? null : this.registerBuffer('weight', weight);
    this.reduction = checkOneOf('CrossEntropyLoss', 'reduction', reduction, reductions);
    this.ignoreIndex = checkInteger('CrossEntropyLoss', 'ignoreIndex', ignoreIndex);
    this.labelSmoothing = checkNumber('CrossEntropyLoss', 'labelSmoothing', labelSmoothing, { min: 0, max: 1 });
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    const { weight, reduction, ignoreIndex, labelSmoothing } = this;
    return crossEntropy(logits, target, { reduction, ignoreIndex, labelSmoothing, ...(weight && { weight }) });
  }
}

/** (x − y)² of two tensors of one shape, to a scalar or with reduction `none` to that shape. */
export class MSELoss extends Module {
  readonly reduction: Reduction;

  constructor({ reduction = 'mean' }: { readonly reduction?: Reduction } = {}) {
    super();
    this.reduction = checkOneOf('MSELoss', 'reduction', reduction, reductions);
  }

  forward(x: Tensor, y: Tensor): Tensor {
    return mseLoss(x, y, { reduction: this.reduction });
  }
}
