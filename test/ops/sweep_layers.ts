import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';
import { additiveScores } from '../../lib/ops/attention.js';
import { indices, on, values, type Row } from './sweep.js';

const positive = (shape: readonly number[], salt = 0): Tensor => values(shape, salt, 0.3, 2.2);
const unit = (shape: readonly number[], salt = 0): Tensor => values(shape, salt, 0.1, 0.9);

const of = (name: string, make: Row['make'], big: number, near = 1e-5, most = 67): Row => ({
  name,
  make,
  big,
  near,
  most,
});

/** A weight and no more of a symmetric or regular matrix made of x (…,n,n). */
const regular = (x: Tensor): Tensor =>
  x.add(m.eye(x.shape.at(-1)!, undefined, { dtype: x.dtype }).mul(x.shape.at(-1)! + 2));
const symmetric = (x: Tensor): Tensor => x.add(x.transpose(-2, -1));
/** Singular and eigenvectors are only known up to their sign. */
const outer = (v: Tensor): Tensor => v.unsqueeze(-1).mul(v.unsqueeze(-2));

const products: Row[] = [
  of('matmul', (n) => on([values([5, n]), values([n, 3], 1)], m.matmul), 4003, 2e-5),
  of('matmul of many rows', (n) => on([values([n, 7]), values([7, n], 1)], m.matmul), 301, 2e-5),
  of('matmul of a batch', (n) => on([values([4, n, 5]), values([4, 5, 3], 1)], m.matmul), 1009),
  of('mm', (n) => on([values([n, 6]), values([6, 5], 1)], m.mm), 2003),
  of('bmm', (n) => on([values([3, n, 4]), values([3, 4, 5], 1)], m.bmm), 2003),
  of('mv', (n) => on([values([7, n]), values([n], 1)], m.mv), 20_011, 2e-5),
  of('dot', (n) => on([values([n]), values([n], 1)], m.dot), 100_003, 2e-5),
  of('outer', (n) => on([values([n]), values([5], 1)], m.outer), 20_011, 2e-5),
  of(
    'addmm',
    (n) =>
      on([values([n]), values([3, 4], 1), values([4, n], 2)], (x, a, b) => m.addmm(x, a, b, { beta: 0.3, alpha: 0.7 })),
    4003,
  ),
  of(
    'baddbmm',
    (n) => on([values([3, n]), values([2, 3, 4], 1), values([2, 4, n], 2)], (x, a, b) => m.baddbmm(x, a, b)),
    4003,
  ),
  of(
    'linear',
    (n) => on([values([6, n]), values([5, n], 1), values([5], 2)], (x, w, b) => m.linear(x, w, b)),
    4003,
    2e-5,
  ),
  of(
    'bilinear',
    (n) =>
      on([values([4, 3]), values([4, n], 1), values([2, 3, n], 2), values([2], 3)], (a, b, w, c) =>
        m.bilinear(a, b, w, c),
      ),
    4003,
    2e-5,
  ),
  of('einsum', (n) => on([values([3, n]), values([n, 4], 1)], (x, y) => m.einsum('ij,jk->ki', x, y)), 4003, 2e-5),
];

const matrices: Row[] = [
  of(
    'svd',
    (n) =>
      on([values([n, 3])], (x) => {
        const { u, s } = m.svd(x);
        return [s, outer(u.select(-1, 0))];
      }),
    61,
    1e-3,
    21,
  ),
  of('svdvals', (n) => on([values([2, n, 3])], (x) => m.svdvals(x)), 401, 1e-4),
  of(
    'eigh',
    (n) =>
      on([values([n, n])], (x) => {
        const { eigenvalues, eigenvectors } = m.eigh(symmetric(x));
        return [eigenvalues, outer(eigenvectors.select(-1, 0))];
      }),
    33,
    1e-2,
    11,
  ),
  of('eigvalsh', (n) => on([values([3, n, n])], (x) => m.eigvalsh(symmetric(x))), 33, 1e-3, 21),
  of('inverse', (n) => on([values([2, n, n])], (x) => m.inverse(regular(x))), 65, 1e-5, 33),
  of('solve', (n) => on([values([3, 3]), values([3, n], 1)], (a, b) => m.solve(regular(a), b)), 4003),
  of('det', (n) => on([values([n, 3, 3])], (x) => m.det(regular(x))), 4003),
  of('trace', (n) => on([values([n, n])], m.trace), 301),
];

const line = (name: string, fn: (x: Tensor) => Tensor, big = 20_011): Row =>
  of(name, (n) => on([values([2, 3, n + 4])], fn), big);
const plane = (name: string, fn: (x: Tensor) => Tensor, big = 2003): Row =>
  of(name, (n) => on([values([2, 3, 6, n + 4])], fn), big);
const volume = (name: string, fn: (x: Tensor) => Tensor): Row =>
  of(name, (n) => on([values([2, 2, 4, 5, n + 4])], fn), 503);

const windows: Row[] = [
  of(
    'conv1d',
    (n) =>
      on([values([2, 3, n + 4]), values([4, 3, 3], 1), values([4], 2)], (x, w, b) => m.conv1d(x, w, b, { padding: 1 })),
    4003,
    2e-5,
  ),
  of(
    'conv2d',
    (n) =>
      on([values([2, 3, 6, n + 4]), values([4, 3, 3, 3], 1), values([4], 2)], (x, w, b) =>
        m.conv2d(x, w, b, { padding: 1 }),
      ),
    503,
    2e-5,
  ),
  of(
    'conv2d of channels',
    (n) => on([values([1, n, 5, 6]), values([5, n, 3, 3], 1)], (x, w) => m.conv2d(x, w, null, { stride: 2 })),
    303,
    2e-5,
  ),
  of(
    'conv2d in groups',
    (n) => on([values([2, 4, 5, n + 4]), values([6, 2, 3, 2], 1)], (x, w) => m.conv2d(x, w, null, { groups: 2 })),
    503,
    2e-5,
  ),
  of(
    'conv2d of each channel',
    (n) => on([values([2, 4, 5, n + 4]), values([4, 1, 3, 3], 1)], (x, w) => m.conv2d(x, w, null, { groups: 4 })),
    503,
    2e-5,
  ),
  of(
    'convTranspose1d',
    (n) => on([values([2, 3, n]), values([3, 4, 3], 1)], (x, w) => m.convTranspose1d(x, w, null, { stride: 2 })),
    4003,
    2e-5,
  ),
  of(
    'convTranspose2d',
    (n) => on([values([2, 3, 4, n]), values([3, 4, 3, 3], 1)], (x, w) => m.convTranspose2d(x, w, null, { stride: 2 })),
    303,
    2e-5,
  ),
  of('convolve1d', (n) => on([values([n]), values([3], 1)], (x, k) => m.convolve1d(x, k)), 20_011, 2e-5),
  of('convolve2d', (n) => on([values([4, n]), values([2, 3], 1)], (x, k) => m.convolve2d(x, k)), 4003, 2e-5),
  of('convolutionMatrix', (n) => on([values([3])], (k) => m.convolutionMatrix(k, [n])), 301),
  line('maxPool1d', (x) => m.maxPool1d(x, 3, { stride: 2 })),
  plane('maxPool2d', (x) => m.maxPool2d(x, 2)),
  plane('maxPool2d that overlaps', (x) => m.maxPool2d(x, 3, { stride: 2, padding: 1 })),
  volume('maxPool3d', (x) => m.maxPool3d(x, 2)),
  line('avgPool1d', (x) => m.avgPool1d(x, 3, { padding: 1 })),
  plane('avgPool2d', (x) => m.avgPool2d(x, 3, { stride: 2, padding: 1 })),
  volume('avgPool3d', (x) => m.avgPool3d(x, 2)),
  line('adaptiveAvgPool1d', (x) => m.adaptiveAvgPool1d(x, 3)),
  plane('adaptiveAvgPool2d', (x) => m.adaptiveAvgPool2d(x, [2, 3])),
  volume('adaptiveAvgPool3d', (x) => m.adaptiveAvgPool3d(x, [2, 2, 3])),
  line('adaptiveMaxPool1d', (x) => m.adaptiveMaxPool1d(x, 3)),
  plane('adaptiveMaxPool2d', (x) => m.adaptiveMaxPool2d(x, [2, 3])),
  plane('pad', (x) => m.pad(x, [1, 2, -1, 1], { value: 0.5 })),
  ...(['reflect', 'replicate', 'circular'] as const).map((mode) =>
    plane(`pad by ${mode}`, (x) => m.pad(x, [3, 2, 1, 0], { mode })),
  ),
  plane('unfold', (x) => m.unfold(x, [2, 3], { stride: [1, 2], padding: 1 })),
  of('fold', (n) => on([values([2, 8, 3 * (n + 1)])], (x) => m.fold(x, [4, n + 2], 2)), 4003),
  line('interpolate', (x) => m.interpolate(x, { scaleFactor: 1.7, mode: 'linear' })),
  line('interpolate to the nearest', (x) => m.interpolate(x, { scaleFactor: 1.7 })),
  line('interpolate by area', (x) => m.interpolate(x, { size: 3, mode: 'area' })),
  plane('interpolate bilinear', (x) => m.interpolate(x, { scaleFactor: [1.7, 0.6], mode: 'bilinear' })),
  plane('interpolate bicubic', (x) => m.interpolate(x, { scaleFactor: [1.7, 0.6], mode: 'bicubic' }), 503),
  volume('interpolate trilinear', (x) => m.interpolate(x, { size: [3, 4, 7], mode: 'trilinear' })),
  of('pixelShuffle', (n) => on([values([2, 8, 3, n])], (x) => m.pixelShuffle(x, 2)), 2003),
  of('pixelUnshuffle', (n) => on([values([2, 2, 4, 2 * n])], (x) => m.pixelUnshuffle(x, 2)), 2003),
  of(
    'localResponseNorm',
    (n) => on([values([2, 7, n])], (x) => m.localResponseNorm(x, 3, { alpha: 0.5, k: 1.2 })),
    4003,
  ),
  of(
    'localResponseNorm of channels',
    (n) => on([values([2, n, 5])], (x) => m.localResponseNorm(x, 5, { alpha: 0.5 })),
    4003,
  ),
];

const norms: Row[] = [
  of(
    'layerNorm',
    (n) =>
      on([values([5, n]), values([n], 1), values([n], 2)], (x, weight, bias) =>
        m.layerNorm(x, x.shape[1]!, { weight, bias, eps: 0.1 }),
      ),
    4003,
  ),
  of(
    'rmsNorm',
    (n) => on([values([5, n]), values([n], 1)], (x, weight) => m.rmsNorm(x, x.shape[1]!, { weight, eps: 0.1 })),
    4003,
  ),
  of(
    'groupNorm',
    (n) =>
      on([values([3, 4, n]), values([4], 1), values([4], 2)], (x, weight, bias) =>
        m.groupNorm(x, 2, { weight, bias, eps: 0.1 }),
      ),
    4003,
  ),
  of(
    'instanceNorm',
    (n) =>
      on([values([3, 4, n + 1]), values([4], 1), values([4], 2)], (x, weight, bias) =>
        m.instanceNorm(x, { weight, bias, eps: 0.1 }),
      ),
    4003,
  ),
  of(
    'batchNorm',
    (n) =>
      on([values([3, 4, n]), values([4], 1), values([4], 2)], (x, weight, bias) =>
        m.batchNorm(x, null, null, { weight, bias, training: true, eps: 0.1 }),
      ),
    4003,
  ),
  of(
    'batchNorm of channels',
    (n) =>
      on([values([5, n]), values([n], 1), values([n], 2)], (x, weight, bias) =>
        m.batchNorm(x, null, null, { weight, bias, training: true, eps: 0.1 }),
      ),
    4003,
  ),
  of(
    'batchNorm evaluated',
    (n) =>
      on([values([3, 4, n]), values([4], 1), positive([4], 2)], (x, mean, variance) =>
        m.batchNorm(x, mean.detach(), variance.detach(), {}),
      ),
    4003,
  ),
];

const pair = (name: string, fn: (x: Tensor, y: Tensor) => Tensor, make = values): Row =>
  of(name, (n) => on([make([3, n]), make([3, n], 1)], fn), 40_009);
const signs = (y: Tensor): Tensor => y.detach().sign();

const losses: Row[] = [
  of(
    'crossEntropy',
    (n) => on([values([5, n]), indices([5], n)], (x, t) => m.crossEntropy(x, t, { labelSmoothing: 0.1 })),
    4003,
  ),
  of(
    'crossEntropy of many',
    (n) => on([values([n, 7]), indices([n], 7)], (x, t) => m.crossEntropy(x, t, { reduction: 'sum' })),
    4003,
  ),
  of('nllLoss', (n) => on([values([n, 7]), indices([n], 7)], (x, t) => m.nllLoss(x, t)), 4003),
  ...(['mean', 'sum', 'none'] as const).map((reduction) =>
    pair(`mseLoss ${reduction}`, (x, y) => m.mseLoss(x, y, { reduction })),
  ),
  pair('l1Loss', (x, y) => m.l1Loss(x, y)),
  pair('smoothL1Loss', (x, y) => m.smoothL1Loss(x, y)),
  pair('huberLoss', (x, y) => m.huberLoss(x, y, { delta: 0.7 })),
  pair('binaryCrossEntropy', (x, y) => m.binaryCrossEntropy(x, y), unit),
  pair('binaryCrossEntropyWithLogits', (x, y) => m.binaryCrossEntropyWithLogits(x, y)),
  pair('klDiv', (x, y) => m.klDiv(x, y, { reduction: 'batchmean' }), positive),
  pair('poissonNllLoss', (x, y) => m.poissonNllLoss(x, y), positive),
  pair('multilabelSoftMarginLoss', (x, y) => m.multilabelSoftMarginLoss(x, y)),
  pair('gaussianNllLoss', (x, y) => m.gaussianNllLoss(x, y, y.square().add(1))),
  pair('hingeEmbeddingLoss', (x, y) => m.hingeEmbeddingLoss(x, signs(y))),
  pair('softMarginLoss', (x, y) => m.softMarginLoss(x, signs(y))),
  pair('marginRankingLoss', (x, y) => m.marginRankingLoss(x, y, signs(x.sub(y).add(0.3)))),
  pair('cosineEmbeddingLoss', (x, y) => m.cosineEmbeddingLoss(x, y, signs(x.sum(1)))),
  pair('tripletMarginLoss', (x, y) => m.tripletMarginLoss(x, y, x.add(y), { margin: 9 })),
  of('multiMarginLoss', (n) => on([values([n, 7]), indices([n], 7)], (x, t) => m.multiMarginLoss(x, t)), 4003),
];

const sequences: Row[] = [
  of('additiveScores', (n) => on([values([3, n]), values([5, 3, n], 1), values([n], 2)], additiveScores), 2003),
  of(
    'scaledDotProductAttention',
    (n) =>
      on([values([2, 2, n, 8]), values([2, 2, n + 1, 8], 1), values([2, 2, n + 1, 6], 2)], (q, k, v) =>
        m.scaledDotProductAttention(q, k, v),
      ),
    131,
  ),
  of(
    'scaledDotProductAttention, causal',
    (n) =>
      on([values([2, n, 5]), values([2, n, 5], 1), values([2, n, 5], 2)], (q, k, v) =>
        m.scaledDotProductAttention(q, k, v, { causal: true }),
      ),
    131,
  ),
  of(
    'scaledDotProductAttention, masked',
    (n) =>
      on([values([2, 3, 5]), values([2, n, 5], 1), values([2, n, 7], 2), values([3, n], 3)], (q, k, v, mask) =>
        m.scaledDotProductAttention(q, k, v, { mask }),
      ),
    2003,
  ),
  of(
    'scaledDotProductAttention of wide heads',
    (n) =>
      on([values([2, 4, n]), values([2, 5, n], 1), values([2, 5, n], 2)], (q, k, v) =>
        m.scaledDotProductAttention(q, k, v),
      ),
    131,
  ),
  of('attentionWeights', (n) => on([values([2, n, 8]), values([2, n, 8], 1)], (q, k) => m.attentionWeights(q, k)), 131),
  ...(
    [
      ['tanh', 1],
      ['relu', 1],
      ['lstm', 4],
      ['gru', 3],
    ] as const
  ).map(([kind, gates]) =>
    of(
      `recurrent ${kind}`,
      (n) =>
        on(
          [
            values([3, 2, 4]),
            values([2, n], 1),
            values([gates * n, 4], 2, -0.3, 0.3),
            values([gates * n, n], 3, -0.2, 0.2),
          ],
          (x, h0, weightIh, weightHh) => {
            const { y, hn, cn } = m.recurrent(
              { x, h0, c0: kind === 'lstm' ? h0.mul(0.5) : null, weightIh, weightHh, biasIh: null, biasHh: null },
              kind,
            );
            return cn === null ? [y, hn] : [y, hn, cn];
          },
        ),
      67,
      2e-5,
    ),
  ),
];

export const sweepLayerRows: readonly Row[] = [...products, ...matrices, ...windows, ...norms, ...losses, ...sequences];
