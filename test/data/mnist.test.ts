import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { mnist } from '../../lib/data/mnist.js';
import { FileFormatError, IoError, ValueError } from '../../lib/errors.js';
import { temporaryDirectory } from '../io/tmp.js';

const shared = fileURLToPath(new URL('../../../shared/data/mnist/', import.meta.url));
const directory = temporaryDirectory();
let serial = 0;
const fresh = (): string => {
  const path = join(directory, String(serial++));
  mkdirSync(path);
  return path;
};

/** An IDX file of uint8 zeros, with one element set. */
function idx(shape: number[], at = 0, value = 0): Buffer {
  const head = Buffer.from([
    0,
    0,
    8,
    shape.length,
    ...shape.flatMap((n) => [n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255]),
  ]);
  const bytes = Buffer.concat([head, Buffer.alloc(shape.reduce((a, b) => a * b, 1))]);
  bytes[head.length + at] = value;
  return bytes;
}

describe.skipIf(!existsSync(shared))('mnist from local files (where they lie beside the repository)', () => {
  it('reads the test set: images, labels, mean', async () => {
    const test = await mnist({ split: 'test', dataDir: shared });
    const [images, labels] = test.tensors;
    expect([images.dtype, images.shape, labels.dtype, labels.shape]).toEqual([
      'uint8',
      [10000, 28, 28],
      'int32',
      [10000],
    ]);
    expect([...(await labels.data())].slice(0, 10)).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    expect(test.length).toBe(10000);
  });

  it('reads the training set and converts batches', async () => {
    const train = await mnist({ dataDir: shared });
    const pixels = await train.tensors[0].data();
    let sum = 0;
    for (const v of pixels) sum += v;
    expect(sum / pixels.length / 255).toBeCloseTo(0.13066, 5);
    expect([...(await train.tensors[1].data())].slice(0, 10)).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
  });

  it('reads plain files as well, under either usual name', async () => {
    const dir = fresh();
    const plain = (name: string): Buffer => gunzipSync(readFileSync(join(shared, `${name}.gz`)));
    writeFileSync(join(dir, 't10k-images.idx3-ubyte'), plain('t10k-images-idx3-ubyte'));
    writeFileSync(join(dir, 't10k-labels-idx1-ubyte'), plain('t10k-labels-idx1-ubyte'));
    expect((await mnist({ split: 'test', dataDir: dir })).length).toBe(10000);
  });

  it('refuses a file that was changed, naming both hashes', async () => {
    const dir = fresh();
    const images = gunzipSync(readFileSync(join(shared, 't10k-images-idx3-ubyte.gz')));
    images[5000]! ^= 1;
    writeFileSync(join(dir, 't10k-images-idx3-ubyte'), images);
    copyFileSync(join(shared, 't10k-labels-idx1-ubyte.gz'), join(dir, 't10k-labels-idx1-ubyte.gz'));
    const wrong = mnist({ split: 'test', dataDir: dir });
    await expect(wrong).rejects.toThrow(FileFormatError);
    await expect(wrong).rejects.toThrow(
      /SHA-256 0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7\), got [0-9a-f]{64}/,
    );
  });
});

describe('mnist', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('says what is missing and where it can be had', async () => {
    const dir = fresh();
    const missing = mnist({ dataDir: dir });
    await expect(missing).rejects.toThrow(IoError);
    await expect(missing).rejects.toThrow(/train-images-idx3-ubyte or train-images-idx3-ubyte.gz of MNIST in .*https:/);
    vi.stubEnv('MYELIN_CACHE', dir);
    await expect(mnist({ download: false })).rejects.toThrow(join(dir, 'mnist'));
    writeFileSync(join(dir, 'file'), '');
    await expect(mnist({ dataDir: join(dir, 'file') })).rejects.toThrow(IoError);
  });

  it('finds files in the cache directory without the network', async () => {
    const dir = fresh();
    vi.stubEnv('MYELIN_CACHE', dir);
    mkdirSync(join(dir, 'fashion'));
    writeFileSync(join(dir, 'fashion', 't10k-images-idx3-ubyte.gz'), gzipSync(idx([10000, 28, 28])));
    writeFileSync(join(dir, 'fashion', 't10k-labels-idx1-ubyte'), idx([10000], 9999, 9));
    const test = await mnist({ split: 'test', variant: 'fashion' });
    expect((await test.tensors[1].data())[9999]).toBe(9);
  });

  it('refuses files with other shapes, labels and contents', async () => {
    const dir = fresh();
    const images = join(dir, 't10k-images-idx3-ubyte');
    const labels = join(dir, 't10k-labels-idx1-ubyte');
    const load = (variant: 'mnist' | 'fashion'): Promise<unknown> => mnist({ split: 'test', variant, dataDir: dir });
    writeFileSync(images, idx([10000, 28, 28]));
    writeFileSync(labels, idx([10000], 3, 10));
    await expect(load('fashion')).rejects.toThrow(/labels 0 to 9 in .*, got 10 at 3/);
    await expect(load('mnist')).rejects.toThrow(/published MNIST/);
    writeFileSync(labels, idx([1000]));
    await expect(load('fashion')).rejects.toThrow(/to hold uint8 \[10000\] \(Fashion-MNIST\), got uint8 \[1000\]/);
    writeFileSync(labels, idx([10001]));
    await expect(load('fashion')).rejects.toThrow(/at most 10008 bytes/);
    writeFileSync(labels, idx([10000]));
    writeFileSync(images, gzipSync(Buffer.alloc(20_000_000)));
    await expect(load('fashion')).rejects.toThrow(/at most 7840016 bytes/);
    writeFileSync(images, 'text');
    await expect(load('fashion')).rejects.toThrow(FileFormatError);
  });

  it('refuses options out of range', async () => {
    await expect(mnist({ split: 'all' as 'test' })).rejects.toThrow(ValueError);
    await expect(mnist({ variant: 'kmnist' as 'mnist' })).rejects.toThrow(ValueError);
    await expect(mnist({ dataDir: '' })).rejects.toThrow(ValueError);
    await expect(mnist({ download: 'no' as unknown as boolean })).rejects.toThrow(ValueError);
  });
});
