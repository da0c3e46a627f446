import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';
import { spread, type Case } from './case.js';

/** A function of x, weight and bias, each of which may be left out. */
type Affine = (x: Tensor, weight: Tensor | null, bias: Tensor | null) => Tensor;

/** A norm with weight and bias, with either and with neither. */
const norm = (name: string, shape: number[], vector: number[], fn: Affine): Case[] => [
  {
    name,
    inputs: () => [spread(shape), spread(vector, 1), spread(vector, 2)],
    fn: (x, w, b) => fn(x, w, b).square(),
  },
  { name: `${name} without bias`, inputs: () => [spread(shape), spread(vector, 1)], fn: (x, w) => fn(x, w, null) },
  { name: `${name} with bias only`, inputs: () => [spread(shape), spread(vector, 1)], fn: (x, b) => fn(x, null, b) },
  { name: `${name} alone`, inputs: () => [spread(shape)], fn: (x) => fn(x, null, null) },
];

const statistics = (): [Tensor, Tensor] => [
  m.tensor([0.2, -0.4, 0.1], { dtype: 'float64' }),
  m.tensor([0.8, 1.7, 0.4], { dtype: 'float64' }),
];

const norms: Case[] = [
  ...norm('layerNorm', [3, 7], [7], (x, weight, bias) => m.layerNorm(x, 7, { weight, bias })),
  ...norm('layerNorm of two dimensions', [2, 3, 2], [3, 2], (x, weight, bias) =>
    m.layerNorm(x, [3, 2], { weight, bias, eps: 0.1 }),
  ),
  ...norm('groupNorm', [2, 4, 3], [4], (x, weight, bias) => m.groupNorm(x, 2, { weight, bias })),
  ...norm('groupNorm of planes', [2, 2, 3, 6], [2], (x, weight, bias) => m.groupNorm(x, 1, { weight, bias })),
  ...norm('instanceNorm', [2, 3, 4], [3], (x, weight, bias) => m.instanceNorm(x, { weight, bias })),
  ...norm('batchNorm of rows', [5, 3], [3], (x, weight, bias) =>
    m.batchNorm(x, null, null, { weight, bias, training: true }),
  ),
  ...norm('batchNorm of planes', [2, 3, 3, 6], [3], (x, weight, bias) =>
    m.batchNorm(x, ...statistics(), { weight, bias, training: true, eps: 0.01 }),
  ),
  ...norm('batchNorm evaluated', [2, 3, 3, 6], [3], (x, weight, bias) =>
    m.batchNorm(x, ...statistics(), { weight, bias }),
  ),
  ...norm('batchNorm of rows evaluated', [4, 3], [3], (x, weight, bias) =>
    m.batchNorm(x, ...statistics(), { weight, bias }),
  ),
  {
    name: 'batchNorm of a strided view',
    inputs: () => [spread([6, 4])],
    fn: (x) => m.batchNorm(x.t().slice(0, 0, 4, 2), null, null, { training: true }),
  },
  {
    name: 'instanceNorm with running statistics',
    inputs: () => [spread([2, 3, 4]), spread([3], 1), spread([3], 2)],
    fn: (x, weight, bias) => {
      const [runningMean, runningVar] = statistics();
      return m.instanceNorm(x, { runningMean, runningVar, weight, bias });
    },
  },
  {
    name: 'rmsNorm',
    inputs: () => [spread([3, 7]), spread([7], 1)],
    fn: (x, weight) => m.rmsNorm(x, 7, { weight }).square(),
  },
  {
    name: 'localResponseNorm',
    inputs: () => [spread([2, 5, 3])],
    fn: (x) => m.localResponseNorm(x, 3, { alpha: 0.5, beta: 0.75, k: 1.2 }).square(),
  },
  {
    name: 'localResponseNorm of planes',
    inputs: () => [spread([1, 4, 2, 3])],
    fn: (x) => m.localResponseNorm(x, 4, { alpha: 2, beta: 0.6 }),
  },
  { name: 'rmsNorm alone', inputs: () => [spread([3, 7])], fn: (x) => m.rmsNorm(x, [7], { eps: 0.1 }) },
];

const pools: Case[] = [
  { name: 'maxPool1d', inputs: () => [spread([2, 2, 9])], fn: (x) => m.maxPool1d(x, 3, { stride: 2 }).square() },
  { name: 'maxPool2d', inputs: () => [spread([2, 2, 6, 6])], fn: (x) => m.maxPool2d(x, 2).square() },
  {
    name: 'maxPool2d with everything',
    inputs: () => [spread([1, 2, 7, 8])],
    fn: (x) => m.maxPool2d(x, [3, 2], { stride: [2, 3], padding: [1, 0], dilation: [1, 2], ceilMode: true }).square(),
  },
  { name: 'maxPool3d', inputs: () => [spread([1, 3, 4, 5])], fn: (x) => m.maxPool3d(x, 2, { stride: 1 }).square() },
  { name: 'avgPool1d', inputs: () => [spread([2, 2, 9])], fn: (x) => m.avgPool1d(x, 3, { padding: 1 }).square() },
  {
    name: 'avgPool2d',
    inputs: () => [spread([2, 2, 6, 7])],
    fn: (x) => m.avgPool2d(x, 3, { stride: 2, padding: 1, ceilMode: true, countIncludePad: false }).square(),
  },
  {
    name: 'avgPool3d',
    inputs: () => [spread([1, 3, 4, 5])],
    fn: (x) => m.avgPool3d(x, 2, { stride: [1, 2, 2], divisorOverride: 3 }).square(),
  },
  { name: 'adaptiveAvgPool1d', inputs: () => [spread([2, 2, 7])], fn: (x) => m.adaptiveAvgPool1d(x, 3).square() },
  {
    name: 'adaptiveAvgPool2d',
    inputs: () => [spread([2, 7, 5])],
    fn: (x) => m.adaptiveAvgPool2d(x, [3, null]).square(),
  },
  {
    name: 'adaptiveAvgPool3d',
    inputs: () => [spread([2, 3, 4, 5])],
    fn: (x) => m.adaptiveAvgPool3d(x, [2, 2, 3]).square(),
  },
  { name: 'adaptiveMaxPool1d', inputs: () => [spread([2, 2, 7])], fn: (x) => m.adaptiveMaxPool1d(x, 3).square() },
  {
    name: 'adaptiveMaxPool2d',
    inputs: () => [spread([2, 7, 5])],
    fn: (x) => m.adaptiveMaxPool2d(x, [3, 2]).square(),
  },
];

const images: Case[] = [
  { name: 'pad', inputs: () => [spread([2, 3, 4])], fn: (x) => m.pad(x, [1, 2, -1, 1], { value: 0.5 }).square() },
  { name: 'pad that cuts', inputs: () => [spread([3, 5])], fn: (x) => m.pad(x, [-1, -2, 0, -1]).square() },
  ...(['reflect', 'replicate', 'circular'] as const).flatMap((mode): Case[] => [
    { name: `pad ${mode}`, inputs: () => [spread([2, 4])], fn: (x) => m.pad(x, [3, 2], { mode }).square() },
    {
      name: `pad ${mode} of planes`,
      inputs: () => [spread([1, 2, 3, 4])],
      fn: (x) => m.pad(x, [1, 3, 2, -1], { mode }).square(),
    },
    {
      name: `pad ${mode} of volumes`,
      inputs: () => [spread([1, 1, 3, 3, 2])],
      fn: (x) => m.pad(x, [1, 0, 2, 1, 1, 2], { mode }).square(),
    },
  ]),
  {
    name: 'unfold',
    inputs: () => [spread([2, 2, 5, 6])],
    fn: (x) => m.unfold(x, [2, 3], { dilation: [2, 1], padding: 1, stride: [1, 2] }).square(),
  },
  {
    name: 'fold',
    inputs: () => [spread([2, 8, 12])],
    fn: (x) => m.fold(x, [4, 5], 2).square(),
  },
  ...(['nearest', 'nearest-exact', 'linear', 'area'] as const).map((mode): Case => ({
    name: `interpolate ${mode}`,
    inputs: () => [spread([1, 2, 5])],
    fn: (x) => m.interpolate(x, { size: 8, mode }).square(),
  })),
  ...(['bilinear', 'bicubic'] as const).flatMap((mode) =>
    [false, true].map((alignCorners): Case => ({
      name: `interpolate ${mode} ${alignCorners ? 'by corners' : ''}`,
      inputs: () => [spread([1, 2, 3, 4])],
      fn: (x) => m.interpolate(x, { scaleFactor: [1.7, 0.6], mode, alignCorners }).square(),
    })),
  ),
  {
    name: 'interpolate trilinear',
    inputs: () => [spread([1, 1, 2, 3, 2])],
    fn: (x) => m.interpolate(x, { size: [3, 2, 4], mode: 'trilinear' }).square(),
  },
  { name: 'pixelShuffle', inputs: () => [spread([2, 8, 2, 3])], fn: (x) => m.pixelShuffle(x, 2).square() },
  { name: 'pixelUnshuffle', inputs: () => [spread([2, 4, 6])], fn: (x) => m.pixelUnshuffle(x, 2).square() },
];

/** Norms, pooling and images. */
export const layerCases: Case[] = [...norms, ...pools, ...images];
