import type { ModelDataset } from '../models/registry.js';

/** Data sets that the command line knows. */
export const datasetNames = ['mnist1d', 'mnist', 'fashion-mnist', 'cifar10'] as const satisfies readonly (
  ModelDataset | 'fashion-mnist'
)[];

/** One of {@link datasetNames}. */
export type DatasetName = (typeof datasetNames)[number];

/** Optimizers that the command line knows, with their learning rates where no recipe gives one. */
export const optimizerRates = { sgd: 0.05, adam: 1e-3, adamw: 1e-3, rmsprop: 1e-3, adagrad: 1e-2 } as const;

/** One of the names in {@link optimizerRates}. */
export type OptimizerName = keyof typeof optimizerRates;

/** How the learning rate goes over a run: `cosine` falls to 0, `onecycle` rises first. */
export const scheduleNames = ['constant', 'cosine', 'onecycle'] as const;

/** One of {@link scheduleNames}. */
export type ScheduleName = (typeof scheduleNames)[number];

/** How a model is trained on a data set unless options say otherwise. */
export interface Recipe {
  readonly optimizer: OptimizerName;
  readonly lr: number;
  readonly weightDecay: number;
  readonly schedule: ScheduleName;
  readonly batchSize: number;
  readonly epochs: number;
  /** Whether every epoch has an order of its own. */
  readonly shuffle: boolean;
  /** Whether images are shifted and mirrored at random. */
  readonly augment: boolean;
}

const digits: Recipe = {
  optimizer: 'adam',
  lr: 1e-3,
  weightDecay: 0,
  schedule: 'constant',
  batchSize: 64,
  epochs: 6,
  shuffle: true,
  augment: false,
};

/** What the data set alone says. MNIST-1D follows its paper: Adam, 6000 steps of 100 examples in order. */
const byDataset: Readonly<Record<DatasetName, { readonly model: string; readonly recipe: Recipe }>> = {
  mnist1d: { model: 'mnist1d-mlp', recipe: { ...digits, lr: 0.01, batchSize: 100, epochs: 150, shuffle: false } },
  mnist: { model: 'mlp', recipe: digits },
  'fashion-mnist': { model: 'mlp', recipe: { ...digits, epochs: 10 } },
  cifar10: {
    model: 'cifar-resnet20',
    recipe: {
      ...digits,
      optimizer: 'sgd',
      lr: 0.1,
      weightDecay: 1e-4,
      schedule: 'cosine',
      batchSize: 128,
      epochs: 100,
      augment: true,
    },
  },
};

const autoencoder: Partial<Recipe> = { batchSize: 128, epochs: 20, schedule: 'cosine' };

/** What the model changes in that. */
const byModel: Readonly<Record<string, Partial<Recipe>>> = {
  lenet5: { epochs: 4, schedule: 'onecycle', lr: 4e-3 },
  'lenet5-original': { epochs: 10, schedule: 'onecycle', lr: 2e-3 },
  'digit-cnn': { epochs: 4, schedule: 'onecycle', lr: 4e-3 },
  'linear-autoencoder': { ...autoencoder, lr: 2e-3 },
  autoencoder,
  'denoising-autoencoder': autoencoder,
  'sparse-autoencoder': autoencoder,
  'resnet18-cifar': { weightDecay: 5e-4 },
  'vgg11-bn-cifar': { weightDecay: 5e-4, lr: 0.05 },
};

/** The model for a data set. */
export const modelFor = (dataset: DatasetName): string => byDataset[dataset].model;

/** The recipe of a model on a data set. */
export const recipeOf = (model: string, dataset: DatasetName): Recipe => ({
  ...byDataset[dataset].recipe,
  ...(Object.hasOwn(byModel, model) ? byModel[model] : {}),
});
