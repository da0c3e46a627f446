import { join } from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { UsageError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import type { BatchSource } from '../train/types.js';
import { exists } from './config.js';
import type { Io } from './common.js';
import { formatBytes } from './common.js';
import { type ClassDataset, modelFor } from './recipes.js';

/** Shape of an example of each data set; those of a folder are scaled. */
const shapes: Readonly<Record<Exclude<ClassDataset, 'folder'>, readonly number[]>> = {
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
  if (dataset === 'folder') {
    if (inputShape.length === 3 && inputShape[0] === 3) return;
    throw new UsageError(
      `model ${model} does not take colour images; ${modelFor(dataset)} is a model for a folder of them`,
    );
  }
  const shape = shapes[dataset];
  if (numel(inputShape) === numel(shape) || border(shape, inputShape) !== null) return;
  throw new UsageError(
    `model ${model} takes ${numel(inputShape)} numbers a row and ${dataset} has ${numel(shape)}; ${modelFor(dataset)} is a model for it`,
  );
}

/** A loader of float32 inputs and their targets. */
export type PairLoader = BatchSource & { readonly length: number };

/** Rows that are evaluated at a time. */
export const evalRows = (dataset: ClassDataset): number => (dataset === 'folder' ? 32 : 1000);

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
  /** Names of the classes that a folder must have. */
  readonly classes?: readonly string[] | null;
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
  const loading = { batchSize, shuffle, generator: new Generator(options.seed ?? 0) };
  if (name === 'folder') {
    const { mean, std } = images.imageStatistics.imagenet;
    const [, height = 0] = inputShape;
    const examples = (await openFolder(options, io)).map(([batch, labels]) => {
      const x = augment ? images.augmentImages(batch, { padding: height >> 3, flip: 0.5 }) : batch;
      return [images.normalizeImages(x, mean, std), labels] as [Tensor, Tensor];
    });
    return new DataLoader(examples, loading);
  }
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
  return new DataLoader(examples, loading);
}

/** Where the images of a split are: in a directory a class, below `train`, and below `val` or `test`. */
async function folderOf(split: 'train' | 'test', dataDir: string | null | undefined): Promise<string> {
  const usage = 'a folder of images holds train/CLASS/… and val/CLASS/… (or test/CLASS/…)';
  if (dataDir === null || dataDir === undefined) throw new UsageError(`dataset folder needs --data-dir DIR; ${usage}`);
  for (const name of split === 'train' ? ['train'] : ['val', 'test']) {
    if (await exists(join(dataDir, name))) return join(dataDir, name);
  }
  throw new UsageError(`${dataDir} has no images for ${split === 'train' ? 'training' : 'testing'}; ${usage}`);
}

/** The classes of a folder of images, by the names of its directories. */
export async function folderClasses(dataDir: string | null): Promise<readonly string[]> {
  const { imageFolder } = await import('../data/image_folder.js');
  return (await imageFolder(await folderOf('train', dataDir))).classes;
}

/** Images of the size that the model takes. Files that are no whole images are left out and said. */
async function openFolder({ split, dataDir, inputShape, classes }: DatasetOptions, io: Io) {
  const { imageFolder } = await import('../data/image_folder.js');
  const directory = await folderOf(split, dataDir);
  const [, height = 0, width = 0] = inputShape;
  const images = await imageFolder(directory, { size: [height, width], corrupt: 'skip' });
  const wanted = (classes ?? images.classes).join(', ');
  if (images.classes.join(', ') !== wanted) {
    throw new UsageError(`expected the classes ${wanted} in ${directory}, got ${images.classes.join(', ')}`);
  }
  for (const { reason } of images.skipped) io.err.write(`left out: ${reason}\n`);
  return images;
}

/** The split as it is published: float32 curves, or bytes of images, and labels. */
async function open(
  name: Exclude<ClassDataset, 'folder'>,
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
