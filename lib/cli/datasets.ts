import type { Dataset } from '../data/dataset.js';
import type { DataLoader } from '../data/loader.js';
import { UsageError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import type { Io } from './common.js';
import { formatBytes } from './common.js';
import { type ClassDataset, modelFor } from './recipes.js';

/** Shape of an example of each data set. */
const shapes: Readonly<Record<ClassDataset, readonly number[]>> = {
  mnist1d: [40],
  mnist: [1, 28, 28],
  'fashion-mnist': [1, 28, 28],
  cifar10: [3, 32, 32],
};

const numel = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Black pixels put around images of `from` so that they have the size of `to`, or null when they cannot have it. */
function border(from: readonly number[], to: readonly number[]): number | null {
  const [[c, h, w], [c2, h2, w2]] = [from, to] as [number[], number[]];
  if (from.length !== 3 || to.length !== 3 || c !== c2) return null;
  const by = (h2! - h!) / 2;
  return by > 0 && Number.isInteger(by) && w2! - w! === 2 * by ? by : null;
}

/** Throws {@link UsageError} unless a model that takes examples of `inputShape` can be trained on the data set. */
export function checkInputs(
  inputShape: readonly number[],
  { model, dataset }: { model: string; dataset: ClassDataset },
): void {
  const shape = shapes[dataset];
  if (numel(inputShape) === numel(shape) || border(shape, inputShape) !== null) return;
  throw new UsageError(
    `model ${model} takes ${numel(inputShape)} numbers a row and ${dataset} has ${numel(shape)}; ${modelFor(dataset)} is a model for it`,
  );
}

/** A loader of float32 inputs and their targets. */
export type PairLoader = DataLoader<[Tensor, Tensor]>;

/** What {@link openDataset} needs to know. */
export interface DatasetOptions {
  readonly split: 'train' | 'test';
  /** Shape in which the model takes an example; images may be larger by a border of black pixels. */
  readonly inputShape: readonly number[];
  /** Values of black and white pixels of grey images; 0 and 1. */
  readonly pixels?: readonly [black: number, white: number] | undefined;
  /** `class` (the default) or the input itself. */
  readonly target?: 'class' | 'input';
  readonly batchSize: number;
  readonly shuffle?: boolean;
  /** Whether images are shifted and, but for digits, mirrored at random. */
  readonly augment?: boolean;
  readonly seed?: number;
  readonly dataDir?: string;
  readonly signal?: AbortSignal;
}

/**
 * Opens one split of a data set for a model. Grey images come as pixels in [0, 1] unless `pixels` says otherwise, those of
 * CIFAR-10 normalised by channel. Downloads are announced on `io.err`.
 */
export async function openDataset(name: ClassDataset, options: DatasetOptions, io: Io): Promise<PairLoader> {
  const { inputShape, pixels = [0, 1], target = 'class', batchSize, shuffle = false, augment = false } = options;
  const [{ DataLoader }, { Generator }, images] = await Promise.all([
    import('../data/loader.js'),
    import('../random.js'),
    import('../data/augment.js'),
  ]);
  const shape = shapes[name];
  const edge = border(shape, inputShape) ?? 0;
  const digits = name === 'mnist';
  const variation = digits ? { padding: 2 } : { padding: 4, flip: 0.5 };
  const { mean, std } = images.imageStatistics.cifar10;
  const prepare = (batch: Tensor): Tensor => {
    if (shape.length !== 3) return batch;
    let x = batch.reshape([-1, ...shape]);
    if (augment) x = images.augmentImages(x, variation);
    if (edge > 0) x = images.padImages(x, edge);
    if (name === 'cifar10') return images.normalizeImages(x, mean, std);
    const [black, white] = pixels;
    x = x.to('float32').div(255);
    return black === 0 && white === 1 ? x : x.mul(white - black).add(black);
  };
  const examples = (await open(name, options, io)).map(([batch, labels]) => {
    const x = prepare(batch).reshape([-1, ...inputShape]);
    return [x, target === 'input' ? x.flatten(1) : labels] as [Tensor, Tensor];
  });
  return new DataLoader(examples, { batchSize, shuffle, generator: new Generator(options.seed ?? 0) });
}

/** The split as it is published: float32 curves, or bytes of images, and labels. */
async function open(
  name: ClassDataset,
  { split, dataDir, signal }: DatasetOptions,
  io: Io,
): Promise<Dataset<readonly [Tensor, Tensor]>> {
  if (name === 'mnist1d') {
    const { mnist1d } = await import('../data/mnist1d.js');
    return mnist1d({ split });
  }
  let announced = '';
  const source = {
    split,
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(signal === undefined ? {} : { signal }),
    onProgress: (file: string, _done: number, total: number | undefined): void => {
      if (announced === file) return;
      announced = file;
      io.err.write(`downloading ${file}${total === undefined ? '' : ` (${formatBytes(total)})`}\n`);
    },
  };
  if (name === 'cifar10') {
    const { cifar10 } = await import('../data/cifar10.js');
    return cifar10(source);
  }
  const { mnist } = await import('../data/mnist.js');
  return mnist({ ...source, variant: name === 'mnist' ? 'mnist' : 'fashion' });
}
