import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkBoolean, checkOneOf, show } from '../check.js';
import { FileFormatError, IoError } from '../errors.js';
import { checkPath, ioError } from '../io/atomic.js';
import { fromTypedArray } from '../ops/create.js';
import { numelOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { TensorDataset } from './dataset.js';
import { cacheDir, fetchPublished, type FetchOptions } from './download.js';
import { parseIdx, readMaybeGzip } from './idx.js';

/** How {@link mnist} finds and gives the data. */
export interface MnistOptions extends FetchOptions {
  /** `train` (60,000 images, the default) or `test` (10,000). */
  readonly split?: 'train' | 'test';
  /** `mnist` (handwritten digits, the default) or `fashion` (Fashion-MNIST: clothes). */
  readonly variant?: 'mnist' | 'fashion';
  /** A directory with the files, plain or as .gz, under their usual names; nothing is downloaded then. */
  readonly dataDir?: string;
}

/** One file of the family, which its home publishes as .gz. */
interface IdxFile {
  readonly name: string;
  /** Of the .gz file. */
  readonly gzBytes: number;
  readonly gzSha256: string;
  /** Of its contents; undefined where nobody published it. */
  readonly sha256?: string;
}

interface Source {
  readonly title: string;
  readonly mirrors: readonly string[];
  readonly files: Readonly<Record<'train' | 'test', readonly [images: IdxFile, labels: IdxFile]>>;
}

const sources: Readonly<Record<'mnist' | 'fashion', Source>> = {
  mnist: {
    title: 'MNIST',
    mirrors: ['https://ossci-datasets.s3.amazonaws.com/mnist/', 'https://storage.googleapis.com/cvdf-datasets/mnist/'],
    files: {
      train: [
        {
          name: 'train-images-idx3-ubyte',
          gzBytes: 9912422,
          gzSha256: '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609',
          sha256: 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
        },
        {
          name: 'train-labels-idx1-ubyte',
          gzBytes: 28881,
          gzSha256: '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c',
          sha256: '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
        },
      ],
      test: [
        {
          name: 't10k-images-idx3-ubyte',
          gzBytes: 1648877,
          gzSha256: '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6',
          sha256: '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
        },
        {
          name: 't10k-labels-idx1-ubyte',
          gzBytes: 4542,
          gzSha256: 'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6',
          sha256: 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
        },
      ],
    },
  },
  fashion: {
    title: 'Fashion-MNIST',
    mirrors: [
      'https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/',
      'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
    ],
    files: {
      train: [
        {
          name: 'train-images-idx3-ubyte',
          gzBytes: 26421880,
          gzSha256: '3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84',
        },
        {
          name: 'train-labels-idx1-ubyte',
          gzBytes: 29515,
          gzSha256: 'a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845',
        },
      ],
      test: [
        {
          name: 't10k-images-idx3-ubyte',
          gzBytes: 4422102,
          gzSha256: '346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073',
        },
        {
          name: 't10k-labels-idx1-ubyte',
          gzBytes: 5148,
          gzSha256: '67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5',
        },
      ],
    },
  },
};

/**
 * MNIST (LeCun, Cortes and Burges, 1998) or Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): images uint8 (N, 28, 28) and
 * labels int32 (N), 0 to 9. Files come from `dataDir`, or from the cache directory into which they are downloaded the first
 * time. Contents are checked against pinned SHA-256 hashes (Fashion-MNIST: where the files are the published .gz).
 *
 * @throws {IoError} when `dataDir` lacks a file or a file cannot be read; {@link FileFormatError} when a file is not the
 * published one; {@link DownloadError}.
 * @example const train = (await mnist()).map(([image, label]) => [image.to('float32').div(255).flatten(1), label]);
 */
export async function mnist(options: MnistOptions = {}): Promise<TensorDataset<[images: Tensor, labels: Tensor]>> {
  const { split = 'train', variant = 'mnist', dataDir, download: mayDownload = true } = options;
  checkOneOf('mnist', 'split', split, ['train', 'test']);
  const source = sources[checkOneOf('mnist', 'variant', variant, ['mnist', 'fashion'])];
  checkBoolean('mnist', 'download', mayDownload);
  if (dataDir !== undefined) checkPath('mnist', 'dataDir', dataDir);
  const [imageFile, labelFile] = source.files[split];
  const n = split === 'train' ? 60_000 : 10_000;
  const find = (file: IdxFile): Promise<string> =>
    findFile(source, file, dataDir ?? join(cacheDir(), variant), {
      ...options,
      download: dataDir === undefined && mayDownload,
    });
  // One after the other, so that progress is told of one file at a time.
  const imagePath = await find(imageFile);
  const labelPath = await find(labelFile);
  const [images, labels] = await Promise.all([
    readPublished(imagePath, imageFile, [n, 28, 28], source.title),
    readPublished(labelPath, labelFile, [n], source.title),
  ]);
  const bad = labels.findIndex((label) => label > 9);
  if (bad >= 0) {
    throw new FileFormatError(`mnist: expected labels 0 to 9 in ${labelPath}, got ${labels[bad]} at ${bad}`, labelPath);
  }
  return new TensorDataset(fromTypedArray(images, [n, 28, 28]), fromTypedArray(Int32Array.from(labels), [n]));
}

async function findFile(
  { title, mirrors }: Source,
  { name, gzBytes, gzSha256 }: IdxFile,
  directory: string,
  options: FetchOptions,
): Promise<string> {
  // Some archives were unpacked with a dot in place of the second hyphen.
  const dotted = name.replace('-idx', '.idx');
  const candidates = [name, `${name}.gz`, dotted, `${dotted}.gz`].map((file) => join(directory, file));
  for (const path of candidates) {
    try {
      if ((await stat(path)).isFile()) return path;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') throw ioError('mnist', 'read', path, error);
    }
  }
  if (options.download === false) {
    throw new IoError(
      `mnist: expected ${name} or ${name}.gz of ${title} in ${directory}, got neither; the files are at ${mirrors[0]}`,
      directory,
    );
  }
  const archive = `${name}.gz`;
  const urls = mirrors.map((mirror) => `${mirror}${archive}`);
  return fetchPublished(urls, { file: archive, bytes: gzBytes, sha256: gzSha256 }, directory, options);
}

/** The elements of a file that must be the published one with this shape. */
async function readPublished(path: string, file: IdxFile, shape: number[], title: string): Promise<Uint8Array> {
  const expected = 4 + 4 * shape.length + numelOf(shape);
  const bytes = await readMaybeGzip('mnist', path, expected);
  const array = parseIdx(bytes, path);
  if (
    array.dtype !== 'uint8' ||
    array.shape.length !== shape.length ||
    array.shape.some((size, i) => size !== shape[i])
  ) {
    throw new FileFormatError(
      `mnist: expected ${path} to hold uint8 ${show(shape)} (${title}), got ${array.dtype} ${show(array.shape)}`,
      path,
    );
  }
  if (file.sha256 !== undefined) {
    const { createHash } = await import('node:crypto');
    const got = createHash('sha256').update(bytes).digest('hex');
    if (got !== file.sha256) {
      throw new FileFormatError(
        `mnist: expected ${path} to be the published ${title} (contents with SHA-256 ${file.sha256}), got ${got}`,
        path,
      );
    }
  }
  return array.data;
}
