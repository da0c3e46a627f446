import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { augmentImages, normalizeImages } from '../../lib/data/augment.js';
import { Dataset } from '../../lib/data/dataset.js';
import { imageFolder } from '../../lib/data/image_folder.js';
import { DataLoader } from '../../lib/data/loader.js';
import type { Rows } from '../../lib/data/rows.js';
import { FileFormatError, IoError, ShapeError, ValueError } from '../../lib/errors.js';
import { arange, fromTypedArray } from '../../lib/ops/create.js';
import { Generator } from '../../lib/random.js';
import type { Tensor } from '../../lib/tensor.js';
import { temporaryDirectory } from '../io/tmp.js';
import { numbers } from '../nn/values.js';

const root = temporaryDirectory();
const pixel = (i: number): [number, number, number] => [10 * i, 20 + i, 200 - i];

/** An image of one colour. */
const image = (i: number, width = 6, height = 4): Sharp => {
  const [r, g, b] = pixel(i);
  return sharp({ create: { width, height, channels: 3, background: { r, g, b } } });
};

beforeAll(async () => {
  for (const name of ['good/b', 'good/a', 'bad/x', 'mixed/x', 'empty/x'])
    mkdirSync(join(root, name), { recursive: true });
  for (let i = 0; i < 5; i++) {
    await image(i)
      .png()
      .toFile(join(root, i % 2 === 0 ? 'good/a' : 'good/b', `${i}.PNG`));
    await image(i)
      .png()
      .toFile(join(root, 'bad/x', `${i}.png`));
  }
  writeFileSync(join(root, 'good/a/notes.txt'), 'not an image');
  writeFileSync(join(root, 'bad/x/text.png'), 'not an image');
  const whole = await sharp({
    create: { width: 64, height: 64, channels: 3, background: 'red', noise: { type: 'gaussian', mean: 99, sigma: 30 } },
  })
    .jpeg()
    .toBuffer();
  writeFileSync(join(root, 'bad/x/cut.jpg'), whole.subarray(0, whole.length / 2));
  await image(1).png().toFile(join(root, 'mixed/x/1.png'));
  await image(2, 5, 5).ensureAlpha(0.5).png().toFile(join(root, 'mixed/x/2.png'));
  await image(3, 8, 4).greyscale().png().toFile(join(root, 'mixed/x/3.png'));
});

describe('imageFolder', () => {
  it('gives images and classes in order', async () => {
    const folder = await imageFolder(join(root, 'good'));
    expect([folder.classes, folder.length, folder.skipped]).toEqual([['a', 'b'], 5, []]);
    const [[images, labels]] = (await all(new DataLoader(folder, { batchSize: 5 }))) as [[Tensor, Tensor]];
    expect([images.dtype, images.shape, numbers(labels)]).toEqual(['uint8', [5, 3, 4, 6], [0, 0, 0, 1, 1]]);
    // Files a/0, a/2, a/4, b/1, b/3: one plane a channel.
    expect(numbers(images.select(0, 3).select(1, 0).select(1, 0))).toEqual(pixel(1));
    expect(numbers(images.select(0, 2).select(0, 2)).every((v) => v === pixel(4)[2])).toBe(true);
  });

  it('scales, cuts and converts', async () => {
    const colour = await imageFolder(join(root, 'mixed'), { size: [3, 2] });
    const [[images]] = (await all(new DataLoader(colour, { batchSize: 3 }))) as [[Tensor, Tensor]];
    expect(images.shape).toEqual([3, 3, 3, 2]);
    expect(numbers(images.select(0, 0).flatten(1).select(1, 5))).toEqual(pixel(1));
    const grey = await imageFolder(join(root, 'mixed'), { size: [2, 2], channels: 1 });
    expect((await grey.map(([x]) => x.to('float32').mean()).getBatch(rowsOf(3))).shape).toEqual([]);
    await expect(all(new DataLoader(await imageFolder(join(root, 'mixed')), { batchSize: 3 }))).rejects.toThrow(
      /expected images of one size, got 4×6 in .*1.png and 5×5 in .*2.png/,
    );
  });

  it('names, skips or refuses files that are no whole images', async () => {
    const bad = join(root, 'bad');
    const fatal = all(new DataLoader(await imageFolder(bad, { size: [4, 6] }), { batchSize: 2 }));
    await expect(fatal).rejects.toThrow(FileFormatError);
    const skipping = await imageFolder(bad, { corrupt: 'skip' });
    expect(skipping.length).toBe(5);
    expect(skipping.skipped.map(({ path }) => path.slice(-8))).toEqual(['/cut.jpg', 'text.png']);
    await expect(imageFolder(bad, { corrupt: 'check' })).rejects.toThrow(
      /2 of 7 files are broken:\n.*cut.jpg.*\n.*text.png/,
    );
    await expect(imageFolder(join(root, 'good'), { corrupt: 'check', maxPixels: 10 })).rejects.toThrow('5 of 5');
  });

  it('refuses directories without images', async () => {
    await expect(imageFolder(join(root, 'empty'))).rejects.toThrow('expected at least one image');
    await expect(imageFolder(join(root, 'good/a'))).rejects.toThrow('expected one directory per class');
    await expect(imageFolder(join(root, 'none'))).rejects.toThrow(IoError);
    await expect(imageFolder(join(root, 'good'), { size: [3] as never })).rejects.toThrow(ValueError);
    await expect(imageFolder(join(root, 'good'), { channels: 4 as never })).rejects.toThrow(ValueError);
  });
});

async function all<B>(loader: DataLoader<B>): Promise<Awaited<B>[]> {
  const batches: Awaited<B>[] = [];
  for await (const batch of loader) batches.push(batch);
  return batches;
}

const rowsOf = (n: number): Rows => {
  let rows: Rows | undefined;
  class Spy extends Dataset<Rows> {
    readonly length = n;
    getBatch(given: Rows): Rows {
      return (rows = given);
    }
  }
  for (const _ of new DataLoader(new Spy(), { batchSize: n })) break;
  return rows!;
};

describe('loaders of promises', () => {
  class Slow extends Dataset<Promise<number>> {
    readonly length = 10;
    begun = 0;
    constructor(readonly bad = 6) {
      super();
    }

    async getBatch(rows: Rows): Promise<number> {
      this.begun++;
      const [row] = rows.array();
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (row === this.bad) throw new FileFormatError('six');
      return row!;
    }
  }

  it('begin the next batches ahead', async () => {
    for (const prefetch of [0, 2, 20]) {
      const data = new Slow();
      const seen: number[] = [];
      const ahead: number[] = [];
      const loader = new DataLoader(data, { prefetch });
      const walk = async (): Promise<void> => {
        for await (const n of loader) {
          seen.push(n);
          ahead.push(data.begun - seen.length);
          expect(loader.state().epoch!.position).toBe(seen.length);
        }
      };
      await expect(walk()).rejects.toThrow('six');
      expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
      expect(ahead[0]).toBe(Math.min(prefetch, 9));
    }
  });

  it('can be left in the middle and gone on with', async () => {
    const loader = new DataLoader(new Slow(-1), { shuffle: true, generator: new Generator(3) });
    const first: number[] = [];
    for await (const n of loader) {
      first.push(n);
      if (first.length === 3) break;
    }
    const state = loader.state();
    const again = new DataLoader(new Slow(-1), { shuffle: true, generator: new Generator(0) });
    again.loadState(state);
    const rest: number[] = [];
    for await (const n of again) rest.push(n);
    expect([...first, ...rest].sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => i));
  });
});

describe('augmentation', () => {
  const images = arange(2 * 3 * 4 * 5)
    .reshape([2, 3, 4, 5])
    .to('uint8');

  it('mirrors', () => {
    const flipped = augmentImages(images, { flip: 1 });
    expect(flipped.dtype).toBe('uint8');
    const x = images.dataSync();
    const want = Array.from(x, (_, i) => x[i - (i % 5) + (4 - (i % 5))]!);
    expect(numbers(flipped)).toEqual(want);
    expect(numbers(augmentImages(images))).toEqual(numbers(images));
  });

  it('cuts windows out of padded images, one place for all channels', () => {
    const many = fromTypedArray(new Float32Array(400 * 2 * 3 * 3).fill(1), [400, 2, 3, 3]);
    const out = augmentImages(many, { padding: 1, generator: new Generator(5) });
    const data = out.dataSync();
    const seen = new Map<string, number>();
    for (let i = 0; i < 400; i++) {
      const planes = [0, 1].map((c) => data.subarray((2 * i + c) * 9, (2 * i + c + 1) * 9).join(''));
      expect(planes[0]).toBe(planes[1]);
      seen.set(planes[0]!, (seen.get(planes[0]!) ?? 0) + 1);
    }
    // Nine windows, about 44 times each; the one in the middle is whole.
    expect(seen.size).toBe(9);
    expect(Math.min(...seen.values())).toBeGreaterThan(20);
    expect(seen.has('111111111')).toBe(true);
    expect(seen.has('000011011')).toBe(true);
    expect(numbers(augmentImages(many, { padding: 1, generator: new Generator(5) }))).toEqual(Array.from(data));
  });

  it('normalises bytes and numbers', () => {
    const [mean, std] = [
      [0.1, 0.2, 0.3],
      [0.5, 1, 2],
    ];
    const got = numbers(normalizeImages(images, mean, std));
    const x = images.dataSync();
    got.forEach((v, i) => {
      const c = Math.floor(i / 20) % 3;
      expect(v).toBeCloseTo((x[i]! / 255 - mean[c]!) / std[c]!, 5);
    });
    const floats = images.to('float32').div(255);
    normalizeImages(floats, mean, std)
      .dataSync()
      .forEach((v: number, i: number) => expect(v).toBeCloseTo(got[i]!, 5));
  });

  it('refuses what is no batch of images', () => {
    expect(() => augmentImages(arange(3))).toThrow(ShapeError);
    expect(() => augmentImages(images, { flip: 2 })).toThrow(ValueError);
    expect(() => normalizeImages(images, [0], [1])).toThrow('expected mean to be 3 numbers, one a channel, got [0]');
    expect(() => normalizeImages(images, [0, 0, 0], [1, 0, 1])).toThrow(ValueError);
  });
});
