import { show } from '../check.js';
import { ValueError } from '../errors.js';
import type { UnaryModule } from '../nn/module.js';
import { Transformer } from '../nn/transformer.js';
import { AlexNet, AlexNetGrouped } from './alexnet.js';
import { Autoencoder, DenoisingAutoencoder, LinearAutoencoder, SparseAutoencoder } from './autoencoder.js';
import { DenseNet, densenetLayers } from './densenet.js';
import { GoogLeNet } from './googlenet.js';
import { gpt, gptConfigs } from './gpt.js';
import { DigitCNN, LeNet5, LeNet5Original } from './lenet.js';
import { MLP, type ModelOptions } from './mlp.js';
import { Mnist1dCNN, Mnist1dGRU, Mnist1dLinear, Mnist1dMLP } from './mnist1d.js';
import { CifarResNet, ResNet, resnetLayers } from './resnet.js';
import { CifarVGG, VGG, vggLayers } from './vgg.js';

/** Data sets that models are trained on unless another is named. */
export type ModelDataset = 'mnist' | 'mnist1d' | 'cifar10' | 'folder';

/** A model that the command line knows. */
export interface ModelEntry {
  /** One line for lists of models. */
  readonly description: string;
  /** Shape of one example. */
  readonly inputShape: readonly number[];
  /** Dtype of an example; float32. */
  readonly inputDtype?: 'int32';
  /** Number of outputs. */
  readonly classes: number;
  /** Data set it is trained on unless another is named; null where there is none here. */
  readonly dataset: ModelDataset | null;
  /** Whether its output is to be its input, not a class. */
  readonly reconstructs?: boolean;
  /** Values of black and white pixels that it expects; 0 and 1. */
  readonly pixels?: readonly [black: number, white: number];
  /** Makes it with fresh weights; models of colour images take a number of classes. */
  create(options?: ModelOptions & { readonly classes?: number }): UnaryModule;
}

type Create = ModelEntry['create'];

const entry =
  (inputShape: readonly number[], dataset: ModelDataset | null, classes = 10) =>
  (description: string, create: Create): ModelEntry => ({ description, inputShape, classes, dataset, create });

const digits = entry([784], 'mnist');
const digitImages = entry([1, 28, 28], 'mnist');
const paddedDigits = entry([1, 32, 32], 'mnist');
const curves = entry([40], 'mnist1d');
const small = entry([3, 32, 32], 'cifar10');
const large = entry([3, 224, 224], 'folder', 1000);
const reconstruction = (description: string, create: Create): ModelEntry => ({
  ...entry([784], 'mnist', 784)(description, create),
  reconstructs: true,
});

const resnet = (name: keyof typeof resnetLayers): ModelEntry =>
  large(`residual network of ${name.slice(6)} layers`, (options) => {
    const [block, blocks] = resnetLayers[name];
    return new ResNet(block, blocks, options);
  });
const vgg = (name: keyof typeof vggLayers, batchNorm = false): ModelEntry =>
  large(`VGG of ${name.slice(3)} layers${batchNorm ? ' with batch normalisation' : ''}`, (options) => {
    return new VGG(vggLayers[name], { batchNorm, ...options });
  });
const densenet = (name: keyof typeof densenetLayers): ModelEntry =>
  large(`densely connected network of ${name.slice(8)} layers`, (options) => {
    return new DenseNet({ ...densenetLayers[name], ...options });
  });
/** A GPT, shown a text of 8 tokens. */
const language = (name: keyof typeof gptConfigs): ModelEntry => ({
  ...entry([8], null)(`decoder of ${gptConfigs[name].layers} layers of width ${gptConfigs[name].width}`, (options) =>
    gpt(name, options),
  ),
  inputDtype: 'int32',
});
const cifarResnet = (n: number): ModelEntry =>
  small(`residual network of ${6 * n + 2} layers for 32 × 32, option A`, (options) => new CifarResNet(n, options));

const entries = {
  mlp: digits('multilayer perceptron 784-200-200-10 with ReLU', (options) => new MLP([784, 200, 200, 10], options)),
  logistic: digits('logistic regression 784-10', (options) => new MLP([784, 10], options)),
  'mnist1d-linear': curves('linear classifier 40-10', (options) => new Mnist1dLinear(options)),
  'mnist1d-mlp': curves('perceptron 40-100-100-10 with a skip over its second layer', (options) => {
    return new Mnist1dMLP(options);
  }),
  'mnist1d-cnn': curves('three 1-D convolutions of 25 channels', (options) => new Mnist1dCNN(options)),
  'mnist1d-gru': curves('bidirectional GRU of 6 units, all steps to a linear layer', (options) => {
    return new Mnist1dGRU(options);
  }),
  'linear-autoencoder': reconstruction('linear autoencoder 784-30-784', (options) => {
    return new LinearAutoencoder(784, 30, options);
  }),
  autoencoder: reconstruction('autoencoder 784-256-32-256-784', (options) => {
    return new Autoencoder([784, 256, 32], { output: 'sigmoid', ...options });
  }),
  'denoising-autoencoder': reconstruction('autoencoder 784-256-32 of inputs with 30 % masked', (options) => {
    return new DenoisingAutoencoder([784, 256, 32], { output: 'sigmoid', ...options });
  }),
  'sparse-autoencoder': reconstruction('autoencoder 784-256 with a penalty on active units', (options) => {
    return new SparseAutoencoder([784, 256], { output: 'sigmoid', weight: 1e-4, ...options });
  }),
  lenet5: digitImages('LeNet-5 with ReLU and max-pooling', (options) => new LeNet5(options)),
  'lenet5-original': {
    ...paddedDigits('LeNet-5 as published, with a sparse layer and radial basis functions', (options) => {
      return new LeNet5Original(options);
    }),
    pixels: [-0.1, 1.175],
  },
  'digit-cnn': paddedDigits('6@28² – 14² – 16@10² – 5² – 10', (options) => new DigitCNN(options)),
  alexnet: large('AlexNet for one processor', (options) => new AlexNet(options)),
  'alexnet-grouped': large('AlexNet as published, in two groups', (options) => new AlexNetGrouped(options)),
  vgg11: vgg('vgg11'),
  vgg13: vgg('vgg13'),
  vgg16: vgg('vgg16'),
  vgg19: vgg('vgg19'),
  'vgg16-bn': vgg('vgg16', true),
  'vgg11-bn-cifar': small('VGG of 11 layers with batch normalisation for 32 × 32', (options) => {
    return new CifarVGG(vggLayers.vgg11, options);
  }),
  googlenet: large('Inception v1', (options) => new GoogLeNet(options)),
  'googlenet-aux': large('Inception v1 with auxiliary classifiers', (options) => {
    return new GoogLeNet({ auxiliary: true, ...options });
  }),
  resnet18: resnet('resnet18'),
  resnet34: resnet('resnet34'),
  resnet50: resnet('resnet50'),
  resnet101: resnet('resnet101'),
  resnet152: resnet('resnet152'),
  'resnet18-cifar': small('ResNet-18 that begins with a 3×3 convolution', (options) => {
    return new ResNet(...resnetLayers.resnet18, { classes: 10, stem: 'cifar', ...options });
  }),
  'cifar-resnet20': cifarResnet(3),
  'cifar-resnet56': cifarResnet(9),
  'cifar-resnet110': cifarResnet(18),
  densenet121: densenet('densenet121'),
  densenet169: densenet('densenet169'),
  densenet201: densenet('densenet201'),
  densenet161: densenet('densenet161'),
  densenet264: densenet('densenet264'),
  transformer: entry(
    [10, 512],
    null,
    512,
  )('Transformer of 6 + 6 layers of width 512, 8 heads', (options) => {
    return new Transformer({ batchFirst: true, ...options });
  }),
  gpt2: language('gpt2'),
  'gpt2-medium': language('gpt2-medium'),
  'gpt2-large': language('gpt2-large'),
  'gpt2-xl': language('gpt2-xl'),
  gpt3: language('gpt3'),
} satisfies Record<string, ModelEntry>;

/** Names that {@link createModel} takes. */
export type ModelName = keyof typeof entries;

/** The models' names, in the order of lists. */
export const modelNames = Object.keys(entries) as readonly ModelName[];

/** What is known of a model; throws {@link ValueError} that lists the names when there is none of this name. */
export function modelEntry(name: string): ModelEntry {
  if (typeof name === 'string' && Object.hasOwn(entries, name)) return entries[name as ModelName];
  throw new ValueError(`model: expected one of ${modelNames.join(', ')}, got ${show(name)}`);
}

/** A model by its name, with fresh weights. */
export function createModel(name: string, options?: ModelOptions): UnaryModule {
  return modelEntry(name).create(options);
}
