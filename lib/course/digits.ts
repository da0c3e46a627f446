import { mnist } from '../data/mnist.js';
import { DataLoader } from '../data/loader.js';
import type { Tensor } from '../tensor.js';
import type { Setting } from './experiment.js';

/** Pictures of digits as rows of pixels, and what they show. */
export interface Digits {
  /** (N, 784), 0 black to 1 white. */
  readonly x: Tensor;
  /** (N), int32. */
  readonly y: Tensor;
}

/** The first digits of a split of MNIST. */
export async function digits(setting: Setting, split: 'train' | 'test', count = Infinity): Promise<Digits> {
  const { dataDir } = setting;
  let announced = '';
  const onProgress = (file: string): void => {
    if (announced !== file) setting.say(`downloading ${file}`);
    announced = file;
  };
  const all = await mnist({ split, onProgress, ...(dataDir === undefined ? {} : { dataDir }) });
  const rows = Math.min(count, all.length);
  const [images, y] = [...new DataLoader(all, { batchSize: rows })][0]!;
  return { x: images.to('float32').div(255).flatten(1), y };
}
