import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type sharpOf from 'sharp';
import { checkInteger, checkOneOf, show } from '../check.js';
import { FileFormatError, MyelinError, ValueError } from '../errors.js';
import { checkPath, ioError } from '../io/atomic.js';
import { fromTypedArray } from '../ops/create.js';
import type { Tensor } from '../tensor.js';
import { Dataset } from './dataset.js';
import type { Rows } from './rows.js';

/** How {@link imageFolder} reads images. */
export interface ImageFolderOptions {
  /** Height and width that every image is scaled and cut to (filled and centred); default: all must be of one size. */
  readonly size?: readonly [height: number, width: number];
  /** 3 (the default) for red, green and blue, 1 for grey; images are converted. */
  readonly channels?: 1 | 3;
  /**
   * What to do about files that are no whole image: `throw` (the default) fails at the batch that has one; `skip` reads every
   * file once now and leaves such files out ({@link ImageFolder.skipped}); `check` does so too, and fails with a list of them.
   */
  readonly corrupt?: 'throw' | 'skip' | 'check';
  /** Names that count as images by their ends; default .jpg .jpeg .png .webp .gif .tif .tiff .avif. */
  readonly extensions?: readonly string[];
  /** Most pixels of a file that are decoded; default 100,000,000. */
  readonly maxPixels?: number;
}

/** An image file and its class. */
export interface ImageFile {
  readonly path: string;
  readonly label: number;
}

const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif'];

/** Images decoded at a time. */
const PARALLEL = 4;

type Sharp = typeof sharpOf;

async function loadSharp(fn: string): Promise<Sharp> {
  try {
    return (await import('sharp')).default;
  } catch (error) {
    throw new MyelinError(
      'ERR_MISSING_DEPENDENCY',
      `${fn}: images are read with sharp; install it: npm install sharp`,
      {
        cause: error,
      },
    );
  }
}

interface Decoded {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/**
 * Image files in one directory per class. Batches are promises of images uint8 (N, C, H, W) and labels int32 (N); a loader has
 * the next ones decoded while the present one is worked on. Made by {@link imageFolder}.
 */
export class ImageFolder extends Dataset<Promise<[images: Tensor, labels: Tensor]>> {
  /** @internal */
  constructor(
    /** Names of the directories in ascending order; class k is the k-th. */
    readonly classes: readonly string[],
    readonly files: readonly ImageFile[],
    /** Files that were left out because they are no whole images, with what is wrong with each. */
    readonly skipped: readonly { readonly path: string; readonly reason: string }[],
    private readonly decode: (path: string) => Promise<Decoded>,
    private readonly channels: number,
  ) {
    super();
  }

  get length(): number {
    return this.files.length;
  }

  async getBatch(rows: Rows): Promise<[images: Tensor, labels: Tensor]> {
    const files = Array.from(rows.array(), (i) => this.files[i]!);
    const images = await inParallel(files, ({ path }) => this.decode(path));
    const { height, width } = images[0]!;
    const size = this.channels * height * width;
    const data = new Uint8Array(files.length * size);
    images.forEach((image, i) => {
      if (image.height !== height || image.width !== width) {
        const [first, other] = [files[0]!.path, files[i]!.path];
        throw new ValueError(
          `imageFolder: expected images of one size, got ${height}×${width} in ${first} and ${image.height}×${image.width} in ${other}; the option size scales them`,
        );
      }
      planes(image.data, data.subarray(i * size, (i + 1) * size), this.channels);
    });
    return [
      fromTypedArray(data, [files.length, this.channels, height, width]),
      fromTypedArray(
        Int32Array.from(files, ({ label }) => label),
        [files.length],
      ),
    ];
  }
}

/** Pixels with their channels together to one plane a channel. */
function planes(pixels: Uint8Array, out: Uint8Array, channels: number): void {
  const n = pixels.length / channels;
  for (let c = 0; c < channels; c++) for (let i = 0; i < n; i++) out[c * n + i] = pixels[i * channels + c]!;
}

async function inParallel<T, R>(items: readonly T[], fn: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const i = next++;
      results[i] = await fn(items[i]!);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return results;
}

/**
 * Opens a directory with one directory of images per class, as `torchvision.datasets.ImageFolder`. Needs the optional package
 * sharp.
 *
 * @throws {ValueError} when there are no classes or images; {@link FileFormatError} for files that are no whole images (naming
 * them); {@link IoError}; {@link MyelinError} with code `ERR_MISSING_DEPENDENCY` without sharp.
 * @example
 * const pets = await imageFolder('pets', { size: [64, 64], corrupt: 'skip' });
 * const loader = new DataLoader(pets, { batchSize: 32, shuffle: true });
 * for await (const [images, labels] of loader) { … }
 */
export async function imageFolder(directory: string, options: ImageFolderOptions = {}): Promise<ImageFolder> {
  const fn = 'imageFolder';
  const { size, channels = 3, corrupt = 'throw', extensions = EXTENSIONS, maxPixels = 100_000_000 } = options;
  checkPath(fn, 'directory', directory);
  if (size !== undefined) {
    if (!Array.isArray(size) || size.length !== 2) {
      throw new ValueError(`${fn}: expected size to be [height, width], got ${show(size)}`);
    }
    for (const side of size as readonly unknown[]) checkInteger(fn, 'size', side, { min: 1, max: 65_535 });
  }
  checkOneOf(fn, 'channels', String(channels), ['1', '3']);
  checkOneOf(fn, 'corrupt', corrupt, ['throw', 'skip', 'check']);
  checkInteger(fn, 'maxPixels', maxPixels, { min: 1 });
  const list = (path: string) =>
    readdir(path, { withFileTypes: true }).catch((error: unknown) => {
      throw ioError(fn, 'read', path, error);
    });
  const classes = (await list(directory))
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  if (classes.length === 0) throw new ValueError(`${fn}: expected one directory per class in ${directory}, got none`);
  const files: ImageFile[] = [];
  for (const [label, name] of classes.entries()) {
    for (const entry of (await list(join(directory, name))).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (!entry.isFile() || !extensions.includes(extname(entry.name).toLowerCase())) continue;
      files.push({ path: join(directory, name, entry.name), label });
    }
  }
  const sharp = await loadSharp(fn);
  const decode = async (path: string): Promise<Decoded> => {
    try {
      let image = sharp(path, { failOn: 'truncated', limitInputPixels: maxPixels }).removeAlpha();
      if (size !== undefined) image = image.resize({ height: size[0], width: size[1], fit: 'cover' });
      image = channels === 1 ? image.greyscale() : image.toColourspace('srgb');
      const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
      if (info.channels !== channels) throw new Error(`expected ${channels} channels, got ${info.channels}`);
      return { data, height: info.height, width: info.width };
    } catch (error) {
      throw new FileFormatError(`${fn}: expected ${path} to be a whole image, got: ${(error as Error).message}`, path);
    }
  };
  const skipped: { path: string; reason: string }[] = [];
  let whole = files;
  if (corrupt !== 'throw') {
    await inParallel(files, async ({ path }) => {
      await decode(path).catch((error: unknown) => skipped.push({ path, reason: (error as Error).message }));
    });
    skipped.sort((a, b) => (a.path < b.path ? -1 : 1));
    if (corrupt === 'check' && skipped.length > 0) {
      const lines = skipped.map(({ reason }) => `  ${reason}`);
      throw new FileFormatError(`${fn}: ${skipped.length} of ${files.length} files are broken:\n${lines.join('\n')}`);
    }
    const bad = new Set(skipped.map(({ path }) => path));
    whole = files.filter(({ path }) => !bad.has(path));
  }
  if (whole.length === 0) throw new ValueError(`${fn}: expected at least one image in ${directory}, got none`);
  return new ImageFolder(classes, whole, skipped, decode, channels);
}
