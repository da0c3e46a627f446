import { Conv1d } from '../nn/conv.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { GRU } from '../nn/rnn.js';
import { relu } from '../ops/activation.js';
import { ShapeError } from '../errors.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import type { ModelOptions } from './mlp.js';

/** Points of an example of MNIST-1D. */
const POINTS = 40;
const CLASSES = 10;

/** Throws unless x is (N, 40). */
function checkCurves(fn: string, x: Tensor): Tensor {
  if (x.ndim === 2 && x.shape[1] === POINTS) return x;
  throw new ShapeError(`${fn}: expected x of shape [N, ${POINTS}], got ${formatShape(x.shape)}`);
}

/** A linear classifier for MNIST-1D, 410 parameters: x (N, 40) to logits (N, 10). Greydanus & Kobak (2020). */
export class Mnist1dLinear extends Module {
  readonly linear: Linear;

  constructor(options: ModelOptions = {}) {
    super();
    this.linear = new Linear(POINTS, CLASSES, options);
  }

  forward(x: Tensor): Tensor {
    return this.linear.forward(x);
  }
}

/**
 * The perceptron of the MNIST-1D paper, with a skip over its second layer: h = relu(W₁x), h = h + relu(W₂h), logits =
 * W₃h; 15,210 parameters with 100 hidden units. x (N, 40) to (N, 10). Greydanus & Kobak, "Scaling down deep learning"
 * (2020).
 */
export class Mnist1dMLP extends Module {
  readonly linear1: Linear;
  readonly linear2: Linear;
  readonly linear3: Linear;

  constructor({ hidden = 100, ...options }: ModelOptions & { readonly hidden?: number } = {}) {
    super();
    this.linear1 = new Linear(POINTS, hidden, options);
    this.linear2 = new Linear(hidden, hidden, options);
    this.linear3 = new Linear(hidden, CLASSES, options);
  }

  forward(x: Tensor): Tensor {
    const h = relu(this.linear1.forward(x));
    return this.linear3.forward(h.add(relu(this.linear2.forward(h))));
  }
}

/**
 * The convolutional network of the MNIST-1D paper: three layers of 25 channels, kernels 5, 3, 3, stride 2 and padding 1, then a
 * linear layer; 5,210 parameters. x (N, 40) to (N, 10).
 */
export class Mnist1dCNN extends Module {
  readonly conv1: Conv1d;
  readonly conv2: Conv1d;
  readonly conv3: Conv1d;
  readonly linear: Linear;

  constructor({ channels = 25, ...options }: ModelOptions & { readonly channels?: number } = {}) {
    super();
    const same = { stride: 2, padding: 1, ...options };
    this.conv1 = new Conv1d(1, channels, 5, same);
    this.conv2 = new Conv1d(channels, channels, 3, same);
    this.conv3 = new Conv1d(channels, channels, 3, same);
    this.linear = new Linear(5 * channels, CLASSES, options);
  }

  forward(x: Tensor): Tensor {
    let h = relu(this.conv1.forward(checkCurves('Mnist1dCNN', x).reshape([-1, 1, POINTS])));
    h = relu(this.conv3.forward(relu(this.conv2.forward(h))));
    return this.linear.forward(h.flatten(1));
  }
}

/**
 * The recurrent network of the MNIST-1D paper: a bidirectional GRU of 6 units whose states at all steps go to a linear layer; 5,134
 * parameters. x (N, 40) to (N, 10).
 */
export class Mnist1dGRU extends Module {
  readonly gru: GRU;
  readonly linear: Linear;

  constructor({ hidden = 6, ...options }: ModelOptions & { readonly hidden?: number } = {}) {
    super();
    this.gru = new GRU(1, hidden, { batchFirst: true, bidirectional: true, ...options });
    this.linear = new Linear(2 * hidden * POINTS, CLASSES, options);
  }

  forward(x: Tensor): Tensor {
    const [states] = this.gru.forward(checkCurves('Mnist1dGRU', x).reshape([-1, POINTS, 1]));
    return this.linear.forward(states.flatten(1));
  }
}
