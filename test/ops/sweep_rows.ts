import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';
import { indices, on, values, type Call, type Row } from './sweep.js';
import { sweepLayerRows } from './sweep_layers.js';

type Make = (shape: readonly number[], salt?: number) => Tensor;
type Named = (a: Tensor, b?: Tensor) => Tensor;

const functions = m as unknown as Record<string, Named>;
const within =
  (low: number, high: number): Make =>
  (shape, salt = 0) =>
    values(shape, salt, low, high);
const positive = within(0.3, 2.2);
const inside = within(-0.9, 0.9);
const unit = within(0.1, 0.9);
const aboveOne = within(1.2, 3);
const integers: Make = (shape, salt) => indices(shape, 100, salt).add(1);
const truths: Make = (shape, salt) => values(shape, salt).gt(0);

const large = 100_003;

/** Functions of `arity` tensors of one shape, elementwise, by their names. */
const pointwise = (names: string, make: Make = values, arity = 1): Row[] =>
  names.split(' ').map((name) => each(name, functions[name]!, make, arity));

const each = (name: string, fn: (...x: [Tensor, Tensor, Tensor]) => Tensor, make: Make = values, arity = 1): Row => ({
  name,
  make: (n) =>
    on(
      [0, 1, 2].slice(0, arity).map((salt) => make([n], salt)),
      (...x) => fn(...(x as [Tensor, Tensor, Tensor])),
    ),
  big: large,
  pointwise: true,
  near: 4e-6,
});

/** x with a slope along a dimension, so that its deviation there is not 0. */
const risen = (x: Tensor, dim: number): Tensor =>
  x.add(m.arange(x.shape[dim]!, undefined, 1, { dtype: x.dtype }).reshape(dim === 0 ? [-1, 1] : [-1]));

/** A function of one tensor, at rows of n, at columns of n and at n alone. */
const lines = (
  name: string,
  fn: (x: Tensor, dim: number) => ReturnType<Call['fn']>,
  make: Make = values,
  near = 1e-5,
): Row[] => [
  { name, make: (n) => on([make([3, n])], (x) => fn(x, 1)), big: 40_009, near },
  { name: `${name} of columns`, make: (n) => on([make([n, 5])], (x) => fn(x, 0)), big: 20_011, near },
  { name: `${name} of many rows`, make: (n) => on([make([n, 7])], (x) => fn(x, 1)), big: 20_011, near },
];

const of = (name: string, make: Row['make'], big: number, near: number | null = 1e-5, most = 67): Row => ({
  name,
  make,
  big,
  near,
  most,
});

/** A function of one tensor of shape [3, n]. */
const shaped = (name: string, fn: (x: Tensor, n: number) => ReturnType<Call['fn']>): Row =>
  of(name, (n) => on([values([3, n])], (x) => fn(x, n)), 40_009);

const elementwise: Row[] = [
  ...pointwise(
    'neg abs sign floor ceil round trunc frac exp exp2 expm1 square sin cos tan atan sinh cosh tanh sigmoid',
  ),
  ...pointwise('erf erfc asinh isfinite isinf isnan logicalNot nanToNum relu relu6 silu mish logSigmoid softsign'),
  ...pointwise('hardsigmoid hardswish selu gelu softplus leakyRelu elu celu hardtanh softshrink hardshrink tanhshrink'),
  ...pointwise('rrelu clone contiguous'),
  ...pointwise('log log2 log10 log1p sqrt rsqrt reciprocal', positive),
  ...pointwise('asin acos atanh', inside),
  ...pointwise('logit', unit),
  ...pointwise('acosh', aboveOne),
  ...pointwise('bitwiseNot', integers),
  ...pointwise(
    'add sub mul maximum minimum eq ne lt le gt ge atan2 hypot logaddexp fmax fmin isclose heaviside',
    values,
    2,
  ),
  ...pointwise('div trueDivide pow xlogy fmod remainder floorDivide', positive, 2),
  ...pointwise('bitwiseAnd bitwiseOr bitwiseXor', integers, 2),
  ...pointwise('logicalAnd logicalOr logicalXor', truths, 2),
  each('gelu by tanh', (x) => m.gelu(x, { approximate: 'tanh' })),
  each('clamp', (x) => m.clamp(x, -0.6, 0.7)),
  each('clampMin', (x) => m.clampMin(x, -0.6)),
  each('clampMax', (x) => m.clampMax(x, 0.6)),
  each('threshold', (x) => m.threshold(x, 0.1, 0.2)),
  of('prelu', (n) => on([values([3, n]), values([n], 1)], (x, w) => m.prelu(x, w)), 40_009),
  each('where', (x, y) => m.where(x.gt(y), x, y), values, 2),
  each('to', (x) => m.to(m.to(x, 'float64').mul(2), x.dtype)),
  each('to int32', (x) => m.to(x, 'int32'), within(-90, 90)),
  each('lerp', (a, b, w) => m.lerp(a, b, w), values, 3),
  each('lerp by a number', (a, b) => m.lerp(a, b, 0.3), values, 2),
  each('addcmul', (a, b, c) => m.addcmul(a, b, c, { value: 0.7 }), values, 3),
  each('addcdiv', (a, b, c) => m.addcdiv(a, b, c, { value: 0.7 }), positive, 3),
  each('add of integers', (a, b) => m.add(a, b), integers, 2),
  each('floorDivide of integers', (a, b) => m.floorDivide(a, b), integers, 2),
  { ...each('dropout', (x) => m.dropout(x, { p: 0.4, generator: new m.Generator(3) })), near: null, pointwise: false },
  of('glu', (n) => on([values([3, 2 * n])], (x) => m.glu(x)), 20_011),
  of('maxout', (n) => on([values([3, 2 * n])], (x) => m.maxout(x, 2)), 20_011),
];

const reductions: Row[] = [
  ...lines('sum', (x, d) => m.sum(x, d)),
  ...lines('mean', (x, d) => m.mean(x, d)),
  ...lines('prod', (x, d) => m.prod(x, d), within(0.9, 1.1)),
  ...lines('amax', (x, d) => m.amax(x, d)),
  ...lines('amin', (x, d) => m.amin(x, d)),
  ...lines('argmax', (x, d) => m.argmax(x, d)),
  ...lines('argmin', (x, d) => m.argmin(x, d)),
  ...lines('max', (x, d) => m.max(x, d)),
  ...lines('min', (x, d) => m.min(x, d)),
  ...lines('any', (x, d) => m.any(x, d), truths),
  ...lines('all', (x, d) => m.all(x, d), truths),
  ...lines('countNonzero', (x, d) => m.countNonzero(x, d)),
  ...lines('logsumexp', (x, d) => m.logsumexp(x, d)),
  ...lines('nansum', (x, d) => m.nansum(x, d)),
  ...lines('nanmean', (x, d) => m.nanmean(x, d)),
  ...lines('norm', (x, d) => m.norm(x, 3, d)),
  ...lines('vectorNorm', (x, d) => m.vectorNorm(x, 2, d)),
  ...lines('vectorNorm of order 1', (x, d) => m.vectorNorm(x, 1, d)),
  ...lines('var', (x, d) => m.var(x, d, { correction: 0 })),
  ...lines('std', (x, d) => m.std(risen(x, d), d, { correction: 0 })),
  ...lines('varMean', (x, d) => m.varMean(x, d, { correction: 0 })),
  ...lines('stdMean', (x, d) => m.stdMean(risen(x, d), d, { correction: 0 })),
  of('sum of all', (n) => on([values([n])], (x) => m.sum(x)), 200_003),
  of('mean of all', (n) => on([values([n])], (x) => m.mean(x)), 200_003),
  ...lines('softmax', (x, d) => m.softmax(x, d)),
  ...lines('logSoftmax', (x, d) => m.logSoftmax(x, d)),
  ...lines('softmin', (x, d) => m.softmin(x, d)),
  ...lines('cumsum', (x, d) => m.cumsum(x, d)),
  ...lines('cumprod', (x, d) => m.cumprod(x, d), within(0.95, 1.05)),
  ...lines('cummax', (x, d) => m.cummax(x, d)),
  ...lines('cummin', (x, d) => m.cummin(x, d)),
  ...lines('sort', (x, d) => m.sort(x, { dim: d })),
  ...lines('sort downwards', (x, d) => m.sort(x, { dim: d, descending: true })),
  ...lines('argsort', (x, d) => m.argsort(x, { dim: d })),
  ...lines('topk', (x, d) => m.topk(x, Math.ceil(x.shape[d]! / 3), { dim: d })),
  ...lines('kthvalue', (x, d) => m.kthvalue(x, Math.ceil(x.shape[d]! / 3), d)),
  ...lines('median', (x, d) => m.median(x, d)),
  of(
    'searchsorted',
    (n) => on([values([n]), values([3, n], 1)], (s, x) => m.searchsorted(m.sort(s).values, x)),
    20_011,
  ),
  of('bucketize', (n) => on([values([9]), values([n], 1)], (s, x) => m.bucketize(x, m.sort(s).values)), large),
  of('bincount', (n) => on([indices([n], 9)], (x) => m.bincount(x)), large),
  of('unique', (n) => on([indices([n], 9)], (x) => m.unique(x).values), 40_009),
  ...lines('normalize', (x, d) => m.normalize(x, { dim: d })),
  ...lines('cosineSimilarity', (x, d) => m.cosineSimilarity(x, x.square().add(0.1), { dim: d })),
  of('pairwiseDistance', (n) => on([values([3, n]), values([3, n], 1)], (x, y) => m.pairwiseDistance(x, y)), 40_009),
];

const structure: Row[] = [
  shaped('flip', (x) => m.flip(x, [0, 1])),
  shaped('fliplr', m.fliplr),
  shaped('flipud', m.flipud),
  shaped('rot90', (x) => m.rot90(x)),
  shaped('roll', (x) => m.roll(x, [1, -1], [0, 1])),
  shaped('repeat', (x) => m.repeat(x, [2, 1, 2])),
  shaped('tile', (x) => m.tile(x, [2])),
  shaped('repeatInterleave', (x) => m.repeatInterleave(x, [1, 3, 2], 0)),
  shaped('tril', (x) => m.tril(x)),
  shaped('triu', (x) => m.triu(x, 1)),
  of('meshgrid', (n) => on([values([n]), values([3], 1)], (x, y) => m.meshgrid([x, y])), 40_009),
  shaped('chunk', (x) => m.chunk(x, 2, 1)),
  shaped('split', (x) => m.split(x, [1, 2])),
  shaped('tensorSplit', (x) => m.tensorSplit(x, 2, 1)),
  shaped('unbind', (x) => m.unbind(x)),
  shaped('diagonal', (x) => m.diagonal(x)),
  of('diagEmbed', (n) => on([values([2, n])], (x) => m.diagEmbed(x)), 301),
  of('diag', (n) => on([values([n])], (x) => m.diag(x)), 501),
  shaped('narrow', (x) => m.narrow(x, 0, 1, 2)),
  shaped('select', (x) => m.select(x, 0, 1)),
  shaped('slice', (x) => m.slice(x, 1, 0, x.shape[1], 3)),
  of('unfoldDim', (n) => on([values([n + 2])], (x) => m.unfoldDim(x, 0, 3, 2)), 40_009),
  shaped('index', (x) => m.index(x, { start: 1 }, null, '...')),
  of('index by a tensor', (n) => on([values([9, 4]), indices([n], 9)], (x, i) => m.index(x, i)), 40_009),
  of('index by a mask', (n) => on([values([n])], (x) => m.index(x, x.gt(0))), large),
  of(
    'indexPut',
    (n) =>
      on([values([9, 4]), indices([n], 9), values([n, 4], 1)], (x, i, v) =>
        m.indexPut(x, [i], v, { accumulate: true }),
      ),
    40_009,
  ),
  shaped('expand', (x) => m.expand(x, [2, ...x.shape])),
  shaped('broadcastTo', (x) => m.broadcastTo(x, [2, ...x.shape])),
  of('broadcastTensors', (n) => on([values([3, 1]), values([n], 1)], (x, y) => m.broadcastTensors([x, y])), 40_009),
  shaped('flatten', (x) => m.flatten(x)),
  of('unflatten', (n) => on([values([2 * n])], (x) => m.unflatten(x, 0, [2, -1])), 40_009),
  shaped('movedim', (x) => m.movedim(x, 0, 1)),
  shaped('permute', (x) => m.permute(x, [1, 0])),
  shaped('reshape', (x) => m.reshape(x, [-1, 3])),
  shaped('squeeze', (x) => m.squeeze(x.unsqueeze(0))),
  shaped('unsqueeze', (x) => m.unsqueeze(x, 1)),
  shaped('swapaxes', (x) => m.swapaxes(x, 0, 1)),
  shaped('transpose', (x) => m.transpose(x, 0, 1)),
  shaped('t', (x) => m.t(x)),
  shaped('view', (x, n) => m.view(x.contiguous(), [n * 3])),
  shaped('atleast1d', m.atleast1d),
  of('atleast2d', (n) => on([values([n])], m.atleast2d), 40_009),
  of('atleast3d', (n) => on([values([n])], m.atleast3d), 40_009),
  of('cat', (n) => on([values([3, n]), values([2, n], 1)], (x, y) => m.cat([x, y, x])), 40_009),
  of('cat of columns', (n) => on([values([3, n]), values([3, 2], 1)], (x, y) => m.cat([x, y], 1)), 40_009),
  of('stack', (n) => on([values([3, n]), values([3, n], 1)], (x, y) => m.stack([x, y], 1)), 40_009),
  of('hstack', (n) => on([values([3, n]), values([3, 2], 1)], (x, y) => m.hstack([x, y])), 40_009),
  of('vstack', (n) => on([values([3, n]), values([2, n], 1)], (x, y) => m.vstack([x, y])), 40_009),
  of('gather', (n) => on([values([3, 7]), indices([3, n], 7)], (x, i) => m.gather(x, 1, i)), 40_009),
  of('gather of rows', (n) => on([values([7, n]), indices([5, n], 7)], (x, i) => m.gather(x, 0, i)), 20_011),
  of('takeAlongDim', (n) => on([values([3, 7]), indices([3, n], 7)], (x, i) => m.takeAlongDim(x, i, 1)), 40_009),
  of('take', (n) => on([values([3, 7]), indices([n], 21)], (x, i) => m.take(x, i)), 40_009),
  of('scatter', (n) => on([values([3, n]), values([3, n], 1)], (x, s) => m.scatter(x, 1, m.argsort(s), s)), 20_011),
  of(
    'scatterAdd',
    (n) => on([values([3, 7]), indices([3, n], 7), values([3, n], 1)], (x, i, s) => m.scatterAdd(x, 1, i, s)),
    20_011,
    1e-4,
  ),
  of('indexSelect', (n) => on([values([9, 4]), indices([n], 9)], (x, i) => m.indexSelect(x, 0, i)), 40_009),
  of('indexSelect of columns', (n) => on([values([4, 9]), indices([n], 9)], (x, i) => m.indexSelect(x, 1, i)), 40_009),
  of(
    'indexAdd',
    (n) => on([values([9, 4]), indices([n], 9), values([n, 4], 1)], (x, i, s) => m.indexAdd(x, 0, i, s)),
    20_011,
    1e-4,
  ),
  of(
    'indexCopy',
    (n) => on([values([n, 4]), values([n], 1), values([n, 4], 2)], (x, o, s) => m.indexCopy(x, 0, m.argsort(o), s)),
    20_011,
  ),
  of('indexFill', (n) => on([values([n, 4]), indices([3], n)], (x, i) => m.indexFill(x, 0, i, 1.5)), 20_011),
  of('maskedFill', (n) => on([values([3, n]), values([n], 1)], (x, y) => m.maskedFill(x, y.gt(0), 2)), 40_009),
  of('maskedSelect', (n) => on([values([3, n]), values([n], 1)], (x, y) => m.maskedSelect(x, y.gt(0))), 40_009),
  of(
    'maskedScatter',
    (n) => on([values([3, n]), values([n], 1), values([3, n], 2)], (x, y, s) => m.maskedScatter(x, y.gt(0), s)),
    40_009,
  ),
  of('nonzero', (n) => on([values([3, n])], (x) => m.nonzero(x.gt(0))), 40_009),
  of('embedding', (n) => on([indices([3, n], 9), values([9, 5])], (i, w) => m.embedding(i, w)), 20_011, 1e-4),
  of('oneHot', (n) => on([indices([n], 9)], (i) => m.oneHot(i, 9)), 40_009),
];

const nothing = (name: string, make: (n: number) => Tensor): Row => of(name, (n) => on([], () => make(n)), large, null);
const generator = (): { generator: m.Generator } => ({ generator: new m.Generator(11) });

const made: Row[] = [
  nothing('arange', (n) => m.arange(0, n)),
  nothing('linspace', (n) => m.linspace(-1, 1, n)),
  nothing('eye', (n) => m.eye(Math.ceil(Math.sqrt(n)))),
  nothing('full', (n) => m.full([n], 0.3)),
  nothing('trilIndices', (n) => m.trilIndices(5, n)),
  nothing('triuIndices', (n) => m.triuIndices(5, n)),
  nothing('rand', (n) => m.rand([n], generator())),
  nothing('randn', (n) => m.randn([n], generator())),
  nothing('randint', (n) => m.randint(0, 9, [n], generator())),
  nothing('randperm', (n) => m.randperm(n, generator())),
  nothing('bernoulli', (n) => m.bernoulli(0.3, [n], generator())),
  nothing('bernoulli of probabilities', (n) => m.bernoulli(m.full([n], 0.3), generator())),
  nothing('exponential', (n) => m.exponential([n], { rate: 2, ...generator() })),
  of(
    'multinomial',
    (n) => on([values([3, n], 0, 0.1, 1)], (w) => m.multinomial(w, 9, { replacement: true, ...generator() })),
    20_011,
    null,
  ),
];

/** Every operation of the library, at sizes that vary. */
export const sweepRows: readonly Row[] = [...elementwise, ...reductions, ...structure, ...made, ...sweepLayerRows];
