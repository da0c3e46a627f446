import { checkInteger, checkNumber, show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { uniform_ } from '../nn/init.js';
import { Conv2d } from '../nn/conv.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { Parameter } from '../nn/parameter.js';
import { checkFloat } from '../ops/apply.js';
import { conv2d } from '../ops/conv.js';
import { empty, fromTypedArray, zeros } from '../ops/create.js';
import { crossEntropy } from '../ops/loss.js';
import { avgPool2d, maxPool2d } from '../ops/pool.js';
import { relu } from '../ops/activation.js';
import { tanh } from '../ops/unary.js';
import { cat } from '../ops/views.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import type { ModelOptions } from './mlp.js';

/**
 * LeNet-5 as it is built today: ReLU, max-pooling and a linear output; 61,706 parameters. x (N, 1, 28, 28) to logits (N, 10).
 * State dict: `conv1`, `conv2`, `fc1`, `fc2`, `fc3`.
 */
export class LeNet5 extends Module {
  readonly conv1: Conv2d;
  readonly conv2: Conv2d;
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly fc3: Linear;

  constructor({ classes = 10, ...options }: ModelOptions & { readonly classes?: number } = {}) {
    super();
    this.conv1 = new Conv2d(1, 6, 5, { padding: 2, ...options });
    this.conv2 = new Conv2d(6, 16, 5, options);
    this.fc1 = new Linear(400, 120, options);
    this.fc2 = new Linear(120, 84, options);
    this.fc3 = new Linear(84, classes, options);
  }

  forward(x: Tensor): Tensor {
    let h = maxPool2d(relu(this.conv1.forward(x)), 2);
    h = maxPool2d(relu(this.conv2.forward(h)), 2);
    h = relu(this.fc1.forward(h.flatten(1)));
    return this.fc3.forward(relu(this.fc2.forward(h)));
  }
}

/**
 * The smallest convolutional network of a lecture: 32² → 6 maps of 28² → 14² → 16 maps of 10² → 5² → 10 classes, with ReLU and
 * max-pooling. x (N, 1, 32, 32) to logits (N, 10). State dict: `conv1`, `conv2`, `fc`.
 */
export class DigitCNN extends Module {
  readonly conv1: Conv2d;
  readonly conv2: Conv2d;
  readonly fc: Linear;

  constructor(options: ModelOptions = {}) {
    super();
    this.conv1 = new Conv2d(1, 6, 5, options);
    this.conv2 = new Conv2d(6, 16, 5, options);
    this.fc = new Linear(400, 10, options);
  }

  forward(x: Tensor): Tensor {
    const h = maxPool2d(relu(this.conv1.forward(x)), 2);
    return this.fc.forward(maxPool2d(relu(this.conv2.forward(h)), 2).flatten(1));
  }
}

/** U(−2.4/fan, 2.4/fan) for weight and bias, fan the number of inputs of a unit: the start that LeNet-5's paper uses. */
function start(fan: number, generator: Generator | undefined, ...parameters: (Parameter | null)[]): void {
  for (const p of parameters) if (p !== null) uniform_(p, -2.4 / fan, 2.4 / fan, generator);
}

/**
 * A convolution whose output maps see only the input maps that a table names: `weight` (connections, k, k) holds just the kernels
 * that there are, `bias` (maps). `table[o]` lists the input maps of output map o.
 */
export class SparseConv2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  /** For each pair of an output and an input map its kernel's number, or that of a kernel of zeros. */
  readonly #index: Tensor;

  constructor(
    readonly inChannels: number,
    readonly table: readonly (readonly number[])[],
    readonly kernelSize: number,
    { generator }: ModelOptions = {},
  ) {
    super();
    checkInteger('SparseConv2d', 'inChannels', inChannels, { min: 1 });
    checkInteger('SparseConv2d', 'kernelSize', kernelSize, { min: 1 });
    const connections = table.reduce((sum, inputs) => sum + inputs.length, 0);
    const index = new Int32Array(table.length * inChannels).fill(connections);
    let next = 0;
    table.forEach((inputs, o) => {
      for (const i of inputs) {
        if (!(Number.isInteger(i) && i >= 0 && i < inChannels)) {
          throw new ValueError(`SparseConv2d: expected table to hold 0 to ${inChannels - 1}, got ${show(i)}`);
        }
        index[o * inChannels + i] = next++;
      }
    });
    this.#index = this.registerBuffer('index', fromTypedArray(index, [index.length]), { persistent: false });
    this.weight = new Parameter(empty([connections, kernelSize, kernelSize]));
    this.bias = new Parameter(empty([table.length]));
    start((connections / table.length) * kernelSize ** 2, generator, this.weight, this.bias);
  }

  forward(x: Tensor): Tensor {
    const { table, inChannels, kernelSize: k } = this;
    const none = zeros([1, k, k], { dtype: this.weight.dtype });
    const kernels = cat([this.weight, none]).indexSelect(0, this.#index);
    return conv2d(x, kernels.reshape([table.length, inChannels, k, k]), this.bias);
  }
}

/** Sums of 2×2 pixels times a weight plus a bias, one of each a map. x (N, C, H, W) to (N, C, H/2, W/2). */
export class TrainableSubsampling extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(channels: number, { generator }: ModelOptions = {}) {
    super();
    checkInteger('TrainableSubsampling', 'channels', channels, { min: 1 });
    this.weight = new Parameter(empty([channels]));
    this.bias = new Parameter(empty([channels]));
    start(4, generator, this.weight, this.bias);
  }

  forward(x: Tensor): Tensor {
    const perMap = (p: Tensor): Tensor => p.reshape([-1, 1, 1]);
    return avgPool2d(x, 2)
      .mul(perMap(this.weight.mul(4)))
      .add(perMap(this.bias));
  }
}

/**
 * Euclidean radial basis functions: y_i = Σ_j (x_j − w_ij)², the penalty of class i. The prototypes w (classes, features) are not
 * trained. x (N, features) to (N, classes).
 */
export class RBFOutput extends Module {
  readonly weight: Parameter;

  constructor(prototypes: Tensor) {
    super();
    if (checkFloat('RBFOutput', 'prototypes', prototypes).ndim !== 2) {
      throw new ShapeError(
        `RBFOutput: expected prototypes of shape [classes, features], got ${formatShape(prototypes.shape)}`,
      );
    }
    this.weight = new Parameter(prototypes, { requiresGrad: false });
  }

  forward(x: Tensor): Tensor {
    const { weight } = this;
    if (checkFloat('RBFOutput', 'x', x).ndim !== 2 || x.shape[1] !== weight.shape[1]) {
      throw new ShapeError(`RBFOutput: expected x of shape [N, ${weight.shape[1]}], got ${formatShape(x.shape)}`);
    }
    return x.unsqueeze(1).sub(weight).square().sum(2);
  }
}

/** Which maps of S2 each map of C3 sees. */
const C3_TABLE: readonly (readonly number[])[] = [
  ...[0, 1, 2, 3, 4, 5].map((i) => [i, (i + 1) % 6, (i + 2) % 6].sort()),
  ...[0, 1, 2, 3, 4, 5].map((i) => [i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6].sort()),
  [0, 1, 3, 4],
  [1, 2, 4, 5],
  [0, 2, 3, 5],
  [0, 1, 2, 3, 4, 5],
];

/** The ten digits as pictures of 7 × 12 pixels, a row each of 12 numbers: bit 6 is the leftmost pixel. */
const DIGITS: readonly (readonly number[])[] = [
  [0x1c, 0x36, 0x63, 0x63, 0x63, 0x63, 0x63, 0x63, 0x63, 0x63, 0x36, 0x1c],
  [0x0c, 0x1c, 0x3c, 0x0c, 0x0c, 0x0c, 0x0c, 0x0c, 0x0c, 0x0c, 0x0c, 0x3f],
  [0x3e, 0x63, 0x63, 0x03, 0x03, 0x06, 0x0c, 0x18, 0x30, 0x60, 0x60, 0x7f],
  [0x3e, 0x63, 0x63, 0x03, 0x03, 0x1e, 0x03, 0x03, 0x03, 0x63, 0x63, 0x3e],
  [0x06, 0x0e, 0x1e, 0x36, 0x36, 0x66, 0x66, 0x7f, 0x06, 0x06, 0x06, 0x06],
  [0x7f, 0x60, 0x60, 0x60, 0x7e, 0x63, 0x03, 0x03, 0x03, 0x63, 0x63, 0x3e],
  [0x1e, 0x30, 0x60, 0x60, 0x60, 0x7e, 0x63, 0x63, 0x63, 0x63, 0x63, 0x3e],
  [0x7f, 0x03, 0x03, 0x06, 0x06, 0x0c, 0x0c, 0x0c, 0x18, 0x18, 0x30, 0x30],
  [0x3e, 0x63, 0x63, 0x63, 0x36, 0x1c, 0x36, 0x63, 0x63, 0x63, 0x63, 0x3e],
  [0x3e, 0x63, 0x63, 0x63, 0x63, 0x63, 0x3f, 0x03, 0x03, 0x03, 0x06, 0x3c],
];

/** The pictures as rows of 84 numbers, 1 for ink and −1 for paper. */
function digitPrototypes(): Tensor {
  const pixels = DIGITS.flatMap((rows) => rows.flatMap((row) => [6, 5, 4, 3, 2, 1, 0].map((bit) => (row >> bit) & 1)));
  return fromTypedArray(
    Float32Array.from(pixels, (ink) => (ink === 1 ? 1 : -1)),
    [10, 84],
  );
}

/** 1.7159 tanh(2a/3): f(±1) = ±1, where its slope changes fastest. */
const squash = (a: Tensor): Tensor => tanh(a.mul(2 / 3)).mul(1.7159);

/**
 * LeNet-5 as published: layer C3 sees chosen maps only, subsampling has weights, and the output measures the distance to a
 * picture of each digit; 60,000 trainable parameters. x (N, 1, 32, 32), background −0.1 and ink 1.175, to −y (N, 10), so that
 * the largest output is the class and cross-entropy its discriminative criterion. State dict: `c1`, `s2`, `c3`, `s4`, `c5`,
 * `f6`, `output`. The digits of the output layer are drawn for this library. LeCun, Bottou, Bengio & Haffner, "Gradient-based
 * learning applied to document recognition" (1998).
 */
export class LeNet5Original extends Module {
  readonly c1: Conv2d;
  readonly s2: TrainableSubsampling;
  readonly c3: SparseConv2d;
  readonly s4: TrainableSubsampling;
  readonly c5: Conv2d;
  readonly f6: Linear;
  readonly output: RBFOutput;

  constructor(options: ModelOptions = {}) {
    super();
    const { generator } = options;
    this.c1 = new Conv2d(1, 6, 5, options);
    this.s2 = new TrainableSubsampling(6, options);
    this.c3 = new SparseConv2d(6, C3_TABLE, 5, options);
    this.s4 = new TrainableSubsampling(16, options);
    this.c5 = new Conv2d(16, 120, 5, options);
    this.f6 = new Linear(120, 84, options);
    this.output = new RBFOutput(digitPrototypes());
    start(25, generator, this.c1.weight, this.c1.bias);
    start(400, generator, this.c5.weight, this.c5.bias);
    start(120, generator, this.f6.weight, this.f6.bias);
  }

  forward(x: Tensor): Tensor {
    let h = squash(this.s2.forward(squash(this.c1.forward(x))));
    h = squash(this.s4.forward(squash(this.c3.forward(h))));
    h = squash(this.c5.forward(h)).flatten(1);
    return this.output.forward(squash(this.f6.forward(h))).neg();
  }
}

/**
 * The criterion of LeNet-5's paper: the mean of y_D + ln(e^−j + Σ_i e^(−y_i)), which pulls the penalty of the right class down
 * and, as long as they are below about j, those of the others up.
 *
 * @param output −y, as {@link LeNet5Original} gives it, (N, classes)
 * @param target classes, int32 (N)
 * @param j default 0.1
 */
export function lenetLoss(output: Tensor, target: Tensor, j = 0.1): Tensor {
  checkFloat('lenetLoss', 'output', output);
  checkNumber('lenetLoss', 'j', j);
  const n = output.shape[0]!;
  const rubbish = zeros([n, 1], { dtype: output.dtype }).sub(j);
  return crossEntropy(cat([output, rubbish], 1), target);
}
