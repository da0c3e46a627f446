import { scope } from '../autograd/scope.js';
import { checkInteger, checkNumber, show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { checkTensor } from '../ops/apply.js';
import { arange, fromTypedArray, where, zeros } from '../ops/create.js';
import { indexSelect } from '../ops/indexing.js';
import { rand, randint } from '../ops/random.js';
import type { Generator } from '../random.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';

/** What {@link augmentImages} does to each image. */
export interface AugmentOptions {
  /** Black pixels put around every image before a window of the old size is cut out at random; default 0: no crop. */
  readonly padding?: number;
  /** Probability of a mirror image, left for right; default 0. */
  readonly flip?: number;
  /** Where the random numbers come from; the default generator when left out. */
  readonly generator?: Generator | undefined;
}

function checkImages(fn: string, images: Tensor): [n: number, c: number, h: number, w: number] {
  checkTensor(fn, 'images', images);
  if (images.ndim === 4) return images.shape as unknown as [number, number, number, number];
  throw new ShapeError(`${fn}: expected images of shape [N, C, H, W], got ${formatShape(images.shape)}`);
}

/** Images (N, C, H, W) with `padding` black pixels (zeros) put around each. */
export function padImages(images: Tensor, padding: number): Tensor {
  const [n, c, h, w] = checkImages('padImages', images);
  checkInteger('padImages', 'padding', padding, { min: 0 });
  const around = zeros([n, c, h + 2 * padding, w + 2 * padding], { dtype: images.dtype });
  around.narrow(2, padding, h).narrow(3, padding, w).copy_(images);
  return around;
}

/**
 * Random crops and mirror images of a batch (N, C, H, W) of any dtype, each image with a draw of its own. It is one gather by
 * computed indices: nothing is read back, so batches can be prepared while earlier ones are still computed with.
 *
 * @example train.map(([x, y]) => [normalizeImages(augmentImages(x, { padding: 4, flip: 0.5 }), mean, std), y]);
 */
export function augmentImages(images: Tensor, { padding = 0, flip = 0, generator }: AugmentOptions = {}): Tensor {
  const fn = 'augmentImages';
  const [n, c, h, w] = checkImages(fn, images);
  checkInteger(fn, 'padding', padding, { min: 0 });
  checkNumber(fn, 'flip', flip, { min: 0, max: 1 });
  if (images.numel === 0) return images;
  return scope(() => {
    const around = padImages(images, padding);
    const draws = { ...(generator === undefined ? {} : { generator }) };
    const offset = (): Tensor => randint(0, 2 * padding + 1, [n, 1, 1, 1], draws);
    const [height, width] = [h + 2 * padding, w + 2 * padding];
    const columns = arange(w);
    const mirrored = rand([n, 1, 1, 1], draws).lt(flip);
    const x = where(mirrored, columns.mul(-1).add(w - 1), columns).add(offset());
    const y = arange(h).unsqueeze(1).add(offset());
    const planes = arange(n * c).reshape([n, c, 1, 1]);
    const index = planes.mul(height).add(y).mul(width).add(x);
    return indexSelect(around.flatten(), 0, index.flatten()).reshape([n, c, h, w]);
  });
}

/**
 * (x / 255 − mean) / std per channel: a batch of bytes (N, C, H, W) to float32; float images are taken as they are, without the
 * division by 255.
 *
 * @param mean one number a channel
 * @param std one number a channel, above 0
 */
export function normalizeImages(images: Tensor, mean: readonly number[], std: readonly number[]): Tensor {
  const fn = 'normalizeImages';
  const [, c] = checkImages(fn, images);
  for (const [name, list] of [
    ['mean', mean],
    ['std', std],
  ] as const) {
    if (!Array.isArray(list) || list.length !== c) {
      throw new ValueError(`${fn}: expected ${name} to be ${c} numbers, one a channel, got ${show(list)}`);
    }
    for (const value of list as number[]) checkNumber(fn, name, value, name === 'std' ? { min: Number.MIN_VALUE } : {});
  }
  return scope(() => {
    const unit = images.dtype === 'uint8' ? 255 : 1;
    const pixels = unit === 255 ? images.to('float32') : images;
    const perChannel = (value: (i: number) => number): Tensor =>
      fromTypedArray(
        Float64Array.from({ length: c }, (_, i) => value(i)),
        [c, 1, 1],
        { dtype: pixels.dtype },
      );
    // x·a − b with a = 1 / (255 std), b = mean / std.
    return pixels.mul(perChannel((i) => 1 / (unit * std[i]!))).sub(perChannel((i) => mean[i]! / std[i]!));
  });
}

/** Means and standard deviations of channels that are customary for a data set, of pixels in [0, 1]. */
export const imageStatistics = {
  mnist: { mean: [0.1307], std: [0.3081] },
  cifar10: { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
} as const;
