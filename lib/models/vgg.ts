import { ReLU } from '../nn/activation.js';
import { Sequential } from '../nn/container.js';
import { Conv2d } from '../nn/conv.js';
import { Dropout } from '../nn/dropout.js';
import { constant_, kaimingNormal_, normal_ } from '../nn/init.js';
import { Linear } from '../nn/linear.js';
import { Module, type UnaryModule } from '../nn/module.js';
import { BatchNorm2d } from '../nn/batch_norm.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pool.js';
import type { Tensor } from '../tensor.js';
import type { ModelOptions } from './mlp.js';

/** Options of the classifiers of images. */
export interface ImageModelOptions extends ModelOptions {
  /** Number of outputs; 1000. */
  readonly classes?: number;
}

/** Channels of each 3×3 convolution in order; `M` is max-pooling. */
export type VGGLayers = readonly (number | 'M')[];

/** The layers of VGG-11, -13, -16 and -19 (configurations A, B, D and E of the paper). */
export const vggLayers = {
  vgg11: [64, 'M', 128, 'M', 256, 256, 'M', 512, 512, 'M', 512, 512, 'M'],
  vgg13: [64, 64, 'M', 128, 128, 'M', 256, 256, 'M', 512, 512, 'M', 512, 512, 'M'],
  vgg16: [64, 64, 'M', 128, 128, 'M', 256, 256, 256, 'M', 512, 512, 512, 'M', 512, 512, 512, 'M'],
  vgg19: [64, 64, 'M', 128, 128, 'M', 256, 256, 256, 256, 'M', 512, 512, 512, 512, 'M', 512, 512, 512, 512, 'M'],
} as const satisfies Record<string, VGGLayers>;

/** Options of {@link VGG}. */
export interface VGGOptions extends ImageModelOptions {
  /** Batch normalisation after each convolution; false. */
  readonly batchNorm?: boolean;
  /** Width of the two hidden linear layers; 4096. */
  readonly hidden?: number;
  /** Probability of dropout after each of them; 0.5. */
  readonly dropout?: number;
}

/** The convolutions of a VGG network, numbered as in torchvision; weights Kaiming-normal by fan-out, biases 0. */
function makeFeatures(
  layers: VGGLayers,
  batchNorm: boolean,
  { generator }: ModelOptions,
): [Sequential, channels: number] {
  const modules: UnaryModule[] = [];
  let channels = 3;
  for (const layer of layers) {
    if (layer === 'M') {
      modules.push(new MaxPool2d(2, { stride: 2 }));
      continue;
    }
    const conv = new Conv2d(channels, layer, 3, { padding: 1, generator });
    kaimingNormal_(conv.weight, { mode: 'fanOut', nonlinearity: 'relu', generator });
    constant_(conv.bias!, 0);
    modules.push(conv, ...(batchNorm ? [new BatchNorm2d(layer)] : []), new ReLU());
    channels = layer;
  }
  return [new Sequential(...modules), channels];
}

/**
 * VGG: 3×3 convolutions only, then three linear layers; VGG-16 has 138,357,544 parameters. x (N, 3, H, W), usually 224 × 224 and
 * at least 32 × 32, to logits (N, classes). State dict as torchvision's: `features.0.weight`, …, `classifier.{0,3,6}`. Linear
 * weights start as N(0, 0.01²), biases as 0. Simonyan & Zisserman, "Very deep convolutional networks" (2014).
 *
 * @example const model = new VGG(vggLayers.vgg16, { batchNorm: true });
 */
export class VGG extends Module {
  readonly features: Sequential;
  readonly avgpool: AdaptiveAvgPool2d;
  readonly classifier: Sequential;

  constructor(layers: VGGLayers, options: VGGOptions = {}) {
    super();
    const { classes = 1000, batchNorm = false, hidden = 4096, dropout = 0.5, generator } = options;
    const [features, channels] = makeFeatures(layers, batchNorm, options);
    this.features = features;
    this.avgpool = new AdaptiveAvgPool2d([7, 7]);
    const linear = (from: number, to: number): Linear => {
      const layer = new Linear(from, to, { generator });
      normal_(layer.weight, 0, 0.01, generator);
      constant_(layer.bias!, 0);
      return layer;
    };
    this.classifier = new Sequential(
      ...[linear(channels * 49, hidden), new ReLU(), new Dropout(dropout)],
      ...[linear(hidden, hidden), new ReLU(), new Dropout(dropout)],
      linear(hidden, classes),
    );
  }

  forward(x: Tensor): Tensor {
    return this.classifier.forward(this.avgpool.forward(this.features.forward(x)).flatten(1));
  }
}

/**
 * VGG for images of 32 × 32: the same convolutions, which leave one pixel, and one linear layer `fc`. x (N, 3, 32, 32) to logits
 * (N, classes).
 */
export class CifarVGG extends Module {
  readonly features: Sequential;
  readonly fc: Linear;

  constructor(layers: VGGLayers, { classes = 10, batchNorm = true, ...options }: VGGOptions = {}) {
    super();
    const [features, channels] = makeFeatures(layers, batchNorm, options);
    this.features = features;
    this.fc = new Linear(channels, classes, { generator: options.generator });
  }

  forward(x: Tensor): Tensor {
    return this.fc.forward(this.features.forward(x).flatten(1));
  }
}
