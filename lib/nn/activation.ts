import { checkInteger, checkNumber, checkOneOf } from '../check.js';
import {
  celu,
  elu,
  gelu,
  glu,
  hardshrink,
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  logSigmoid,
  maxout,
  mish,
  prelu,
  relu,
  relu6,
  rrelu,
  selu,
  silu,
  softplus,
  softshrink,
  softsign,
  tanhshrink,
  threshold,
} from '../ops/activation.js';
import { full } from '../ops/create.js';
import { sigmoid, tanh } from '../ops/unary.js';
import { logSoftmax, softmax, softmin } from '../ops/softmax.js';
import type { Tensor } from '../tensor.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

// Every activation maps x to a tensor of x's shape and dtype (float32 or float64).

/** max(x, 0). */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/** x where x > 0, else negativeSlope · x (0.01). */
export class LeakyReLU extends Module {
  readonly negativeSlope: number;

  constructor(negativeSlope = 0.01) {
    super();
    this.negativeSlope = checkNumber('LeakyReLU', 'negativeSlope', negativeSlope);
  }

  forward(x: Tensor): Tensor {
    return leakyRelu(x, this.negativeSlope);
  }

  protected override extraRepr(): string {
    return `negativeSlope=${this.negativeSlope}`;
  }
}

/** x where x > 0, else alpha (eˣ − 1), alpha = 1. Clevert et al. (2015). */
export class ELU extends Module {
  readonly alpha: number;

  constructor(alpha = 1) {
    super();
    this.alpha = checkNumber('ELU', 'alpha', alpha);
  }

  forward(x: Tensor): Tensor {
    return elu(x, this.alpha);
  }

  protected override extraRepr(): string {
    return `alpha=${this.alpha}`;
  }
}

/** x Φ(x), or with `approximate: 'tanh'` x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))). Hendrycks & Gimpel (2016). */
export class GELU extends Module {
  readonly approximate: 'none' | 'tanh';

  constructor({ approximate = 'none' }: { readonly approximate?: 'none' | 'tanh' } = {}) {
    super();
    this.approximate = checkOneOf('GELU', 'approximate', approximate, ['none', 'tanh']);
  }

  forward(x: Tensor): Tensor {
    return gelu(x, { approximate: this.approximate });
  }

  protected override extraRepr(): string {
    return `approximate='${this.approximate}'`;
  }
}

/** x σ(x), also called Swish. */
export class SiLU extends Module {
  forward(x: Tensor): Tensor {
    return silu(x);
  }
}

/** 1 / (1 + e⁻ˣ). */
export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return sigmoid(x);
  }
}

/** Hyperbolic tangent. */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return tanh(x);
  }
}

/** log(1 + e^(beta x)) / beta, and x itself where beta x > threshold; beta = 1, threshold = 20. */
export class Softplus extends Module {
  readonly beta: number;
  readonly threshold: number;

  constructor({ beta = 1, threshold = 20 }: { readonly beta?: number; readonly threshold?: number } = {}) {
    super();
    this.beta = checkNumber('Softplus', 'beta', beta);
    this.threshold = checkNumber('Softplus', 'threshold', threshold);
  }

  forward(x: Tensor): Tensor {
    return softplus(x, { beta: this.beta, threshold: this.threshold });
  }

  protected override extraRepr(): string {
    return `beta=${this.beta}, threshold=${this.threshold}`;
  }
}

/** A function along `dim` (the last). */
abstract class AlongDim extends Module {
  readonly dim: number;

  constructor(dim = -1) {
    super();
    this.dim = checkInteger(this.constructor.name, 'dim', dim, { min: -8, max: 7 });
  }

  protected override extraRepr(): string {
    return `dim=${this.dim}`;
  }
}

/** e^(x_i) / Σ e^(x_j) along `dim` (the last). */
export class Softmax extends AlongDim {
  forward(x: Tensor): Tensor {
    return softmax(x, this.dim);
  }
}

/** The logarithm of {@link Softmax} along `dim` (the last), computed without overflow. */
export class LogSoftmax extends AlongDim {
  forward(x: Tensor): Tensor {
    return logSoftmax(x, this.dim);
  }
}

/** x limited to [0, 6]. */
export class ReLU6 extends Module {
  forward(x: Tensor): Tensor {
    return relu6(x);
  }
}

/** scale · ELU with the constants that keep mean 0 and variance 1. Klambauer et al. (2017). */
export class SELU extends Module {
  forward(x: Tensor): Tensor {
    return selu(x);
  }
}

/** x where x > 0, else alpha (e^(x/alpha) − 1), alpha = 1. Barron (2017). */
export class CELU extends Module {
  readonly alpha: number;

  constructor(alpha = 1) {
    super();
    this.alpha = checkNumber('CELU', 'alpha', alpha);
  }

  forward(x: Tensor): Tensor {
    return celu(x, this.alpha);
  }

  protected override extraRepr(): string {
    return `alpha=${this.alpha}`;
  }
}

/** x tanh(log(1 + eˣ)). Misra (2019). */
export class Mish extends Module {
  forward(x: Tensor): Tensor {
    return mish(x);
  }
}

/** x / (1 + |x|). */
export class Softsign extends Module {
  forward(x: Tensor): Tensor {
    return softsign(x);
  }
}

/** x − tanh(x). */
export class Tanhshrink extends Module {
  forward(x: Tensor): Tensor {
    return tanhshrink(x);
  }
}

/** x moved towards 0 by `lambda` (0.5), and 0 where |x| ≤ lambda. */
export class Softshrink extends Module {
  readonly lambda: number;

  constructor(lambda = 0.5) {
    super();
    this.lambda = checkNumber('Softshrink', 'lambda', lambda, { min: 0 });
  }

  forward(x: Tensor): Tensor {
    return softshrink(x, this.lambda);
  }

  protected override extraRepr(): string {
    return `lambda=${this.lambda}`;
  }
}

/** x, and 0 where |x| ≤ `lambda` (0.5). */
export class Hardshrink extends Module {
  readonly lambda: number;

  constructor(lambda = 0.5) {
    super();
    this.lambda = checkNumber('Hardshrink', 'lambda', lambda);
  }

  forward(x: Tensor): Tensor {
    return hardshrink(x, this.lambda);
  }

  protected override extraRepr(): string {
    return `lambda=${this.lambda}`;
  }
}

/** x limited to [min, max], [−1, 1]. */
export class Hardtanh extends Module {
  readonly min: number;
  readonly max: number;

  constructor(min = -1, max = 1) {
    super();
    this.min = checkNumber('Hardtanh', 'min', min);
    this.max = checkNumber('Hardtanh', 'max', max);
  }

  forward(x: Tensor): Tensor {
    return hardtanh(x, this.min, this.max);
  }

  protected override extraRepr(): string {
    return `min=${this.min}, max=${this.max}`;
  }
}

/** min(max(x + 3, 0), 6) / 6. */
export class Hardsigmoid extends Module {
  forward(x: Tensor): Tensor {
    return hardsigmoid(x);
  }
}

/** x · Hardsigmoid(x). Howard et al. (2019). */
export class Hardswish extends Module {
  forward(x: Tensor): Tensor {
    return hardswish(x);
  }
}

/** log σ(x). */
export class LogSigmoid extends Module {
  forward(x: Tensor): Tensor {
    return logSigmoid(x);
  }
}

/** x where x > threshold, else `value`. */
export class Threshold extends Module {
  readonly threshold: number;
  readonly value: number;

  constructor(threshold: number, value: number) {
    super();
    this.threshold = checkNumber('Threshold', 'threshold', threshold);
    this.value = checkNumber('Threshold', 'value', value);
  }

  forward(x: Tensor): Tensor {
    return threshold(x, this.threshold, this.value);
  }

  protected override extraRepr(): string {
    return `threshold=${this.threshold}, value=${this.value}`;
  }
}

/** a σ(b) for the halves a and b of x along `dim` (the last). Dauphin et al. (2016). */
export class GLU extends AlongDim {
  forward(x: Tensor): Tensor {
    return glu(x, this.dim);
  }
}

/** Softmax of −x along `dim` (the last). */
export class Softmin extends AlongDim {
  forward(x: Tensor): Tensor {
    return softmin(x, this.dim);
  }
}

/** x where x > 0, else weight · x with a learned weight: one (the default) or one for each of x's channels. He et al. (2015). */
export class PReLU extends Module {
  readonly numParameters: number;
  /** (numParameters), `init` at first. */
  readonly weight: Parameter;

  constructor(numParameters = 1, { init = 0.25 }: { readonly init?: number } = {}) {
    super();
    this.numParameters = checkInteger('PReLU', 'numParameters', numParameters, { min: 1 });
    this.weight = new Parameter(full([numParameters], checkNumber('PReLU', 'init', init)));
  }

  forward(x: Tensor): Tensor {
    return prelu(x, this.weight);
  }

  protected override extraRepr(): string {
    return `numParameters=${this.numParameters}`;
  }
}

/** x where x > 0, else x times a slope: drawn from [lower, upper) for each element in training, their mean otherwise. Xu et al. (2015). */
export class RReLU extends Module {
  readonly lower: number;
  readonly upper: number;

  constructor(lower = 1 / 8, upper = 1 / 3) {
    super();
    this.lower = checkNumber('RReLU', 'lower', lower);
    this.upper = checkNumber('RReLU', 'upper', upper, { min: lower });
  }

  forward(x: Tensor): Tensor {
    return rrelu(x, { lower: this.lower, upper: this.upper, training: this.training });
  }

  protected override extraRepr(): string {
    return `lower=${this.lower}, upper=${this.upper}`;
  }
}

/** The largest of each `pieces` neighbours along `dim`, the channels (1). Goodfellow et al. (2013). */
export class Maxout extends Module {
  readonly pieces: number;
  readonly dim: number;

  constructor(pieces: number, dim = 1) {
    super();
    this.pieces = checkInteger('Maxout', 'pieces', pieces, { min: 1 });
    this.dim = checkInteger('Maxout', 'dim', dim, { min: -8, max: 7 });
  }

  forward(x: Tensor): Tensor {
    return maxout(x, this.pieces, this.dim);
  }

  protected override extraRepr(): string {
    return `pieces=${this.pieces}, dim=${this.dim}`;
  }
}
