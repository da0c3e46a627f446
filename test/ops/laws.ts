import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

type Pointwise = [name: string, arity: 1 | 2, fn: (a: Tensor, b: Tensor) => Tensor];

const functions = m as unknown as Record<string, (a: Tensor, b?: Tensor) => Tensor>;

/** Functions of the library by name, called with as many tensors as they take. */
const named = (arity: 1 | 2, names: string): Pointwise[] =>
  names.split(' ').map((name) => {
    const fn = functions[name]!;
    return [name, arity, (a, b) => (arity === 1 ? fn(a) : fn(a, b))];
  });

const one = (table: Record<string, (x: Tensor) => Tensor>): Pointwise[] =>
  Object.entries(table).map(([name, fn]) => [name, 1, fn]);
const two = (table: Record<string, (a: Tensor, b: Tensor) => Tensor>): Pointwise[] =>
  Object.entries(table).map(([name, fn]) => [name, 2, fn]);

/** Functions of which every element of the result depends on the elements in its place alone. */
export const elementwise: Pointwise[] = [
  ...named(1, 'neg abs sign floor ceil round trunc exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square'),
  ...named(1, 'sin cos tan asin acos atan sinh cosh asinh acosh atanh erf erfc tanh sigmoid isfinite logicalNot'),
  ...named(1, 'relu silu mish logSigmoid softsign hardsigmoid hardswish selu gelu softplus leakyRelu elu'),
  ...named(1, 'hardtanh softshrink hardshrink'),
  ...one({
    geluTanh: (x) => m.gelu(x, { approximate: 'tanh' }),
    clamp: (x) => m.clamp(x, -0.6, 0.7),
    threshold: (x) => m.threshold(x, 0.1, 0.2),
    where: (x) => m.where(x.gt(0), x, 1),
  }),
  ...named(2, 'add sub mul div pow maximum minimum eq ne lt le gt ge atan2 hypot logaddexp xlogy fmax fmin fmod'),
  ...named(2, 'remainder floorDivide'),
  ...two({
    lerp: (a, b) => m.lerp(a, b, 0.3),
    addcmul: (a, b) => m.addcmul(a, b, b),
    addcdiv: (a, b) => m.addcdiv(a, b, b),
  }),
];

type Reduction = [
  name: string,
  fn: (x: Tensor, dim: number) => Tensor,
  reference: (row: number[]) => number,
  tolerance: number,
];

const total = (row: number[]): number => row.reduce((a, b) => a + b, 0);

export const reductions: Reduction[] = [
  ['sum', (x, d) => m.sum(x, d), total, 5e-6],
  ['mean', (x, d) => m.mean(x, d), (row) => total(row) / row.length, 1e-6],
  ['prod', (x, d) => m.prod(x, d), (row) => row.reduce((a, b) => a * b, 1), 1e-5],
  ['amax', (x, d) => m.amax(x, d), (row) => Math.max(...row), 0],
  ['amin', (x, d) => m.amin(x, d), (row) => Math.min(...row), 0],
  ['argmax', (x, d) => m.argmax(x, d), (row) => row.indexOf(Math.max(...row)), 0],
  ['argmin', (x, d) => m.argmin(x, d), (row) => row.indexOf(Math.min(...row)), 0],
  ['vectorNorm', (x, d) => m.vectorNorm(x, 2, d), (row) => Math.hypot(...row), 2e-6],
  ['last of cumsum', (x, d) => m.cumsum(x, d).select(d, -1), total, 5e-6],
  ['greatest of sort', (x, d) => m.sort(x, { dim: d }).values.select(d, -1), (row) => Math.max(...row), 0],
  [
    'last of logSoftmax',
    (x, d) => m.logSoftmax(x, d).select(d, -1),
    (row) => row.at(-1)! - Math.log(total(row.map(Math.exp))),
    2e-6,
  ],
  [
    'last of softmax',
    (x, d) => m.softmax(x, d).select(d, -1),
    (row) => Math.exp(row.at(-1)!) / total(row.map(Math.exp)),
    2e-6,
  ],
];

const noise = (shape: number[], seed = 1): Tensor => m.randn(shape, { generator: new m.Generator(seed) });
const labels = (n: number, classes: number): Tensor => m.randint(0, classes, [n], { generator: new m.Generator(9) });

/** Work that is large enough to be split among threads, and at sizes that split unevenly. */
export const large: [name: string, inputs: () => Tensor[], fn: (...x: Tensor[]) => Tensor][] = [
  ['unary', () => [noise([100_003])], (x) => x.tanh().mul(x.exp())],
  ['binary broadcast', () => [noise([317, 331]), noise([331], 2)], (a, b) => a.mul(b).add(b)],
  ['strided', () => [noise([331, 317])], (x) => x.t().sigmoid()],
  ['sum', () => [noise([200_003])], (x) => x.square().sum()],
  ['sum of rows', () => [noise([317, 331])], (x) => x.sum(1)],
  ['sum of columns', () => [noise([317, 331])], (x) => x.sum(0)],
  ['mean and prod', () => [noise([64, 2003])], (x) => x.mean(1).add(x.mul(1.2).prod(1))],
  ['amax', () => [noise([317, 331])], (x) => x.amax(0)],
  ['cumsum', () => [noise([37, 3001])], (x) => m.cumsum(x, 1)],
  ['sort', () => [noise([37, 1001])], (x) => m.sort(x).values],
  ['gather', () => [noise([301, 77])], (x) => m.indexSelect(x, 0, labels(900, 301))],
  ['matmul', () => [noise([193, 211]), noise([211, 187], 2)], m.matmul],
  ['matmul batched', () => [noise([13, 37, 41]), noise([13, 41, 29], 2)], m.matmul],
  ['linear', () => [noise([130, 71]), noise([93, 71], 2), noise([93], 3)], (x, w, b) => m.linear(x, w, b)],
  [
    'conv2d',
    () => [noise([5, 7, 23, 19]), noise([11, 7, 3, 3], 2), noise([11], 3)],
    (x, w, b) => m.conv2d(x, w, b, { padding: 1 }),
  ],
  [
    'conv2d in groups',
    () => [noise([3, 8, 23, 19]), noise([8, 4, 5, 3], 2)],
    (x, w) => m.conv2d(x, w, null, { groups: 2, stride: 2 }),
  ],
  [
    'convTranspose2d',
    () => [noise([3, 7, 13, 11]), noise([7, 5, 3, 3], 2)],
    (x, w) => m.convTranspose2d(x, w, null, { stride: 2 }),
  ],
  ['maxPool2d', () => [noise([6, 9, 33, 31])], (x) => m.maxPool2d(x, 3, { stride: 2 })],
  ['avgPool2d', () => [noise([6, 9, 33, 31])], (x) => m.avgPool2d(x, 3)],
  ['interpolate', () => [noise([6, 9, 23, 21])], (x) => m.interpolate(x, { scaleFactor: 1.7, mode: 'bilinear' })],
  ['softmax', () => [noise([317, 331])], (x) => x.softmax(1)],
  ['softmax of columns', () => [noise([317, 331])], (x) => x.logSoftmax(0)],
  [
    'layerNorm',
    () => [noise([317, 131]), noise([131], 2), noise([131], 3)],
    (x, weight, bias) => m.layerNorm(x, 131, { weight, bias }),
  ],
  [
    'batchNorm',
    () => [noise([11, 17, 13, 19]), noise([17], 2), noise([17], 3)],
    (x, weight, bias) => m.batchNorm(x, null, null, { weight, bias, training: true }),
  ],
  ['groupNorm', () => [noise([11, 18, 13, 19])], (x) => m.groupNorm(x, 3)],
  [
    'attention',
    () => [noise([3, 4, 67, 16]), noise([3, 4, 71, 16], 2), noise([3, 4, 71, 16], 3)],
    (q, k, v) => m.scaledDotProductAttention(q, k, v),
  ],
  ['crossEntropy', () => [noise([1003, 37])], (x) => m.crossEntropy(x, labels(1003, 37))],
  ['mseLoss', () => [noise([100_003]), noise([100_003], 2)], (x, y) => m.mseLoss(x, y)],
  [
    'binaryCrossEntropyWithLogits',
    () => [noise([317, 331])],
    (x) => m.binaryCrossEntropyWithLogits(x, x.detach().sigmoid()),
  ],
  ['dropout', () => [noise([317, 331])], (x) => m.dropout(x, { p: 0.3, generator: new m.Generator(5) })],
];
