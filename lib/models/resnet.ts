import { Sequential } from '../nn/container.js';
import { Conv2d } from '../nn/conv.js';
import { kaimingNormal_, zeros_ } from '../nn/init.js';
import { Identity, Linear } from '../nn/linear.js';
import { Module, type UnaryModule } from '../nn/module.js';
import { BatchNorm2d } from '../nn/batch_norm.js';
import { convNorm } from '../nn/conv_norm.js';
import { AdaptiveAvgPool2d, MaxPool2d } from '../nn/pool.js';
import { zeros } from '../ops/create.js';
import { cat } from '../ops/views.js';
import type { Tensor } from '../tensor.js';
import type { ModelOptions } from './mlp.js';
import type { ImageModelOptions } from './vgg.js';

/** A convolution without bias, its weight Kaiming-normal by fan-out. */
function conv(from: number, to: number, kernel: number, stride: number, { generator }: ModelOptions): Conv2d {
  const layer = new Conv2d(from, to, kernel, { stride, padding: (kernel - 1) / 2, bias: false, generator });
  kaimingNormal_(layer.weight, { mode: 'fanOut', nonlinearity: 'relu', generator });
  return layer;
}

/** The way around a block that changes the shape: a 1×1 convolution and batch normalisation. */
const project = (from: number, to: number, stride: number, options: ModelOptions): Sequential =>
  new Sequential(conv(from, to, 1, stride, options), new BatchNorm2d(to));

/** Two 3×3 convolutions: relu(x + B relu(W x)), each convolution followed by batch normalisation. */
export class BasicBlock extends Module {
  static readonly expansion = 1;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly downsample: UnaryModule | null;

  constructor(from: number, width: number, stride: number, downsample: UnaryModule | null, options: ModelOptions = {}) {
    super();
    this.conv1 = conv(from, width, 3, stride, options);
    this.bn1 = new BatchNorm2d(width);
    this.conv2 = conv(width, width, 3, 1, options);
    this.bn2 = new BatchNorm2d(width);
    this.downsample = downsample;
  }

  forward(x: Tensor): Tensor {
    const h = convNorm(x, this.conv1, this.bn1, { activation: 'relu' });
    const skip = this.downsample === null ? x : this.downsample.forward(x);
    return convNorm(h, this.conv2, this.bn2, { add: skip, activation: 'relu' });
  }
}

/** 1×1, 3×3 and 1×1 convolutions, the last to four times as many channels; the stride is in the middle one. */
export class Bottleneck extends Module {
  static readonly expansion = 4;
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly conv3: Conv2d;
  readonly bn3: BatchNorm2d;
  readonly downsample: UnaryModule | null;

  constructor(from: number, width: number, stride: number, downsample: UnaryModule | null, options: ModelOptions = {}) {
    super();
    this.conv1 = conv(from, width, 1, 1, options);
    this.bn1 = new BatchNorm2d(width);
    this.conv2 = conv(width, width, 3, stride, options);
    this.bn2 = new BatchNorm2d(width);
    this.conv3 = conv(width, 4 * width, 1, 1, options);
    this.bn3 = new BatchNorm2d(4 * width);
    this.downsample = downsample;
  }

  forward(x: Tensor): Tensor {
    let h = convNorm(x, this.conv1, this.bn1, { activation: 'relu' });
    h = convNorm(h, this.conv2, this.bn2, { activation: 'relu' });
    const skip = this.downsample === null ? x : this.downsample.forward(x);
    return convNorm(h, this.conv3, this.bn3, { add: skip, activation: 'relu' });
  }
}

/** The block and the numbers of blocks of each published network. */
export const resnetLayers = {
  resnet18: [BasicBlock, [2, 2, 2, 2]],
  resnet34: [BasicBlock, [3, 4, 6, 3]],
  resnet50: [Bottleneck, [3, 4, 6, 3]],
  resnet101: [Bottleneck, [3, 4, 23, 3]],
  resnet152: [Bottleneck, [3, 8, 36, 3]],
} as const;

/** Options of {@link ResNet}. */
export interface ResNetOptions extends ImageModelOptions {
  /** `imagenet` (the default) begins with a 7×7 convolution of stride 2 and max-pooling, `cifar` with a 3×3 one of stride 1. */
  readonly stem?: 'imagenet' | 'cifar';
  /** Channels of the first stage, doubled in each of the next; 64. */
  readonly width?: number;
  /** Starts the last normalisation of each block at 0, so that blocks begin as identities; false. */
  readonly zeroInitResidual?: boolean;
}

/**
 * A residual network of four stages; ResNet-50 has 25,557,032 parameters. x (N, 3, H, W), usually 224 × 224, to logits (N,
 * classes). State dict as torchvision's: `conv1`, `bn1`, `layerL.B.convN`, `layerL.0.downsample.{0,1}`, `fc`. He, Zhang, Ren &
 * Sun, "Deep residual learning for image recognition" (2015).
 *
 * @example const model = new ResNet(...resnetLayers.resnet18, { classes: 10, stem: 'cifar' });
 */
export class ResNet extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly maxpool: UnaryModule;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential;
  readonly avgpool: AdaptiveAvgPool2d;
  readonly fc: Linear;

  constructor(
    Block: typeof BasicBlock | typeof Bottleneck,
    blocks: readonly [number, number, number, number],
    options: ResNetOptions = {},
  ) {
    super();
    const { classes = 1000, stem = 'imagenet', width = 64, zeroInitResidual = false } = options;
    if (stem === 'cifar') {
      this.conv1 = conv(3, width, 3, 1, options);
      this.maxpool = new Identity();
    } else {
      this.conv1 = conv(3, width, 7, 2, options);
      this.maxpool = new MaxPool2d(3, { stride: 2, padding: 1 });
    }
    this.bn1 = new BatchNorm2d(width);
    let from = width;
    const stage = (i: number): Sequential => {
      const channels = width * 2 ** i;
      const list: UnaryModule[] = [];
      for (let b = 0; b < blocks[i]!; b++) {
        const stride = i > 0 && b === 0 ? 2 : 1;
        const to = channels * Block.expansion;
        const around = stride !== 1 || from !== to ? project(from, to, stride, options) : null;
        list.push(new Block(from, channels, stride, around, options));
        from = to;
      }
      return new Sequential(...list);
    };
    this.layer1 = stage(0);
    this.layer2 = stage(1);
    this.layer3 = stage(2);
    this.layer4 = stage(3);
    this.avgpool = new AdaptiveAvgPool2d([1, 1]);
    this.fc = new Linear(from, classes, { generator: options.generator });
    if (!zeroInitResidual) return;
    for (const module of this.modules()) {
      if (module instanceof Bottleneck) zeros_(module.bn3.weight!);
      else if (module instanceof BasicBlock) zeros_(module.bn2.weight!);
    }
  }

  forward(x: Tensor): Tensor {
    let h = this.maxpool.forward(convNorm(x, this.conv1, this.bn1, { activation: 'relu' }));
    h = this.layer2.forward(this.layer1.forward(h));
    h = this.layer4.forward(this.layer3.forward(h));
    return this.fc.forward(this.avgpool.forward(h).flatten(1));
  }
}

/** The way around of option A, without parameters: every second pixel, and channels of zeros after those that there are. */
export class PadShortcut extends Module {
  constructor(
    readonly channels: number,
    readonly stride = 2,
  ) {
    super();
  }

  forward(x: Tensor): Tensor {
    const { channels, stride } = this;
    const picked = x.slice(2, 0, undefined, stride).slice(3, 0, undefined, stride);
    const [n, c, h, w] = picked.shape as unknown as [number, number, number, number];
    return cat([picked, zeros([n, channels - c, h, w], { dtype: x.dtype })], 1);
  }
}

/**
 * The residual network for CIFAR-10 of 6n + 2 layers: three stages of n blocks with 16, 32 and 64 channels and shortcuts without
 * parameters (option A). Depth 20 has 269,722 parameters, 56 853,018, 110 1,727,962. x (N, 3, 32, 32) to logits (N, classes).
 * State dict: `conv1`, `bn1`, `layerL.B.{conv1,bn1,conv2,bn2}`, `fc`. He et al. (2015), section 4.2.
 */
export class CifarResNet extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly avgpool: AdaptiveAvgPool2d;
  readonly fc: Linear;

  /** @param n blocks of each stage: 3 for ResNet-20, 9 for 56, 18 for 110 */
  constructor(
    n: number,
    { classes = 10, width = 16, ...options }: ImageModelOptions & { readonly width?: number } = {},
  ) {
    super();
    this.conv1 = conv(3, width, 3, 1, options);
    this.bn1 = new BatchNorm2d(width);
    const stage = (from: number, to: number): Sequential =>
      new Sequential(
        ...Array.from({ length: n }, (_, b) =>
          b === 0 && from !== to
            ? new BasicBlock(from, to, 2, new PadShortcut(to), options)
            : new BasicBlock(to, to, 1, null, options),
        ),
      );
    this.layer1 = stage(width, width);
    this.layer2 = stage(width, 2 * width);
    this.layer3 = stage(2 * width, 4 * width);
    this.avgpool = new AdaptiveAvgPool2d([1, 1]);
    this.fc = new Linear(4 * width, classes, { generator: options.generator });
  }

  forward(x: Tensor): Tensor {
    let h = convNorm(x, this.conv1, this.bn1, { activation: 'relu' });
    h = this.layer3.forward(this.layer2.forward(this.layer1.forward(h)));
    return this.fc.forward(this.avgpool.forward(h).flatten(1));
  }
}
