import { keep } from '../autograd/scope.js';
import { noGrad } from '../autograd/graph.js';
import { free, isMeta, Owner } from '../native/storage.js';
import { relu } from '../ops/activation.js';
import { recording } from '../ops/apply.js';
import type { Tensor } from '../tensor.js';
import { BatchNorm1d, BatchNorm2d } from './batch_norm.js';
import { Conv1d, Conv2d } from './conv.js';

type Convolution = Conv1d | Conv2d;
type BatchNorm = BatchNorm1d | BatchNorm2d;

/** Options of {@link convNorm}. */
export interface ConvNormOptions {
  /** Added to the normalised result, before the activation; of its shape. */
  readonly add?: Tensor | null;
  /** `'none'` (the default) or `'relu'`. */
  readonly activation?: 'none' | 'relu';
}

/** Whether `module` is a convolution whose `forward` no subclass has changed. @internal */
export const isConvolution = (module: unknown): module is Convolution =>
  (module instanceof Conv2d && module.forward === Conv2d.prototype.forward) ||
  (module instanceof Conv1d && module.forward === Conv1d.prototype.forward);

/** Likewise of a batch norm. @internal */
export const isBatchNorm = (module: unknown): module is BatchNorm =>
  (module instanceof BatchNorm2d && module.forward === BatchNorm2d.prototype.forward) ||
  (module instanceof BatchNorm1d && module.forward === BatchNorm1d.prototype.forward);

/**
 * activation(norm(conv(x)) + add): what networks of convolutions consist of. In evaluation, where nothing is differentiated, it
 * is one pass: the normalisation becomes a factor and a shift of the convolution's channels. Otherwise results in between are
 * freed as soon as nothing needs them. Forward hooks of both modules see what they always see.
 *
 * @example const y = convNorm(x, this.conv1, this.bn1, { activation: 'relu' });
 */
export function convNorm(
  x: Tensor,
  conv: Convolution,
  norm: BatchNorm,
  { add = null, activation = 'none' }: ConvNormOptions = {},
): Tensor {
  const affine = foldable(x, conv, norm) ? foldedOf(conv, norm) : null;
  let y: Tensor;
  // Whether nobody else can know y.
  let own = true;
  if (affine !== null) {
    y = conv.forwardScaled(x, affine.scale, affine.shift, add === null ? activation : 'none');
    if (add === null) return y;
  } else {
    const h = conv.forward(x);
    y = norm.forward(h);
    if (!conv.hooked) spend(h, y);
    own = !norm.hooked;
  }
  for (const next of [add === null ? null : (t: Tensor) => t.add(add), activation === 'relu' ? relu : null]) {
    if (next === null) continue;
    const z = next(y);
    if (own) spend(y, z);
    y = z;
    own = true;
  }
  return y;
}

/** Frees a result that has been used up, unless the graph needs it or `by` looks at it. */
function spend(t: Tensor, by: Tensor): void {
  const { storage } = t;
  if (storage !== by.storage && storage.saved === 0 && storage.owner < Owner.Freed) free(storage);
}

function foldable(x: Tensor, conv: Convolution, norm: BatchNorm): boolean {
  return (
    !norm.training &&
    norm.running_mean !== null &&
    norm.numFeatures === conv.outChannels &&
    norm.running_mean.dtype === conv.weight.dtype &&
    !conv.hooked &&
    !norm.hooked &&
    isConvolution(conv) &&
    isBatchNorm(norm) &&
    x.ndim === conv.weight.ndim &&
    !isMeta() &&
    !recording([x, conv.weight, conv.bias, norm.weight, norm.bias])
  );
}

/** scale · Σ + shift is the normalised convolution; made anew when one of the tensors that they come from has changed. */
interface Folded {
  readonly from: readonly (Tensor | null)[];
  readonly versions: readonly number[];
  readonly eps: number;
  readonly scale: Tensor;
  readonly shift: Tensor;
}

const folded = new WeakMap<BatchNorm, Folded>();

function foldedOf(conv: Convolution, norm: BatchNorm): Folded {
  const from = [norm.running_mean, norm.running_var, norm.weight, norm.bias, conv.bias];
  const known = folded.get(norm);
  if (
    known !== undefined &&
    known.eps === norm.eps &&
    !known.scale.disposed &&
    !known.shift.disposed &&
    from.every((t, i) => t === known.from[i] && (t === null || t.storage.version === known.versions[i]))
  ) {
    return known;
  }
  const versions = from.map((t) => t?.storage.version ?? 0);
  const [mean, variance, weight, bias, convBias] = from as [
    Tensor,
    Tensor,
    Tensor | null,
    Tensor | null,
    Tensor | null,
  ];
  const [scale, shift] = noGrad(() => {
    const rstd = variance.add(norm.eps).rsqrt();
    const factor = weight === null ? rstd : rstd.mul(weight);
    const centre = (convBias === null ? mean.neg() : convBias.sub(mean)).mul(factor);
    return [keep(factor), keep(bias === null ? centre : centre.add(bias))];
  });
  const made: Folded = { from, versions, eps: norm.eps, scale, shift };
  folded.set(norm, made);
  return made;
}
