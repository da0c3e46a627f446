import type { DataLoader } from '../data/loader.js';
import { UsageError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import type { Io } from './common.js';
import { formatBytes } from './common.js';

/** Data sets that the command line knows. */
export const datasetNames = ['mnist1d', 'mnist', 'fashion-mnist'] as const;

/** One of {@link datasetNames}. */
export type DatasetName = (typeof datasetNames)[number];

/** How a data set is trained on unless options say otherwise. */
export interface Recipe {
  readonly model: string;
  readonly optimizer: OptimizerName;
  readonly lr: number;
  readonly batchSize: number;
  readonly epochs: number;
  /** Whether every epoch has an order of its own. */
  readonly shuffle: boolean;
  /** Numbers in one example. */
  readonly features: number;
}

/** Optimizers that the command line knows, with their learning rates where no recipe gives one. */
export const optimizerRates = { sgd: 0.05, adam: 1e-3, adamw: 1e-3, rmsprop: 1e-3, adagrad: 1e-2 } as const;

/** One of the names in {@link optimizerRates}. */
export type OptimizerName = keyof typeof optimizerRates;

const digits = {
  model: 'mlp',
  optimizer: 'adam',
  lr: 1e-3,
  batchSize: 64,
  epochs: 6,
  shuffle: true,
  features: 784,
} as const;

/** MNIST-1D follows its paper: Adam, 6000 steps of 100 examples in order. */
export const recipes: Readonly<Record<DatasetName, Recipe>> = {
  mnist1d: {
    model: 'mnist1d-mlp',
    optimizer: 'adam',
    lr: 0.01,
    batchSize: 100,
    epochs: 150,
    shuffle: false,
    features: 40,
  },
  mnist: digits,
  'fashion-mnist': { ...digits, epochs: 10 },
};

/** Throws {@link UsageError} unless a model that takes examples of `inputShape` can be trained on the data set. */
export function checkInputs(
  inputShape: readonly number[],
  { model, dataset }: { model: string; dataset: DatasetName },
): void {
  const wanted = inputShape.reduce((a, b) => a * b, 1);
  const { features, model: fitting } = recipes[dataset];
  if (wanted === features) return;
  throw new UsageError(
    `model ${model} takes ${wanted} numbers a row and ${dataset} has ${features}; ${fitting} is a model for it`,
  );
}

/** A loader of float32 rows and int32 classes. */
export type ClassLoader = DataLoader<[Tensor, Tensor]>;

/** What {@link openDataset} needs to know. */
export interface DatasetOptions {
  readonly split: 'train' | 'test';
  readonly batchSize: number;
  readonly shuffle?: boolean;
  readonly seed?: number;
  readonly dataDir?: string;
  readonly signal?: AbortSignal;
}

/** Opens one split of a data set; images come as rows of pixels in [0, 1]. Downloads are announced on `io.err`. */
export async function openDataset(name: DatasetName, options: DatasetOptions, io: Io): Promise<ClassLoader> {
  const { split, batchSize, shuffle = false, seed = 0, dataDir, signal } = options;
  const [{ DataLoader }, { Generator }] = await Promise.all([import('../data/loader.js'), import('../random.js')]);
  const loading = { batchSize, shuffle, generator: new Generator(seed) };
  if (name === 'mnist1d') {
    const { mnist1d } = await import('../data/mnist1d.js');
    return new DataLoader(mnist1d({ split }), loading);
  }
  const { mnist } = await import('../data/mnist.js');
  let announced = '';
  const images = await mnist({
    split,
    variant: name === 'mnist' ? 'mnist' : 'fashion',
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(signal === undefined ? {} : { signal }),
    onProgress: (file, _done, total) => {
      if (announced === file) return;
      announced = file;
      io.err.write(`downloading ${file}${total === undefined ? '' : ` (${formatBytes(total)})`}\n`);
    },
  });
  const rows = images.map(([x, y]) => [x.flatten(1, 2).to('float32').div(255), y] as [Tensor, Tensor]);
  return new DataLoader(rows, loading);
}
