import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import {
  IndexOutOfRangeError,
  ShapeError,
  ValueError,
  DTypeError,
  type MyelinError,
  type Tensor,
} from '../../lib/index.js';

const wrong = (value: unknown): never => value as never;
const images = m.ones([2, 4, 6, 6]);
const signal = m.ones([2, 4, 6]);
const ints = m.ones([2, 4, 6, 6], { dtype: 'int32' });

type Row = [what: string, call: () => unknown, type: new (...args: never[]) => MyelinError, message: RegExp];

const rows: Row[] = [
  [
    'layerNorm of the wrong width',
    () => m.layerNorm(images, 5),
    ShapeError,
    /^layerNorm: expected input of shape \[\.\.\., 5\], got \[2, 4, 6, 6\]/,
  ],
  [
    'layerNorm over nothing',
    () => m.layerNorm(images, []),
    ShapeError,
    /^layerNorm: expected normalizedShape of at least 1/,
  ],
  [
    'layerNorm with a wrong weight',
    () => m.layerNorm(m.ones([2, 768]), 768, { weight: m.ones([512]) }),
    ShapeError,
    /^layerNorm: expected weight of shape \[768\], got \[512\]/,
  ],
  [
    'layerNorm of integers',
    () => m.layerNorm(ints, 6),
    DTypeError,
    /^layerNorm: expected input of dtype float32 or float64, got int32/,
  ],
  [
    'layerNorm with a weight of another dtype',
    () => m.layerNorm(images, 6, { weight: m.ones([6], { dtype: 'float64' }) }),
    DTypeError,
    /^layerNorm: /,
  ],
  [
    'layerNorm with eps NaN',
    () => m.layerNorm(images, 6, { eps: NaN }),
    ValueError,
    /^layerNorm: expected eps to be a number, got NaN/,
  ],
  [
    'rmsNorm with a wrong weight',
    () => m.rmsNorm(images, [6, 6], { weight: m.ones([6]) }),
    ShapeError,
    /^rmsNorm: expected weight of shape \[6, 6\], got \[6\]/,
  ],
  [
    'groupNorm with groups that do not divide',
    () => m.groupNorm(images, 3),
    ShapeError,
    /^groupNorm: expected a number of channels that 3 groups divide, got 4/,
  ],
  [
    'groupNorm with no group',
    () => m.groupNorm(images, 0),
    ValueError,
    /^groupNorm: expected numGroups to be an integer of at least 1/,
  ],
  [
    'groupNorm of a vector',
    () => m.groupNorm(m.ones([4]), 2),
    ShapeError,
    /^groupNorm: expected input of shape \[N, C, \.\.\.\], got \[4\]/,
  ],
  [
    'batchNorm of one value a channel',
    () => m.batchNorm(m.ones([1, 3]), null, null, { training: true }),
    ShapeError,
    /^batchNorm: expected more than 1 value per channel when training, got shape \[1, 3\]/,
  ],
  [
    'batchNorm without statistics',
    () => m.batchNorm(images, null, null),
    ValueError,
    /^batchNorm: expected runningMean and runningVar when not training/,
  ],
  [
    'batchNorm with half of the statistics',
    () => m.batchNorm(images, m.ones([4]), null),
    ValueError,
    /^batchNorm: expected both/,
  ],
  [
    'batchNorm with wrong statistics',
    () => m.batchNorm(images, m.ones([3]), m.ones([3])),
    ShapeError,
    /^batchNorm: expected runningMean of shape \[4\], got \[3\]/,
  ],
  [
    'batchNorm with a momentum of several',
    () => m.batchNorm(images, null, null, { training: true, momentum: m.ones([2]) }),
    ShapeError,
    /^batchNorm: expected momentum of one element/,
  ],
  [
    'instanceNorm of one element',
    () => m.instanceNorm(m.ones([2, 3, 1])),
    ShapeError,
    /^instanceNorm: expected more than 1 spatial element/,
  ],
  [
    'localResponseNorm of a matrix',
    () => m.localResponseNorm(m.ones([2, 3]), 3),
    ShapeError,
    /^localResponseNorm: expected input of at least 3 dimensions/,
  ],
  [
    'localResponseNorm of size 0',
    () => m.localResponseNorm(signal, 0),
    ValueError,
    /^localResponseNorm: expected size to be an integer/,
  ],
  [
    'maxPool2d of a signal that is too flat',
    () => m.maxPool2d(m.ones([4, 6]), 2),
    ShapeError,
    /^maxPool2d: expected input of shape \[N, C, H, W\] or \[C, H, W\], got \[4, 6\]/,
  ],
  [
    'maxPool2d of empty planes',
    () => m.maxPool2d(m.ones([2, 3, 0, 4]), 2),
    ShapeError,
    /with elements, got \[2, 3, 0, 4\]/,
  ],
  [
    'maxPool2d with three sizes',
    () => m.maxPool2d(images, [2, 2, 2]),
    ValueError,
    /^maxPool2d: expected kernelSize to be a number or 2 numbers, got \[2, 2, 2\]/,
  ],
  [
    'maxPool2d with too much padding',
    () => m.maxPool2d(images, 2, { padding: 2 }),
    ValueError,
    /^maxPool2d: expected padding of at most half of kernelSize 2, got 2/,
  ],
  [
    'maxPool2d with windows larger than the input',
    () => m.maxPool2d(images, 7),
    ShapeError,
    /^maxPool2d: expected windows no larger than the padded input/,
  ],
  [
    'maxPool1d with stride 0',
    () => m.maxPool1d(signal, 2, { stride: 0 }),
    ValueError,
    /^maxPool1d: expected stride to be an integer in \[1, /,
  ],
  ['maxPool2d of integers', () => m.maxPool2d(ints, 2), DTypeError, /^maxPool2d: expected input of dtype float32/],
  [
    'avgPool2d divided by 0',
    () => m.avgPool2d(images, 2, { divisorOverride: 0 }),
    ValueError,
    /^avgPool2d: expected divisorOverride other than 0/,
  ],
  [
    'adaptiveAvgPool2d to a text',
    () => m.adaptiveAvgPool2d(images, wrong('7')),
    ValueError,
    /^adaptiveAvgPool2d: expected outputSize to be a number or 2 numbers, got "7"/,
  ],
  ['pad with an odd list', () => m.pad(signal, [1]), ValueError, /^pad: expected padding of 2 numbers for each/],
  [
    'pad that leaves less than nothing',
    () => m.pad(signal, [-4, -4]),
    ShapeError,
    /^pad: expected padding \[-4, -4\] to leave elements/,
  ],
  [
    'pad by more than there is to reflect',
    () => m.pad(signal, [6, 0], { mode: 'reflect' }),
    ShapeError,
    /^pad: expected padding of at most 5 for reflect of size 6, got 6/,
  ],
  [
    'pad around more than once',
    () => m.pad(signal, [7, 0], { mode: 'circular' }),
    ShapeError,
    /^pad: expected padding of at most 6 for circular/,
  ],
  [
    'pad of too many dimensions',
    () => m.pad(images, [1, 1], { mode: 'replicate' }),
    ShapeError,
    /^pad: expected 1 to 3 padded dimensions after/,
  ],
  [
    'pad in an unknown mode',
    () => m.pad(signal, [1, 1], { mode: wrong('wrap') }),
    ValueError,
    /^pad: expected mode to be one of constant, reflect/,
  ],
  [
    'unfold of a matrix',
    () => m.unfold(m.ones([6, 6]), 2),
    ShapeError,
    /^unfold: expected input of shape \[N, C, H, W\]/,
  ],
  [
    'unfold by windows larger than the input',
    () => m.unfold(images, 8),
    ShapeError,
    /^unfold: expected windows no larger/,
  ],
  [
    'fold of the wrong number of windows',
    () => m.fold(m.ones([1, 8, 24]), [4, 5], 2),
    ShapeError,
    /^fold: expected input of shape \[N, C · 4, 12\], got \[1, 8, 24\]/,
  ],
  [
    'interpolate to nothing',
    () => m.interpolate(images, {}),
    ValueError,
    /^interpolate: expected either size or scaleFactor, got neither/,
  ],
  ['interpolate twice', () => m.interpolate(images, { size: 3, scaleFactor: 2 }), ValueError, /got both/],
  [
    'interpolate bilinear of a signal',
    () => m.interpolate(signal, { size: 3, mode: 'bilinear' }),
    ShapeError,
    /^interpolate: expected input of shape \[N, C, \.\.\.\] with 2 spatial/,
  ],
  [
    'interpolate nearest by corners',
    () => m.interpolate(images, { size: 3, alignCorners: true }),
    ValueError,
    /^interpolate: expected alignCorners with a linear mode/,
  ],
  [
    'interpolate by too little',
    () => m.interpolate(images, { scaleFactor: 0.1 }),
    ShapeError,
    /^interpolate: expected a scaleFactor that gives/,
  ],
  [
    'pixelShuffle of channels that do not fit',
    () => m.pixelShuffle(images, 3),
    ShapeError,
    /^pixelShuffle: expected input of shape \[\.\.\., C · 9, H, W\]/,
  ],
  ['pixelUnshuffle of sizes that do not fit', () => m.pixelUnshuffle(images, 4), ShapeError, /^pixelUnshuffle: /],
  [
    'BatchNorm2d of a signal',
    () => new m.BatchNorm2d(4).forward(signal),
    ShapeError,
    /^BatchNorm2d: expected input of shape \[N, C, H, W\], got \[2, 4, 6\]/,
  ],
  [
    'BatchNorm2d of other channels',
    () => new m.BatchNorm2d(5).forward(images),
    ShapeError,
    /^BatchNorm2d: expected 5 channels, got shape \[2, 4, 6, 6\]/,
  ],
  ['GroupNorm of groups that do not divide', () => new m.GroupNorm(3, 4), ShapeError, /^GroupNorm: /],
  [
    'ReflectionPad2d of three numbers',
    () => new m.ReflectionPad2d([1, 2, 3]),
    ValueError,
    /^ReflectionPad2d: expected padding to be a number or 4 numbers/,
  ],
  [
    'Unflatten of what does not fit',
    () => new m.Unflatten(1, [3, 5]).forward(images),
    ShapeError,
    /^Unflatten: expected dimension 1 of \[2, 4, 6, 6\] to split into \[3, 5\]/,
  ],
  [
    'Unflatten of a dimension that is not there',
    () => new m.Unflatten(5, [2]).forward(signal),
    IndexOutOfRangeError,
    /^Unflatten: /,
  ],
];

describe('bad input of norms, pooling and images', () => {
  it.each(rows)('%s', (_, call, type, message) => {
    expect(call).toThrow(type);
    expect(call).toThrow(message);
  });
});

const numbers = (x: Tensor): number[] => Array.from(x.dataSync());

describe('extreme input', () => {
  it('loses nothing to a mean far above the deviation', () => {
    // Integers around 10⁶ are exact in float32: statistics and results must be those of the deviations alone.
    const small = m.tensor([[-3, 1, 2, -1, 4, -2, 0, -1]]);
    const far = small.add(1e6);
    const near = numbers(m.layerNorm(small, 8));
    numbers(m.layerNorm(far, 8)).forEach((y, i) => expect(Math.abs(y - near[i]!)).toBeLessThan(2e-6));
    const columns = m.batchNorm(far.t(), null, null, { training: true });
    numbers(columns).forEach((y, i) => expect(Math.abs(y - near[i]!)).toBeLessThan(2e-6));
  });

  it('lets NaN win every maximum and stay in its own row', () => {
    const x = m.tensor([[[1, NaN, -Infinity, 5, 2, 7]]]);
    expect(numbers(m.maxPool1d(x, 2))).toEqual([NaN, 5, 7]);
    expect(numbers(m.adaptiveMaxPool1d(x, 3))).toEqual([NaN, 5, 7]);
    const [, indices] = m.maxPool1d(x, 3, { returnIndices: true });
    expect(numbers(indices)).toEqual([1, 5]);
    const rowsOf = m.layerNorm(
      m.tensor([
        [1, 2, NaN],
        [1, 2, 3],
      ]),
      3,
    );
    expect(numbers(rowsOf).map(Number.isNaN)).toEqual([true, true, true, false, false, false]);
  });

  it('takes no samples', () => {
    const none = m.ones([0, 4, 6, 6], { requiresGrad: true });
    const weight = m.ones([4], { requiresGrad: true });
    const results = [
      m.batchNorm(none, null, null, { training: true, weight }),
      m.groupNorm(none, 2, { weight }),
      m.instanceNorm(none, { weight }),
      m.layerNorm(none, 6),
      m.localResponseNorm(none, 3),
      m.maxPool2d(none, 2),
      m.avgPool2d(none, 2),
      m.adaptiveAvgPool2d(none, 3),
      m.pad(none, [1, 1, 0, 0], { mode: 'replicate' }),
      m.unfold(none, 2),
      m.interpolate(none, { size: 3 }),
      m.pixelShuffle(none, 2),
    ];
    for (const y of results) {
      expect(y.numel).toBe(0);
      y.sum().backward();
    }
    expect(numbers(weight.grad!)).toEqual([0, 0, 0, 0]);
    expect(none.grad!.shape).toEqual([0, 4, 6, 6]);
  });
});

describe('indices of maxima', () => {
  it('are those of the first of equals', () => {
    const x = m.tensor([
      [
        [1, 1, 0],
        [1, 1, 2],
      ],
    ]);
    const [y, indices] = m.maxPool2d(x, 2, { stride: 1, returnIndices: true });
    expect(numbers(y)).toEqual([1, 2]);
    expect(numbers(indices)).toEqual([0, 5]);
  });

  it('carry gradients of windows that overlap', () => {
    const x = m.tensor([[[0, 9, 0, 0]]], { requiresGrad: true });
    m.maxPool1d(x, 2, { stride: 1 }).sum().backward();
    expect(numbers(x.grad!)).toEqual([0, 2, 1, 0]);
  });

  it('carry gradients of tiles with a rest', () => {
    const x = m.tensor(
      [
        [
          [1, 2, 3, 0, 9],
          [4, 0, 1, 5, 9],
          [9, 9, 9, 9, 9],
        ],
      ],
      { requiresGrad: true },
    );
    m.maxPool2d(x, 2).backward(m.tensor([[[10, 20]]]));
    expect(numbers(x.grad!)).toEqual([0, 0, 0, 0, 0, 10, 0, 0, 20, 0, 0, 0, 0, 0, 0]);
  });
});
