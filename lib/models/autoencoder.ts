import { checkInteger, checkNumber, checkOneOf, show } from '../check.js';
import { ValueError } from '../errors.js';
import { ReLU, Sigmoid, Tanh } from '../nn/activation.js';
import { Sequential } from '../nn/container.js';
import { Linear } from '../nn/linear.js';
import { Module, type UnaryModule } from '../nn/module.js';
import { checkFloat } from '../ops/apply.js';
import { where } from '../ops/create.js';
import { rand, randn } from '../ops/random.js';
import type { Generator } from '../random.js';
import type { Tensor } from '../tensor.js';
import type { ModelOptions } from './mlp.js';

/** Options of {@link Autoencoder}. */
export interface AutoencoderOptions extends ModelOptions {
  /** Between linear layers; `relu`. */
  readonly activation?: 'relu' | 'sigmoid' | 'tanh';
  /** After the code; `linear` (nothing). */
  readonly code?: 'linear' | 'relu' | 'sigmoid';
  /** After the last layer; `linear` (nothing), or `sigmoid` for data in [0, 1]. */
  readonly output?: 'linear' | 'sigmoid';
}

const activations = { relu: ReLU, sigmoid: Sigmoid, tanh: Tanh } as const;

function stack(widths: readonly number[], activation: keyof typeof activations, last: string, options: ModelOptions) {
  const modules: UnaryModule[] = [];
  for (let i = 1; i < widths.length; i++) {
    modules.push(new Linear(widths[i - 1]!, widths[i]!, options));
    if (i < widths.length - 1) modules.push(new activations[activation]());
    else if (last !== 'linear') modules.push(new activations[last as 'relu' | 'sigmoid']());
  }
  return new Sequential(...modules);
}

/**
 * A deep autoencoder: an encoder to a narrow code and a decoder back. `sizes` runs from the input to the code; the decoder
 * mirrors it. x (N, sizes[0]), or more dimensions after the first that hold as many elements, to its reconstruction (N,
 * sizes[0]). Trained by the squared error against x itself. State dict: `encoder.0.weight`, …, `decoder.0.weight`, …. Hinton &
 * Salakhutdinov, "Reducing the dimensionality of data with neural networks" (2006).
 */
export class Autoencoder extends Module {
  readonly encoder: Sequential;
  readonly decoder: Sequential;

  constructor(sizes: readonly number[], options: AutoencoderOptions = {}) {
    super();
    const { activation = 'relu', code = 'linear', output = 'linear', ...rest } = options;
    if (!Array.isArray(sizes) || sizes.length < 2) {
      throw new ValueError(`Autoencoder: expected sizes to be two numbers or more, got ${show(sizes)}`);
    }
    const widths = (sizes as readonly unknown[]).map((n) => checkInteger('Autoencoder', 'sizes', n, { min: 1 }));
    checkOneOf('Autoencoder', 'activation', activation, ['relu', 'sigmoid', 'tanh']);
    checkOneOf('Autoencoder', 'code', code, ['linear', 'relu', 'sigmoid']);
    checkOneOf('Autoencoder', 'output', output, ['linear', 'sigmoid']);
    this.encoder = stack(widths, activation, code, rest);
    this.decoder = stack([...widths].reverse(), activation, output, rest);
  }

  /** The code of each row, (N, sizes.at(-1)). */
  encode(x: Tensor): Tensor {
    return this.encoder.forward(x.ndim > 2 ? x.flatten(1) : x);
  }

  /** Codes back to rows, (N, sizes[0]). */
  decode(h: Tensor): Tensor {
    return this.decoder.forward(h);
  }

  forward(x: Tensor): Tensor {
    return this.decode(this.encode(x));
  }
}

/**
 * One linear layer to `code` numbers and one back. Trained by the squared error it spans the subspace of the first `code`
 * principal components (Baldi & Hornik, 1989), so its error is that of {@link PCA}.
 */
export class LinearAutoencoder extends Autoencoder {
  constructor(inputs: number, code: number, options: ModelOptions = {}) {
    super([inputs, code], options);
  }
}

/** What {@link Corruption} does to an input. */
export type CorruptionKind = 'masking' | 'gaussian' | 'salt-and-pepper';

/**
 * The corruption x̃ ~ C(·|x) of a denoising autoencoder, in training mode only. `masking` sets each element to 0 with
 * probability `level`, `salt-and-pepper` to 0 or 1, `gaussian` adds N(0, level²).
 */
export class Corruption extends Module {
  constructor(
    readonly kind: CorruptionKind = 'masking',
    readonly level = 0.3,
    readonly generator?: Generator | undefined,
  ) {
    super();
    checkOneOf('Corruption', 'kind', kind, ['masking', 'gaussian', 'salt-and-pepper']);
    checkNumber('Corruption', 'level', level, { min: 0, ...(kind === 'gaussian' ? {} : { max: 1 }) });
  }

  forward(x: Tensor): Tensor {
    checkFloat('Corruption', 'x', x);
    if (!this.training || this.level === 0) return x;
    const { kind, level, generator } = this;
    const { dtype } = x;
    if (kind === 'gaussian') return x.add(randn(x.shape, { dtype, generator }).mul(level));
    const u = rand(x.shape, { dtype, generator });
    if (kind === 'masking') return where(u.lt(level), 0, x);
    return where(u.lt(level), u.lt(level / 2).to(dtype), x);
  }
}

/**
 * A denoising autoencoder: in training it sees a corrupted input and is asked for the clean one. Vincent et al., "Extracting and
 * composing robust features with denoising autoencoders" (2008).
 */
export class DenoisingAutoencoder extends Autoencoder {
  readonly corruption: Corruption;

  constructor(
    sizes: readonly number[],
    {
      corruption = 'masking',
      level = 0.3,
      ...options
    }: AutoencoderOptions & { readonly corruption?: CorruptionKind; readonly level?: number } = {},
  ) {
    super(sizes, options);
    this.corruption = new Corruption(corruption, level, options.generator);
  }

  override forward(x: Tensor): Tensor {
    return super.forward(this.corruption.forward(x));
  }
}

/** Options of {@link SparseAutoencoder}. */
export interface SparseAutoencoderOptions extends AutoencoderOptions {
  /** `l1`, the mean over rows of Σ|h| (the default), or `kl`, Σ KL(target ‖ mean activity) of units in (0, 1). */
  readonly penalty?: 'l1' | 'kl';
  /** Weight of the penalty; 1e-3. */
  readonly weight?: number;
  /** Wanted mean activity of a unit for `kl`; 0.05. */
  readonly target?: number;
}

/**
 * A sparse autoencoder, trained by L + Ω(h): after each forward pass {@link penalty} is the weighted Ω(h) of its codes, to be
 * added to the loss. The code is followed by ReLU, for `kl` by a sigmoid.
 *
 * @example const loss = mseLoss(model.forward(x), x).add(model.penalty!);
 */
export class SparseAutoencoder extends Autoencoder {
  /** weight · Ω(h) of the last forward pass, or null before the first. */
  penalty: Tensor | null = null;
  readonly #kind: 'l1' | 'kl';
  readonly #weight: number;
  readonly #target: number;

  constructor(sizes: readonly number[], options: SparseAutoencoderOptions = {}) {
    const { penalty = 'l1', weight = 1e-3, target = 0.05, ...rest } = options;
    super(sizes, { code: penalty === 'kl' ? 'sigmoid' : 'relu', ...rest });
    this.#kind = checkOneOf('SparseAutoencoder', 'penalty', penalty, ['l1', 'kl']);
    this.#weight = checkNumber('SparseAutoencoder', 'weight', weight, { min: 0 });
    this.#target = checkNumber('SparseAutoencoder', 'target', target, { min: 1e-6, max: 1 - 1e-6 });
  }

  override forward(x: Tensor): Tensor {
    const h = this.encode(x);
    this.penalty = (this.#kind === 'l1' ? h.abs().sum(1).mean() : divergence(this.#target, h.mean(0))).mul(
      this.#weight,
    );
    return this.decode(h);
  }
}

/** Σ_j ρ ln(ρ / a_j) + (1 − ρ) ln((1 − ρ) / (1 − a_j)) for activities a (H) in (0, 1). */
function divergence(rho: number, activity: Tensor): Tensor {
  const a = activity.clamp(1e-6, 1 - 1e-6);
  const constant = rho * Math.log(rho) + (1 - rho) * Math.log(1 - rho);
  const cross = a
    .log()
    .mul(rho)
    .add(
      a
        .neg()
        .add(1)
        .log()
        .mul(1 - rho),
    );
  return cross.neg().add(constant).sum();
}
