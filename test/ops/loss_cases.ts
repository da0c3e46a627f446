import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';
import { positive, spread, type Case } from './case.js';

const reductions = ['mean', 'sum', 'none'] as const;

const ints = (values: m.NestedArray): Tensor => m.tensor(values, { dtype: 'int32' });
const signs = (): Tensor =>
  m.tensor(
    [
      [1, -1, 1],
      [-1, -1, 1],
    ],
    { dtype: 'float64' },
  );
const factor = (shape: number[]): Tensor => positive(shape, 7).detach();

/** A loss of two tensors that both have gradients, with every reduction. */
const pair = (
  name: string,
  fn: (x: Tensor, y: Tensor, reduction: m.Reduction) => Tensor,
  make: (shape: number[], salt?: number) => Tensor = spread,
): Case[] =>
  reductions.map((reduction) => ({
    name: `${name} ${reduction}`,
    inputs: () => [make([2, 3]), make([2, 3], 1)],
    fn: (x, y) => fn(x, y, reduction),
  }));

const unit = (shape: number[], salt = 0): Tensor => spread(shape, salt, 0.1, 0.9);

const pairs: Case[] = [
  ...pair('l1Loss', (x, y, reduction) => m.l1Loss(x, y, { reduction })),
  ...pair('smoothL1Loss', (x, y, reduction) => m.smoothL1Loss(x, y, { beta: 0.7, reduction })),
  ...pair('huberLoss', (x, y, reduction) => m.huberLoss(x, y, { delta: 0.7, reduction })),
  ...pair(
    'binaryCrossEntropy',
    (x, y, reduction) => m.binaryCrossEntropy(x, y, { reduction, weight: factor([3]) }),
    unit,
  ),
  ...pair('binaryCrossEntropyWithLogits', (x, y, reduction) =>
    m.binaryCrossEntropyWithLogits(x, y, { reduction, weight: factor([2, 1]), posWeight: factor([3]) }),
  ),
  ...pair('klDiv', (x, y, reduction) => m.klDiv(x, y, { reduction }), positive),
  ...pair('klDiv of logarithms', (x, y, reduction) => m.klDiv(x, y, { reduction, logTarget: true })),
  {
    name: 'klDiv batchmean',
    inputs: () => [spread([2, 3]), positive([2, 3], 1)],
    fn: (x, y) => m.klDiv(x, y, { reduction: 'batchmean' }),
  },
  ...pair('poissonNllLoss', (x, y, reduction) => m.poissonNllLoss(x, y, { reduction, full: true }), positive),
  ...pair(
    'poissonNllLoss of rates',
    (x, y, reduction) => m.poissonNllLoss(x, y, { reduction, logInput: false }),
    positive,
  ),
  ...pair('multilabelSoftMarginLoss', (x, y, reduction) =>
    m.multilabelSoftMarginLoss(x, y, { reduction, weight: factor([3]) }),
  ),
  ...reductions.map((reduction): Case => ({
    name: `gaussianNllLoss ${reduction}`,
    inputs: () => [spread([2, 3]), spread([2, 3], 1), positive([2, 1], 2)],
    fn: (x, y, v) => m.gaussianNllLoss(x, y, v, { reduction, full: true }),
  })),
];

const margins: Case[] = [
  ...reductions.flatMap((reduction): Case[] => [
    {
      name: `hingeEmbeddingLoss ${reduction}`,
      inputs: () => [spread([2, 3])],
      fn: (x) => m.hingeEmbeddingLoss(x, signs(), { margin: 0.8, reduction }),
    },
    {
      name: `marginRankingLoss ${reduction}`,
      inputs: () => [spread([2, 3]), spread([2, 3], 1)],
      fn: (x, y) => m.marginRankingLoss(x, y, signs(), { margin: 0.3, reduction }),
    },
    {
      name: `softMarginLoss ${reduction}`,
      inputs: () => [spread([2, 3])],
      fn: (x) => m.softMarginLoss(x, signs(), { reduction }),
    },
    {
      name: `tripletMarginLoss ${reduction}`,
      inputs: () => [spread([3, 4]), spread([3, 4], 1), spread([3, 4], 2)],
      fn: (a, p, n) => m.tripletMarginLoss(a, p, n, { margin: 2, reduction }),
    },
    {
      name: `cosineEmbeddingLoss ${reduction}`,
      inputs: () => [spread([2, 3]), spread([2, 3], 1)],
      fn: (x, y) => m.cosineEmbeddingLoss(x, y, m.tensor([1, -1], { dtype: 'float64' }), { margin: -0.9, reduction }),
    },
    {
      name: `multiMarginLoss ${reduction}`,
      inputs: () => [spread([2, 3])],
      fn: (x) => m.multiMarginLoss(x, ints([2, 0]), { p: 2, weight: factor([3]), reduction }),
    },
  ]),
  {
    name: 'tripletMarginLoss swapped',
    inputs: () => [spread([3, 4]), spread([3, 4], 1), spread([3, 4], 2)],
    fn: (a, p, n) => m.tripletMarginLoss(a, p, n, { margin: 2, p: 3, swap: true }),
  },
];

const classes: Case[] = [
  ...reductions.flatMap((reduction): Case[] => [
    {
      name: `crossEntropy of probabilities ${reduction}`,
      inputs: () => [spread([2, 3, 2]), positive([2, 3, 2], 1)],
      fn: (x, t) => m.crossEntropy(x, t, { reduction, labelSmoothing: 0.2, weight: factor([3]) }),
    },
    {
      name: `nllLoss ${reduction}`,
      inputs: () => [spread([2, 3, 2])],
      fn: (x) =>
        m
          .nllLoss(
            x,
            ints([
              [0, 2],
              [-100, 1],
            ]),
            { reduction, weight: factor([3]) },
          )
          .square(),
    },
  ]),
  { name: 'crossEntropy of one row', inputs: () => [spread([4])], fn: (x) => m.crossEntropy(x, ints(2)) },
  { name: 'nllLoss of one row', inputs: () => [spread([4])], fn: (x) => m.nllLoss(x, ints(2)).square() },
];

const distances: Case[] = [
  ...[0.5, 1, 1.5, 2, 3, Infinity, -1].map((p): Case => ({
    name: `vectorNorm ${p}`,
    inputs: () => [spread([3, 4])],
    fn: (x) => m.vectorNorm(x, p, 1).square(),
  })),
  { name: 'vectorNorm of all', inputs: () => [spread([3, 4])], fn: (x) => m.vectorNorm(x) },
  {
    name: 'cosineSimilarity',
    inputs: () => [spread([2, 3]), spread([1, 3], 1)],
    fn: (x, y) => m.cosineSimilarity(x, y),
  },
  { name: 'normalize', inputs: () => [spread([2, 3, 2])], fn: (x) => m.normalize(x, { p: 3 }) },
  {
    name: 'pairwiseDistance',
    inputs: () => [spread([2, 3]), spread([2, 3], 1)],
    fn: (x, y) => m.pairwiseDistance(x, y, { keepdim: true }),
  },
  { name: 'softmin', inputs: () => [spread([2, 3])], fn: (x) => m.softmin(x, 1) },
];

export const lossCases: Case[] = [...pairs, ...margins, ...classes, ...distances];
