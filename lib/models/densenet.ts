import { ReLU } from '../nn/activation.js';
import { Sequential } from '../nn/container.js';
import { Conv2d } from '../nn/conv.js';
import { Dropout } from '../nn/dropout.js';
import { constant_, kaimingNormal_ } from '../nn/init.js';
import { Linear } from '../nn/linear.js';
import { Module, type UnaryModule } from '../nn/module.js';
import { BatchNorm2d } from '../nn/batch_norm.js';
import { AdaptiveAvgPool2d, AvgPool2d, MaxPool2d } from '../nn/pool.js';
import { relu } from '../ops/activation.js';
import { cat } from '../ops/views.js';
import type { Tensor } from '../tensor.js';
import type { ModelOptions } from './mlp.js';
import type { ImageModelOptions } from './vgg.js';

/** Growth rate k, layers of each block and first channels of the published networks. */
export const densenetLayers = {
  densenet121: { growth: 32, blocks: [6, 12, 24, 16], stem: 64 },
  densenet169: { growth: 32, blocks: [6, 12, 32, 32], stem: 64 },
  densenet201: { growth: 32, blocks: [6, 12, 48, 32], stem: 64 },
  densenet161: { growth: 48, blocks: [6, 12, 36, 24], stem: 96 },
  densenet264: { growth: 32, blocks: [6, 12, 64, 48], stem: 64 },
} as const;

/** Options of {@link DenseNet}. */
export interface DenseNetOptions extends ImageModelOptions {
  /** k, the channels that each layer adds. */
  readonly growth: number;
  /** Layers of each block. */
  readonly blocks: readonly number[];
  /** Channels of the first convolution. */
  readonly stem: number;
  /** Channels between a layer's 1×1 and 3×3 convolutions, in multiples of k; 4. */
  readonly bottleneck?: number;
  /** Probability of dropout after each layer; 0. */
  readonly dropout?: number;
}

/** A convolution without bias, its weight Kaiming-normal by fan-in. */
function conv(from: number, to: number, kernel: number, { generator }: ModelOptions, stride = 1): Conv2d {
  const layer = new Conv2d(from, to, kernel, { stride, padding: (kernel - 1) / 2, bias: false, generator });
  kaimingNormal_(layer.weight, { generator });
  return layer;
}

/** Normalise, rectify, 1×1 convolution; normalise, rectify, 3×3 convolution to k channels. */
class DenseLayer extends Module {
  readonly norm1: BatchNorm2d;
  readonly conv1: Conv2d;
  readonly norm2: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly dropout: Dropout | null;

  constructor(from: number, { growth, bottleneck = 4, dropout = 0, ...options }: DenseNetOptions) {
    super();
    this.norm1 = new BatchNorm2d(from);
    this.conv1 = conv(from, bottleneck * growth, 1, options);
    this.norm2 = new BatchNorm2d(bottleneck * growth);
    this.conv2 = conv(bottleneck * growth, growth, 3, options);
    this.dropout = dropout > 0 ? new Dropout(dropout) : null;
  }

  forward(x: Tensor): Tensor {
    const h = this.conv1.forward(relu(this.norm1.forward(x)));
    const y = this.conv2.forward(relu(this.norm2.forward(h)));
    return this.dropout === null ? y : this.dropout.forward(y);
  }
}

/** Layers that each see the channels of all before them. */
class DenseBlock extends Module {
  readonly #layers: DenseLayer[];

  constructor(from: number, layers: number, options: DenseNetOptions) {
    super();
    this.#layers = Array.from({ length: layers }, (_, i) => new DenseLayer(from + i * options.growth, options));
  }

  protected override members(): Iterable<readonly [string, unknown]> {
    return [...super.members(), ...this.#layers.map((layer, i) => [`denselayer${i + 1}`, layer] as const)];
  }

  forward(x: Tensor): Tensor {
    const features = [x];
    for (const layer of this.#layers) features.push(layer.forward(features.length === 1 ? x : cat(features, 1)));
    return cat(features, 1);
  }
}

/** Half the channels, half the height and width. */
const transition = (from: number, options: ModelOptions): Sequential =>
  new Sequential({
    norm: new BatchNorm2d(from),
    relu: new ReLU(),
    conv: conv(from, Math.floor(from / 2), 1, options),
    pool: new AvgPool2d(2, { stride: 2 }),
  });

/**
 * A densely connected network; DenseNet-121 has 7,978,856 parameters. x (N, 3, H, W), usually 224 × 224, to logits (N, classes).
 * State dict as torchvision's: `features.conv0`, `features.denseblockI.denselayerJ.{norm1,conv1,norm2,conv2}`,
 * `features.transitionI.{norm,conv}`, `features.norm5`, `classifier`. Huang, Liu, van der Maaten & Weinberger, "Densely
 * connected convolutional networks" (2017).
 *
 * @example const model = new DenseNet(densenetLayers.densenet121);
 */
export class DenseNet extends Module {
  readonly features: Sequential;
  readonly avgpool: AdaptiveAvgPool2d;
  readonly classifier: Linear;

  constructor(options: DenseNetOptions) {
    super();
    const { growth, blocks, stem, classes = 1000, generator } = options;
    const features: Record<string, UnaryModule> = {
      conv0: conv(3, stem, 7, options, 2),
      norm0: new BatchNorm2d(stem),
      relu0: new ReLU(),
      pool0: new MaxPool2d(3, { stride: 2, padding: 1 }),
    };
    let channels = stem;
    blocks.forEach((layers, i) => {
      features[`denseblock${i + 1}`] = new DenseBlock(channels, layers, options);
      channels += layers * growth;
      if (i === blocks.length - 1) return;
      features[`transition${i + 1}`] = transition(channels, options);
      channels = Math.floor(channels / 2);
    });
    features['norm5'] = new BatchNorm2d(channels);
    this.features = new Sequential(features);
    this.avgpool = new AdaptiveAvgPool2d([1, 1]);
    this.classifier = new Linear(channels, classes, { generator });
    constant_(this.classifier.bias!, 0);
  }

  forward(x: Tensor): Tensor {
    return this.classifier.forward(this.avgpool.forward(relu(this.features.forward(x))).flatten(1));
  }
}
