import { Sequential } from '../nn/container.js';
import { Conv2d } from '../nn/conv.js';
import { convNorm } from '../nn/conv_norm.js';
import { Dropout } from '../nn/dropout.js';
import { truncNormal_ } from '../nn/init.js';
import { Linear } from '../nn/linear.js';
import { Module } from '../nn/module.js';
import { BatchNorm2d } from '../nn/batch_norm.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pool.js';
import { crossEntropy } from '../ops/loss.js';
import { adaptiveAvgPool2d } from '../ops/pool.js';
import { relu } from '../ops/activation.js';
import { cat } from '../ops/views.js';
import type { Tensor } from '../tensor.js';
import type { ModelOptions } from './mlp.js';
import type { ImageModelOptions } from './vgg.js';

/** Options of {@link GoogLeNet}. */
export interface GoogLeNetOptions extends ImageModelOptions {
  /** Whether there are classifiers amid the network; false. */
  readonly auxiliary?: boolean;
  /** Probability of dropout before the last layer, 0.2, and in the auxiliary classifiers, 0.7. */
  readonly dropout?: number;
  readonly auxiliaryDropout?: number;
  /** Factor on all widths but the classes; 1. For tests and small data. */
  readonly width?: number;
}

interface Widths extends ModelOptions {
  readonly width: number;
}

/** A weight's start: N(0, 0.01²), cut off at ±2. */
const initialise = (layer: Conv2d | Linear, { generator }: ModelOptions): void =>
  void truncNormal_(layer.weight, { std: 0.01, low: -2, high: 2, generator });

/** A convolution without bias, batch normalisation (ε = 1e-3) and ReLU. */
class BasicConv2d extends Module {
  readonly conv: Conv2d;
  readonly bn: BatchNorm2d;

  constructor(from: number, to: number, kernel: number, options: ModelOptions, { stride = 1, padding = 0 } = {}) {
    super();
    this.conv = new Conv2d(from, to, kernel, { stride, padding, bias: false, generator: options.generator });
    this.bn = new BatchNorm2d(to, { eps: 1e-3 });
    initialise(this.conv, options);
  }

  forward(x: Tensor): Tensor {
    return convNorm(x, this.conv, this.bn, { activation: 'relu' });
  }
}

/** Channels of an inception module: in, 1×1, 3×3 reduced and full, "5×5" reduced and full, after pooling. */
type InceptionWidths = readonly [
  from: number,
  one: number,
  threeReduced: number,
  three: number,
  fiveReduced: number,
  five: number,
  pooled: number,
];

/** Four ways side by side, joined by channels. The "5×5" way has a 3×3 kernel, as in torchvision. */
class Inception extends Module {
  readonly branch1: BasicConv2d;
  readonly branch2: Sequential;
  readonly branch3: Sequential;
  readonly branch4: Sequential;

  constructor(widths: InceptionWidths, options: Widths) {
    super();
    const [from, one, threeReduced, three, fiveReduced, five, pooled] = widths.map((w) =>
      Math.ceil(w * options.width),
    ) as unknown as InceptionWidths;
    this.branch1 = new BasicConv2d(from, one, 1, options);
    this.branch2 = new Sequential(
      new BasicConv2d(from, threeReduced, 1, options),
      new BasicConv2d(threeReduced, three, 3, options, { padding: 1 }),
    );
    this.branch3 = new Sequential(
      new BasicConv2d(from, fiveReduced, 1, options),
      new BasicConv2d(fiveReduced, five, 3, options, { padding: 1 }),
    );
    this.branch4 = new Sequential(
      new MaxPool2d(3, { stride: 1, padding: 1, ceilMode: true }),
      new BasicConv2d(from, pooled, 1, options),
    );
  }

  forward(x: Tensor): Tensor {
    const { branch1, branch2, branch3, branch4 } = this;
    return cat([branch1.forward(x), branch2.forward(x), branch3.forward(x), branch4.forward(x)], 1);
  }
}

/** A classifier of the features amid the network. */
class InceptionAux extends Module {
  readonly conv: BasicConv2d;
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly dropout: Dropout;

  constructor(from: number, classes: number, dropout: number, options: Widths) {
    super();
    const w = (channels: number): number => Math.ceil(channels * options.width);
    this.conv = new BasicConv2d(w(from), w(128), 1, options);
    this.fc1 = new Linear(16 * w(128), w(1024), { generator: options.generator });
    this.fc2 = new Linear(w(1024), classes, { generator: options.generator });
    this.dropout = new Dropout(dropout);
    initialise(this.fc1, options);
    initialise(this.fc2, options);
  }

  forward(x: Tensor): Tensor {
    const h = this.conv.forward(adaptiveAvgPool2d(x, [4, 4])).flatten(1);
    return this.fc2.forward(this.dropout.forward(relu(this.fc1.forward(h))));
  }
}

/**
 * GoogLeNet (Inception v1) with batch normalisation as in torchvision; 6,624,904 parameters, 13,004,888 with auxiliary
 * classifiers. x (N, 3, H, W), usually 224 × 224, to logits (N, classes). In training mode {@link auxiliaryLogits} are set too;
 * {@link googlenetLoss} adds their losses. State dict: `conv1.conv`, `conv1.bn`, …, `inception3a.branch2.0.conv`, `aux1`,
 * `aux2`, `fc`. Szegedy et al., "Going deeper with convolutions" (2014).
 */
export class GoogLeNet extends Module {
  readonly conv1: BasicConv2d;
  readonly maxpool1: MaxPool2d;
  readonly conv2: BasicConv2d;
  readonly conv3: BasicConv2d;
  readonly maxpool2: MaxPool2d;
  readonly inception3a: Inception;
  readonly inception3b: Inception;
  readonly maxpool3: MaxPool2d;
  readonly inception4a: Inception;
  readonly inception4b: Inception;
  readonly inception4c: Inception;
  readonly inception4d: Inception;
  readonly inception4e: Inception;
  readonly maxpool4: MaxPool2d;
  readonly inception5a: Inception;
  readonly inception5b: Inception;
  readonly aux1: InceptionAux | null;
  readonly aux2: InceptionAux | null;
  readonly avgpool: AdaptiveAvgPool2d;
  readonly dropout: Dropout;
  readonly fc: Linear;
  /** The logits of the auxiliary classifiers of the last forward pass in training mode; null in evaluation mode or without. */
  auxiliaryLogits: readonly [Tensor, Tensor] | null = null;

  constructor(options: GoogLeNetOptions = {}) {
    super();
    const { classes = 1000, auxiliary = false, dropout = 0.2, auxiliaryDropout = 0.7, width = 1, generator } = options;
    const scaled = { width, generator };
    const w = (channels: number): number => Math.ceil(channels * width);
    const pool = (size: number): MaxPool2d => new MaxPool2d(size, { stride: 2, ceilMode: true });
    const inception = (...widths: InceptionWidths): Inception => new Inception(widths, scaled);
    this.conv1 = new BasicConv2d(3, w(64), 7, scaled, { stride: 2, padding: 3 });
    this.maxpool1 = pool(3);
    this.conv2 = new BasicConv2d(w(64), w(64), 1, scaled);
    this.conv3 = new BasicConv2d(w(64), w(192), 3, scaled, { padding: 1 });
    this.maxpool2 = pool(3);
    this.inception3a = inception(192, 64, 96, 128, 16, 32, 32);
    this.inception3b = inception(256, 128, 128, 192, 32, 96, 64);
    this.maxpool3 = pool(3);
    this.inception4a = inception(480, 192, 96, 208, 16, 48, 64);
    this.inception4b = inception(512, 160, 112, 224, 24, 64, 64);
    this.inception4c = inception(512, 128, 128, 256, 24, 64, 64);
    this.inception4d = inception(512, 112, 144, 288, 32, 64, 64);
    this.inception4e = inception(528, 256, 160, 320, 32, 128, 128);
    this.maxpool4 = pool(2);
    this.inception5a = inception(832, 256, 160, 320, 32, 128, 128);
    this.inception5b = inception(832, 384, 192, 384, 48, 128, 128);
    this.aux1 = auxiliary ? new InceptionAux(512, classes, auxiliaryDropout, scaled) : null;
    this.aux2 = auxiliary ? new InceptionAux(528, classes, auxiliaryDropout, scaled) : null;
    this.avgpool = new AdaptiveAvgPool2d([1, 1]);
    this.dropout = new Dropout(dropout);
    this.fc = new Linear(w(1024), classes, { generator });
    initialise(this.fc, options);
  }

  forward(x: Tensor): Tensor {
    let h = this.maxpool1.forward(this.conv1.forward(x));
    h = this.maxpool2.forward(this.conv3.forward(this.conv2.forward(h)));
    h = this.inception3b.forward(this.inception3a.forward(h));
    const amid = this.inception4a.forward(this.maxpool3.forward(h));
    const later = this.inception4d.forward(this.inception4c.forward(this.inception4b.forward(amid)));
    const { aux1, aux2 } = this;
    const asked = this.training && aux1 !== null && aux2 !== null;
    this.auxiliaryLogits = asked ? [aux1.forward(amid), aux2.forward(later)] : null;
    h = this.maxpool4.forward(this.inception4e.forward(later));
    h = this.inception5b.forward(this.inception5a.forward(h));
    return this.fc.forward(this.dropout.forward(this.avgpool.forward(h).flatten(1)));
  }
}

/** Cross-entropy of the logits plus 0.3 times that of each auxiliary classifier of the last forward pass. */
export function googlenetLoss(model: GoogLeNet, logits: Tensor, target: Tensor): Tensor {
  const loss = crossEntropy(logits, target);
  const { auxiliaryLogits } = model;
  if (auxiliaryLogits === null) return loss;
  const [first, second] = auxiliaryLogits.map((aux) => crossEntropy(aux, target)) as [Tensor, Tensor];
  return loss.add(first.add(second).mul(0.3));
}
