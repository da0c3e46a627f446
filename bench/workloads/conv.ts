import {
  Adam,
  BatchNorm2d,
  Conv2d,
  convNorm,
  crossEntropy,
  flatten,
  Linear,
  maxPool2d,
  MaxPool2d,
  Module,
  ReLU,
  relu,
  Sequential,
  SGD,
  type Tensor,
  type UnaryModule,
} from 'myelin';
import { ints, uni } from '../data.js';
import { inference, stepBytes, training, type Job, type Workload } from './workload.js';

class LeNet5 extends Module {
  readonly conv1 = new Conv2d(1, 6, 5, { padding: 2 });
  readonly conv2 = new Conv2d(6, 16, 5);
  readonly fc1 = new Linear(400, 120);
  readonly fc2 = new Linear(120, 84);
  readonly fc3 = new Linear(84, 10);

  forward(x: Tensor): Tensor {
    for (const conv of [this.conv1, this.conv2]) x = maxPool2d(relu(conv.forward(x)), 2);
    x = relu(this.fc1.forward(flatten(x, 1)));
    return this.fc3.forward(relu(this.fc2.forward(x)));
  }
}

/** A 3×3 convolution without bias that keeps the picture's size at stride 1. */
const conv3x3 = (channels: number, width: number, stride: number): Conv2d =>
  new Conv2d(channels, width, 3, { stride, padding: 1, bias: false });

class BasicBlock extends Module {
  readonly conv1: Conv2d;
  readonly bn1: BatchNorm2d;
  readonly conv2: Conv2d;
  readonly bn2: BatchNorm2d;
  readonly downsample: Sequential | null;

  constructor(channels: number, width: number, stride: number) {
    super();
    this.conv1 = conv3x3(channels, width, stride);
    this.bn1 = new BatchNorm2d(width);
    this.conv2 = conv3x3(width, width, 1);
    this.bn2 = new BatchNorm2d(width);
    this.downsample =
      stride === 1 && channels === width
        ? null
        : new Sequential(new Conv2d(channels, width, 1, { stride, bias: false }), new BatchNorm2d(width));
  }

  forward(x: Tensor): Tensor {
    const shortcut = this.downsample?.forward(x) ?? x;
    const y = convNorm(x, this.conv1, this.bn1, { activation: 'relu' });
    return convNorm(y, this.conv2, this.bn2, { add: shortcut, activation: 'relu' });
  }
}

const stage = (channels: number, width: number, stride: number): Sequential =>
  new Sequential(new BasicBlock(channels, width, stride), new BasicBlock(width, width, 1));

/** ResNet-18 with the stem for pictures of 32×32: 3×3, stride 1, no pooling. */
class ResNet18 extends Module {
  readonly conv1 = conv3x3(3, 64, 1);
  readonly bn1 = new BatchNorm2d(64);
  readonly layer1 = stage(64, 64, 1);
  readonly layer2 = stage(64, 128, 2);
  readonly layer3 = stage(128, 256, 2);
  readonly layer4 = stage(256, 512, 2);
  readonly fc = new Linear(512, 10);

  forward(x: Tensor): Tensor {
    x = convNorm(x, this.conv1, this.bn1, { activation: 'relu' });
    for (const layer of [this.layer1, this.layer2, this.layer3, this.layer4]) x = layer.forward(x);
    return this.fc.forward(x.mean([2, 3]));
  }
}

const vggWidths = [64, 'pool', 128, 'pool', 256, 256, 'pool', 512, 512, 'pool', 512, 512, 'pool'] as const;

class VGG11 extends Module {
  readonly features: Sequential;
  readonly fc = new Linear(512, 10);

  constructor() {
    super();
    const layers: UnaryModule[] = [];
    let channels = 3;
    for (const width of vggWidths) {
      if (width === 'pool') {
        layers.push(new MaxPool2d(2));
        continue;
      }
      layers.push(new Conv2d(channels, width, 3, { padding: 1 }), new BatchNorm2d(width), new ReLU());
      channels = width;
    }
    this.features = new Sequential(...layers);
  }

  forward(x: Tensor): Tensor {
    return this.fc.forward(flatten(this.features.forward(x), 1));
  }
}

/** Multiply-adds (counted twice) of a convolution's result of side × side on `n` pictures, once. */
const conv = (n: number, channels: number, width: number, kernel: number, side: number): number =>
  2 * n * width * side * side * channels * kernel * kernel;

interface Limits {
  readonly flops: number;
  /** Elements of the activations that are stored. */
  readonly activations: number;
}

/** Layers cost three passes in training (the first one two: nobody asks for the gradient of pictures), one in inference. */
function resnetLimits(n: number, passes: 1 | 3): Limits {
  let flops = conv(n, 3, 64, 3, 32) * (passes === 3 ? 2 : 1) + 2 * n * 512 * 10 * passes;
  let activations = n * 64 * 32 * 32;
  let [channels, side] = [64, 32];
  for (const width of [64, 128, 256, 512]) {
    const stride = width === 64 ? 1 : 2;
    side /= stride;
    const convs = conv(n, channels, width, 3, side) + 3 * conv(n, width, width, 3, side);
    flops += (convs + (stride === 2 ? conv(n, channels, width, 1, side) : 0)) * passes;
    activations += (stride === 2 ? 5 : 4) * n * width * side * side;
    channels = width;
  }
  return { flops, activations };
}

function vggLimits(n: number): Limits {
  let flops = 6 * n * 512 * 10;
  let activations = 0;
  let [channels, side] = [3, 32];
  for (const width of vggWidths) {
    if (width === 'pool') {
      side /= 2;
      continue;
    }
    flops += conv(n, channels, width, 3, side) * (channels === 3 ? 2 : 3);
    activations += n * width * side * side;
    channels = width;
  }
  return { flops, activations };
}

function lenetLimits(n: number): Limits {
  const fc = 400 * 120 + 120 * 84 + 84 * 10;
  return {
    flops: 2 * conv(n, 1, 6, 5, 28) + 3 * conv(n, 6, 16, 5, 10) + 6 * n * fc,
    activations: n * (784 + 6 * 784 + 6 * 196 + 16 * 100 + 400 + 400 + 120 + 84 + 10),
  };
}

const parameters = { lenet5: 61_706, resnet18: 11_173_962, vgg11: 9_231_114 };

function limits(
  samples: number,
  { flops, activations }: Limits,
  params: number,
  optimizer: Parameters<typeof stepBytes>[2],
): Pick<Workload, 'samples' | 'flops' | 'bytes'> {
  return { samples, flops, bytes: stepBytes(params, activations, optimizer) };
}

function trainCifar(model: ResNet18 | VGG11): Job {
  const x = uni('x', [32, 3, 32, 32], -1, 1);
  const y = ints('y', [32], 10);
  return training(
    model,
    (net) => crossEntropy(net.forward(x), y),
    (net) => new SGD(net.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 }),
  );
}

/** After ten steps the loss is near 0 and differs by the order in which sums are taken. */
const nearZero = [1e-4, 3e-2] as const;

/** Convolutional networks. */
export const convWorkloads: readonly Workload[] = [
  {
    name: 'lenet5',
    kind: 'training',
    check: [2.3578, 2.217504],
    ...limits(64, lenetLimits(64), parameters.lenet5, 'adam'),
    make() {
      const x = uni('x', [64, 1, 28, 28], 0, 1);
      const y = ints('y', [64], 10);
      const adam = (net: LeNet5): Adam => new Adam(net.parameters(), { lr: 1e-3 });
      return training(new LeNet5(), (net) => crossEntropy(net.forward(x), y), adam);
    },
  },
  {
    name: 'resnet18-cifar',
    kind: 'training',
    check: [2.5423, 0.02274395],
    tolerance: nearZero,
    ...limits(32, resnetLimits(32, 3), parameters.resnet18, 'momentum'),
    make: () => trainCifar(new ResNet18()),
  },
  {
    name: 'vgg11-bn-cifar',
    kind: 'training',
    check: [2.953589, 0.01363321],
    tolerance: nearZero,
    ...limits(32, vggLimits(32), parameters.vgg11, 'momentum'),
    make: () => trainCifar(new VGG11()),
  },
  {
    name: 'infer-resnet18-b1',
    kind: 'inference',
    check: [-0.6325915, -0.6325915],
    ...limits(1, resnetLimits(1, 1), parameters.resnet18, 'inference'),
    make() {
      const x = uni('x', [1, 3, 32, 32], -1, 1);
      return inference(new ResNet18(), (net) => net.forward(x).select(1, 0));
    },
  },
];
