import { ReLU } from '../nn/activation.js';
import { Sequential } from '../nn/container.js';
import { Conv2d } from '../nn/conv.js';
import { Dropout } from '../nn/dropout.js';
import { constant_, normal_ } from '../nn/init.js';
import { Linear } from '../nn/linear.js';
import { LocalResponseNorm } from '../nn/norm.js';
import { Module, type UnaryModule } from '../nn/module.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pool.js';
import type { Tensor } from '../tensor.js';
import type { ImageModelOptions } from './vgg.js';

/** Options of {@link AlexNet}. */
export interface AlexNetOptions extends ImageModelOptions {
  /** Probability of dropout before the two hidden linear layers; 0.5. */
  readonly dropout?: number;
  /** Factor on all widths but the classes; 1. For tests and small data. */
  readonly width?: number;
}

/** The linear layers that both AlexNets end in. */
function head(
  inputs: number,
  hidden: number,
  { classes = 1000, dropout = 0.5, generator }: AlexNetOptions,
): UnaryModule[] {
  return [
    new Dropout(dropout),
    new Linear(inputs, hidden, { generator }),
    new ReLU(),
    new Dropout(dropout),
    new Linear(hidden, hidden, { generator }),
    new ReLU(),
    new Linear(hidden, classes, { generator }),
  ];
}

/**
 * AlexNet in the form for one processor that torchvision has; 61,100,840 parameters. x (N, 3, H, W), usually 224 × 224 and at
 * least 63 × 63, to logits (N, classes). State dict: `features.{0,3,6,8,10}`, `classifier.{1,4,6}`. Krizhevsky, "One weird trick
 * for parallelizing convolutional neural networks" (2014).
 */
export class AlexNet extends Module {
  readonly features: Sequential;
  readonly avgpool: AdaptiveAvgPool2d;
  readonly classifier: Sequential;

  constructor(options: AlexNetOptions = {}) {
    super();
    const { generator, width = 1 } = options;
    const w = (channels: number): number => Math.ceil(channels * width);
    const conv = (from: number, to: number, kernel: number, padding: number, stride = 1): Conv2d =>
      new Conv2d(from, to, kernel, { padding, stride, generator });
    const pool = (): MaxPool2d => new MaxPool2d(3, { stride: 2 });
    this.features = new Sequential(
      ...[conv(3, w(64), 11, 2, 4), new ReLU(), pool()],
      ...[conv(w(64), w(192), 5, 2), new ReLU(), pool()],
      ...[conv(w(192), w(384), 3, 1), new ReLU()],
      ...[conv(w(384), w(256), 3, 1), new ReLU()],
      ...[conv(w(256), w(256), 3, 1), new ReLU(), pool()],
    );
    this.avgpool = new AdaptiveAvgPool2d([6, 6]);
    this.classifier = new Sequential(...head(w(256) * 36, w(4096), options));
  }

  forward(x: Tensor): Tensor {
    return this.classifier.forward(this.avgpool.forward(this.features.forward(x)).flatten(1));
  }
}

/**
 * AlexNet as published, for two processors: layers 2, 4 and 5 see half of the channels each, and the first two are followed by
 * local response normalisation; 60,965,224 parameters, 659,272 units. x (N, 3, 224, 224) to logits (N, classes). State dict:
 * `features.{0,4,8,10,12}`, `classifier.{1,4,6}`. Weights start as N(0, 0.01²), biases as 0, or 1 in layers 2, 4, 5 and the
 * hidden linear ones. Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks" (2012).
 */
export class AlexNetGrouped extends Module {
  readonly features: Sequential;
  readonly classifier: Sequential;

  constructor(options: AlexNetOptions = {}) {
    super();
    const { generator, width = 1 } = options;
    // An even number of channels at any width.
    const w = (channels: number): number => 2 * Math.ceil((channels * width) / 2);
    const conv = (from: number, to: number, kernel: number, padding: number, groups: number, stride = 1): Conv2d => {
      const layer = new Conv2d(from, to, kernel, { padding, groups, stride, generator });
      normal_(layer.weight, 0, 0.01, generator);
      constant_(layer.bias!, groups === 2 ? 1 : 0);
      return layer;
    };
    const pool = (): MaxPool2d => new MaxPool2d(3, { stride: 2 });
    const norm = (): LocalResponseNorm => new LocalResponseNorm(5, { alpha: 5e-4, beta: 0.75, k: 2 });
    this.features = new Sequential(
      ...[conv(3, w(96), 11, 2, 1, 4), new ReLU(), norm(), pool()],
      ...[conv(w(96), w(256), 5, 2, 2), new ReLU(), norm(), pool()],
      ...[conv(w(256), w(384), 3, 1, 1), new ReLU()],
      ...[conv(w(384), w(384), 3, 1, 2), new ReLU()],
      ...[conv(w(384), w(256), 3, 1, 2), new ReLU(), pool()],
    );
    const layers = head(w(256) * 36, w(4096), options);
    const linears = layers.filter((layer) => layer instanceof Linear);
    linears.forEach((layer, i) => {
      normal_(layer.weight, 0, 0.01, generator);
      constant_(layer.bias!, i < 2 ? 1 : 0);
    });
    this.classifier = new Sequential(...layers);
  }

  forward(x: Tensor): Tensor {
    return this.classifier.forward(this.features.forward(x).flatten(1));
  }
}
