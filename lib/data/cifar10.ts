import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { checkBoolean, checkInteger, checkOneOf } from '../check.js';
import { FileFormatError, IoError } from '../errors.js';
import { checkPath, ioError, writeAtomic } from '../io/atomic.js';
import { fromTypedArray } from '../ops/create.js';
import type { Tensor } from '../tensor.js';
import { TensorDataset } from './dataset.js';
import { cacheDir, fetchPublished, type FetchOptions } from './download.js';
import { readMaybeGzip } from './idx.js';
import { readTar } from './tar.js';

/** Names of CIFAR-10's classes by label. */
export const cifar10Classes = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
] as const;

/** How {@link cifar10} finds the data. */
export interface Cifar10Options extends FetchOptions {
  /** `train` (50,000 images, the default) or `test` (10,000). */
  readonly split?: 'train' | 'test';
  /**
   * A directory with files of the binary version, plain or as .gz: `data_batch_*.bin` for train, `test_batch.bin` for test.
   * They may hold fewer images than the published ones. Nothing is downloaded then.
   */
  readonly dataDir?: string;
}

const PIXELS = 3 * 32 * 32;
const RECORD = 1 + PIXELS;
/** Longest file that is read unless the caller says otherwise: 100,000 images. */
const DEFAULT_MAX_IMAGES = 100_000;

const archive = {
  file: 'cifar-10-binary.tar.gz',
  url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
  bytes: 170_052_171,
  sha256: 'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd',
} as const;

const published = {
  train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
  test: ['test_batch.bin'],
} as const;

/** The images and labels of files in CIFAR-10's binary format. */
export type Cifar10 = TensorDataset<[images: Tensor, labels: Tensor]>;

/**
 * CIFAR-10 (Krizhevsky, 2009): images uint8 (N, 3, 32, 32) and labels int32 (N), 0 to 9 ({@link cifar10Classes}). Files come
 * from `dataDir`, or from the cache directory into which the archive is downloaded (170 MB) and unpacked the first time.
 *
 * @throws {IoError} when `dataDir` lacks the files or one cannot be read; {@link FileFormatError} when one is not of the format;
 * {@link DownloadError}.
 * @example const train = (await cifar10()).map(([image, label]) => [image.to('float32').div(255), label]);
 */
export async function cifar10(options: Cifar10Options = {}): Promise<Cifar10> {
  const fn = 'cifar10';
  const { split = 'train', dataDir, download: mayDownload = true } = options;
  checkOneOf(fn, 'split', split, ['train', 'test']);
  checkBoolean(fn, 'download', mayDownload);
  if (dataDir !== undefined) checkPath(fn, 'dataDir', dataDir);
  const directory = dataDir ?? join(cacheDir(), 'cifar10');
  let files = await findFiles(directory, split, dataDir !== undefined);
  if (files.length === 0 && dataDir === undefined && mayDownload) {
    await unpack(directory, options);
    files = await findFiles(directory, split, false);
  }
  if (files.length === 0) {
    throw new IoError(
      `${fn}: expected ${published[split].join(', ')} of CIFAR-10 in ${directory}, got none; they are in ${archive.url}`,
      directory,
    );
  }
  const parts: Uint8Array[] = [];
  for (const file of files) parts.push(await readRecords(fn, file, DEFAULT_MAX_IMAGES));
  return toDataset(parts);
}

/**
 * Reads one file of CIFAR-10's binary format, plain or compressed with gzip: records of a label byte and 3072 bytes, the red,
 * the green and the blue plane of 32 × 32 pixels.
 *
 * @param options.maxImages most images that are accepted; default 100,000.
 * @throws {FileFormatError} when the file is not whole records with labels 0 to 9, or longer; {@link IoError}.
 */
export async function readCifar10(
  path: string,
  { maxImages = DEFAULT_MAX_IMAGES }: { readonly maxImages?: number } = {},
): Promise<Cifar10> {
  checkInteger('readCifar10', 'maxImages', maxImages, { min: 1, max: 2 ** 31 });
  return toDataset([await readRecords('readCifar10', path, maxImages)]);
}

async function readRecords(fn: string, path: string, maxImages: number): Promise<Uint8Array> {
  const bytes = await readMaybeGzip(fn, path, maxImages * RECORD);
  if (bytes.length === 0 || bytes.length % RECORD !== 0) {
    throw new FileFormatError(
      `${fn}: expected ${path} to hold whole records of ${RECORD} bytes (CIFAR-10), got ${bytes.length} bytes`,
      path,
    );
  }
  for (let i = 0; i < bytes.length; i += RECORD) {
    if (bytes[i]! > 9) {
      throw new FileFormatError(`${fn}: expected labels 0 to 9 in ${path}, got ${bytes[i]} at ${i / RECORD}`, path);
    }
  }
  return bytes;
}

function toDataset(parts: readonly Uint8Array[]): Cifar10 {
  const n = parts.reduce((sum, part) => sum + part.length / RECORD, 0);
  const images = new Uint8Array(n * PIXELS);
  const labels = new Int32Array(n);
  let i = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += RECORD, i++) {
      labels[i] = part[at]!;
      images.set(part.subarray(at + 1, at + RECORD), i * PIXELS);
    }
  }
  return new TensorDataset(fromTypedArray(images, [n, 3, 32, 32]), fromTypedArray(labels, [n]));
}

/** The files of a split that are there, in order; all or none of the published ones unless `any` number will do. */
async function findFiles(directory: string, split: 'train' | 'test', any: boolean): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (!any && (error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw ioError('cifar10', 'read', directory, error);
  }
  const wanted = split === 'train' ? /^data_batch_\d+\.bin(\.gz)?$/ : /^test_batch\.bin(\.gz)?$/;
  const found = names.filter(
    (name) => wanted.test(name) && !(name.endsWith('.gz') && names.includes(name.slice(0, -3))),
  );
  if (!any && published[split].some((name) => !found.includes(name))) return [];
  return found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).map((name) => join(directory, name));
}

/** Downloads the archive and writes its batches beside it. */
async function unpack(directory: string, options: FetchOptions): Promise<void> {
  const path = await fetchPublished(archive.url, archive, directory, options);
  const bytes = await readMaybeGzip('cifar10', path, 2 ** 28);
  const names = new Set<string>([...published.train, ...published.test]);
  for (const { name, data } of readTar(bytes, path)) {
    const file = basename(name);
    if (names.has(file)) await writeAtomic(join(directory, file), data, 'cifar10');
  }
}
