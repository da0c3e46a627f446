import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import {
  AutogradError,
  DisposedError,
  DTypeError,
  IndexOutOfRangeError,
  type MyelinError,
  ShapeError,
  ValueError,
} from '../../lib/index.js';

const wrong = (value: unknown): never => value as never;
const x = m.ones([2, 3]);
const ints = m.ones([2, 3], { dtype: 'int32' });
const gone = m.ones([2, 3]);
gone.dispose();

type Row = [what: string, call: () => unknown, type: new (...args: never[]) => MyelinError, message: RegExp];

const rows: Row[] = [
  // Not a tensor, or not any more.
  [
    'add of a string',
    () => m.add(x, wrong('1')),
    ValueError,
    /^add: expected the second operand to be a Tensor or a number, got "1"/,
  ],
  ['add of two numbers', () => m.add(1, 2), ValueError, /^add: expected at least one Tensor/],
  ['exp of null', () => m.exp(wrong(null)), ValueError, /^exp: expected input to be a Tensor, got null/],
  ['exp of a plain object', () => m.exp(wrong(structuredClone({ shape: [1] }))), ValueError, /got an object/],
  ['matmul of an array', () => m.matmul(x, wrong([1])), ValueError, /^matmul: expected b to be a Tensor, got \[1\]/],
  [
    'use of what was disposed',
    () => gone.add(1),
    DisposedError,
    /^add: the first operand, a tensor of shape \[2, 3\], was disposed/,
  ],
  ['a view of what was disposed', () => gone.t(), DisposedError, /^t: /],
  ['reading what was disposed', () => gone.dataSync(), DisposedError, /^dataSync: /],
  ['writing to what was disposed', () => gone.fill_(1), DisposedError, /^fill_: /],
  ['detach of what was disposed', () => gone.detach(), DisposedError, /^detach: /],
  // Shapes.
  [
    'add of shapes that do not broadcast',
    () => x.add(m.ones([2, 4])),
    ShapeError,
    /^add: expected shapes that broadcast, got \[2, 3\] and \[2, 4\]/,
  ],
  ['where of shapes that do not broadcast', () => m.where(m.ones([5]).gt(0), x, 0), ShapeError, /^where: /],
  ['matmul of inner sizes that differ', () => x.matmul(x), ShapeError, /^matmul: .* got \[2, 3\] and \[2, 3\]/],
  ['matmul of batches that differ', () => m.ones([2, 2, 3]).matmul(m.ones([3, 3, 2])), ShapeError, /^matmul: /],
  ['matmul of a scalar', () => m.matmul(m.tensor(1), x), ShapeError, /at least 1 dimension/],
  [
    'linear of the wrong width',
    () => m.linear(m.ones([64, 100]), m.ones([10, 784])),
    ShapeError,
    /^linear: expected input of shape \[\.\.\., 784\], got \[64, 100\]/,
  ],
  [
    'linear of a flat weight',
    () => m.linear(x, m.ones([3])),
    ShapeError,
    /^linear: expected weight of shape \[out, in\], got \[3\]/,
  ],
  [
    'linear of a wrong bias',
    () => m.linear(x, m.ones([4, 3]), m.ones([3])),
    ShapeError,
    /^linear: expected bias of shape \[4\], got \[3\]/,
  ],
  ['reshape to another size', () => x.reshape([4]), ShapeError, /^reshape: expected a shape for 6 elements, got \[4\]/],
  ['reshape with two -1', () => x.reshape([-1, -1]), ShapeError, /^reshape: /],
  ['reshape by a number', () => x.reshape(wrong(6)), ValueError, /^reshape: expected shape to be an array/],
  ['view that needs a copy', () => x.t().view([6]), ShapeError, /use reshape/],
  ['expand of a size that is not 1', () => x.expand([4, 3]), ShapeError, /^expand: /],
  ['permute with too few dims', () => x.permute([0]), ShapeError, /^permute: expected 2 dims, got \[0\]/],
  ['permute with one twice', () => x.permute([0, 0]), ShapeError, /^permute: expected distinct dims/],
  ['t of three dimensions', () => m.ones([1, 2, 3]).t(), ShapeError, /^t: /],
  ['flatten backwards', () => x.flatten(1, 0), ShapeError, /^flatten: /],
  ['cat of nothing', () => m.cat([]), ValueError, /^cat: expected an array of at least one Tensor/],
  [
    'cat of widths that differ',
    () => m.cat([x, m.ones([2, 4])]),
    ShapeError,
    /^cat: expected tensors\[1\] of shape \[any, 3\], got \[2, 4\]/,
  ],
  ['cat of scalars', () => m.cat([m.tensor(1)]), ShapeError, /stack/],
  [
    'stack of shapes that differ',
    () => m.stack([x, m.ones([3, 2])]),
    ShapeError,
    /^stack: expected tensors\[1\] of shape \[2, 3\], got \[3, 2\]/,
  ],
  [
    'mseLoss of shapes that differ',
    () => m.mseLoss(x, m.ones([3, 2])),
    ShapeError,
    /^mseLoss: expected target of shape \[2, 3\]/,
  ],
  [
    'crossEntropy of a wrong target',
    () => m.crossEntropy(x, m.zeros([3], { dtype: 'int32' })),
    ShapeError,
    /^crossEntropy: expected target of shape \[2\] for logits of shape \[2, 3\], got \[3\]/,
  ],
  [
    'crossEntropy of a wrong weight',
    () => m.crossEntropy(x, m.zeros([2], { dtype: 'int32' }), { weight: m.ones([2]) }),
    ShapeError,
    /^crossEntropy: expected weight of shape \[3\], got \[2\]/,
  ],
  ['amax of nothing', () => m.zeros([0, 3]).amax(0), ShapeError, /^amax: expected at least one element/],
  ['argmax of nothing', () => m.zeros([0]).argmax(), ShapeError, /^argmax: /],
  ['item of many', () => x.itemSync(), ShapeError, /^itemSync: expected one element, got shape \[2, 3\]/],
  ['copy_ of a shape that does not fit', () => m.zeros([2]).copy_(x), ShapeError, /^copy_: /],
  ['add_ that would grow', () => m.zeros([1, 3]).add_(x), ShapeError, /^add_: /],
  [
    'embedding of a flat table',
    () => m.embedding(m.zeros([2], { dtype: 'int32' }), m.ones([3])),
    ShapeError,
    /^embedding: expected weight of shape \[V, D\]/,
  ],
  ['indexSelect by a matrix', () => x.indexSelect(0, ints), ShapeError, /^indexSelect: expected index of shape \[n\]/],
  [
    'prelu of a wrong weight',
    () => m.prelu(x, m.ones([2])),
    ShapeError,
    /^prelu: expected weight of shape \[1\] or \[3\], got \[2\]/,
  ],
  ['glu of an odd size', () => m.glu(x), ShapeError, /^glu: expected an even size along dim -1, got \[2, 3\]/],
  ['maxout of a size that does not divide', () => m.maxout(x, 2), ShapeError, /^maxout: expected a multiple of 2/],
  ['mm of a stack', () => m.ones([1, 2, 3]).mm(x), ShapeError, /^mm: expected a of 2 dimensions, got \[1, 2, 3\]/],
  ['bmm of batches that differ', () => m.bmm(m.ones([2, 2, 3]), m.ones([3, 3, 2])), ShapeError, /^bmm: /],
  ['dot of lengths that differ', () => m.dot(m.ones([2]), m.ones([3])), ShapeError, /^dot: .* got \[2\] and \[3\]/],
  [
    'addmm of an input that is too large',
    () => m.addmm(m.ones([1, 2, 2]), x, x.t()),
    ShapeError,
    /^addmm: expected input/,
  ],
  [
    'bilinear of a wrong width',
    () => m.bilinear(x, x, m.ones([4, 2, 3])),
    ShapeError,
    /^bilinear: expected a of shape \[\.\.\., 2\], got \[2, 3\]/,
  ],
  ['lerp of shapes that do not broadcast', () => m.lerp(x, m.ones([2]), 0.5), ShapeError, /^lerp: /],
  ['addcmul of shapes that do not broadcast', () => m.addcmul(x, x, m.ones([2])), ShapeError, /^addcmul: /],
  // Dims, indices and numbers.
  ['sum over a dim that is not there', () => x.sum(2), IndexOutOfRangeError, /^sum: expected dim in \[-2, 1\], got 2/],
  ['sum over one dim twice', () => x.sum([0, -2]), ShapeError, /^sum: expected distinct dims/],
  ['softmax over a fraction', () => x.softmax(0.5), ValueError, /^softmax: expected dim to be an integer, got 0.5/],
  ['transpose of NaN', () => x.transpose(NaN, 0), ValueError, /^transpose: expected dim to be an integer, got NaN/],
  ['select outside', () => x.select(0, 2), ValueError, /^select: expected index to be an integer in \[-2, 1\], got 2/],
  [
    'slice with step 0',
    () => x.slice(0, 0, 2, 0),
    ValueError,
    /^slice: expected step to be an integer of at least 1, got 0/,
  ],
  ['slice of a scalar', () => m.tensor(1).slice(0), ShapeError, /^slice: /],
  [
    'narrow too long',
    () => x.narrow(0, 1, 2),
    ValueError,
    /^narrow: expected length to be an integer in \[0, 1\], got 2/,
  ],
  [
    'zeros of a negative size',
    () => m.zeros([-1]),
    ShapeError,
    /^zeros: expected shape to hold non-negative integers, got \[-1\]/,
  ],
  ['zeros of NaN', () => m.zeros([NaN]), ShapeError, /got \[NaN\]/],
  ['zeros of a fraction', () => m.zeros([1.5]), ShapeError, /got \[1.5\]/],
  ['zeros of nothing', () => m.zeros(wrong(undefined)), ValueError, /^zeros: expected shape to be an array/],
  ['zeros of nine dimensions', () => m.zeros([1, 1, 1, 1, 1, 1, 1, 1, 1]), ShapeError, /at most 8 dimensions, got 9/],
  ['zeros of too many', () => m.zeros([2 ** 30, 2 ** 30]), ShapeError, /too many elements/],
  ['arange without a step', () => m.arange(0, 5, 0), ValueError, /^arange: expected step other than 0/],
  ['arange to infinity', () => m.arange(Infinity), ValueError, /^arange: /],
  ['eye of -1', () => m.eye(-1), ValueError, /^eye: expected n to be an integer of at least 0, got -1/],
  ['randint of an empty range', () => m.randint(3, 3, [1]), ValueError, /^randint: expected high/],
  ['randperm of -1', () => m.randperm(-1), ValueError, /^randperm: /],
  [
    'dropout of p 2',
    () => m.dropout(x, { p: 2 }),
    ValueError,
    /^dropout: expected p to be a number in \[0, 1\], got 2/,
  ],
  [
    'rand from no generator',
    () => m.rand([1], { generator: wrong({}) }),
    ValueError,
    /^rand: expected generator to be a Generator, got an object/,
  ],
  ['manualSeed of a fraction', () => m.manualSeed(0.5), ValueError, /^manualSeed: /],
  ['setState of nothing', () => new m.Generator(0).setState(wrong(undefined)), ValueError, /^setState: /],
  ['clamp by a string', () => x.clamp(wrong('0')), ValueError, /^clamp: expected min/],
  ['oneHot of no classes', () => m.oneHot(ints, 0), ValueError, /^oneHot: /],
  [
    'crossEntropy with a wrong reduction',
    () => m.crossEntropy(x, m.zeros([2], { dtype: 'int32' }), { reduction: wrong('avg') }),
    ValueError,
    /one of none, mean, sum, got "avg"/,
  ],
  [
    'crossEntropy with smoothing 2',
    () => m.crossEntropy(x, m.zeros([2], { dtype: 'int32' }), { labelSmoothing: 2 }),
    ValueError,
    /labelSmoothing/,
  ],
  ['clamp without bounds', () => x.clamp(), ValueError, /^clamp: expected min, max or both/],
  [
    'div by a rounding that is none',
    () => x.div(2, { roundingMode: wrong('up') }),
    ValueError,
    /^div: expected roundingMode/,
  ],
  ['celu of alpha 0', () => m.celu(x, 0), ValueError, /^celu: expected alpha other than 0/],
  ['softshrink by less than 0', () => m.softshrink(x, -1), ValueError, /^softshrink: expected lambda/],
  ['isclose by a negative tolerance', () => x.isclose(x, { atol: -1 }), ValueError, /^isclose: expected atol/],
  ['pow of integers to a negative number', () => ints.pow(-1), ValueError, /^pow: expected an exponent of at least 0/],
  ['round to half a decimal', () => x.round({ decimals: 0.5 }), ValueError, /^round: expected decimals/],
  // Dtypes.
  [
    'add of integers with a fraction of alpha',
    () => ints.add(ints, { alpha: 0.5 }),
    DTypeError,
    /^add: expected a whole alpha/,
  ],
  ['bitwiseAnd of floats', () => x.bitwiseAnd(1), DTypeError, /^bitwiseAnd: /],
  ['floor of booleans', () => m.tensor([true]).floor(), DTypeError, /^floor: /],
  ['lerp of integers', () => m.lerp(ints, ints, 0.5), DTypeError, /^lerp: expected start of dtype float32/],
  [
    'a dtype that is none',
    () => m.zeros([1], { dtype: wrong('float16') }),
    DTypeError,
    /^zeros: expected dtype to be one of float32, float64, int32, uint8, bool, got "float16"/,
  ],
  ['a dtype from the prototype', () => x.to(wrong('constructor')), DTypeError, /^to: /],
  [
    'matmul of two dtypes',
    () => x.matmul(m.ones([3, 2], { dtype: 'float64' })),
    DTypeError,
    /^matmul: expected a and b of one dtype, got float32 and float64/,
  ],
  [
    'matmul of integers',
    () => ints.matmul(ints.t()),
    DTypeError,
    /^matmul: expected a of dtype float32 or float64, got int32/,
  ],
  ['sub of booleans', () => m.tensor([true]).sub(m.tensor([false])), DTypeError, /^sub: /],
  [
    'where of a float condition',
    () => m.where(x, x, x),
    DTypeError,
    /^where: expected condition of dtype bool, got float32/,
  ],
  [
    'indexSelect by floats',
    () => x.indexSelect(0, m.ones([1])),
    DTypeError,
    /^indexSelect: expected index of dtype int32, got float32/,
  ],
  [
    'crossEntropy to probabilities of another shape',
    () => m.crossEntropy(x, m.zeros([2])),
    ShapeError,
    /^crossEntropy: expected target of prob/,
  ],
  ['randn of integers', () => m.randn([1], { dtype: 'int32' }), DTypeError, /^randn: /],
  ['a gradient for integers', () => (ints.requiresGrad = true), DTypeError, /^requiresGrad: /],
  [
    'integers that require a gradient',
    () => m.zeros([1], { dtype: 'int32', requiresGrad: true }),
    DTypeError,
    /^zeros: /,
  ],
  ['add_ of floats to integers', () => ints.clone().add_(x), DTypeError, /^add_: /],
  ['div_ of integers', () => ints.clone().div_(2), DTypeError, /^div_: /],
  [
    'uint8 plus 300',
    () => m.ones([1], { dtype: 'uint8' }).add(300),
    ValueError,
    /^add: expected a number that fits uint8, got 300/,
  ],
  // Making tensors.
  ['ragged arrays', () => m.tensor([[1, 2], [3]]), ShapeError, /^tensor: expected nested arrays of equal lengths/],
  [
    'numbers and booleans',
    () => m.tensor([1, true]),
    ValueError,
    /^tensor: expected numbers, or booleans, but not both/,
  ],
  ['strings', () => m.tensor(wrong(['1'])), ValueError, /^tensor: /],
  [
    'int32 beyond its range',
    () => m.tensor([2 ** 31], { dtype: 'int32' }),
    ValueError,
    /^tensor: expected numbers that fit int32, got 2147483648/,
  ],
  ['uint8 from NaN', () => m.tensor([NaN], { dtype: 'uint8' }), ValueError, /got NaN/],
  [
    'a typed array of another length',
    () => m.fromTypedArray(new Float32Array(5), [2, 3]),
    ShapeError,
    /^fromTypedArray: expected 6 elements for shape \[2, 3\], got 5/,
  ],
  ['an array that is not typed', () => m.fromTypedArray(wrong([1]), [1]), ValueError, /^fromTypedArray: /],
  ['a BigInt64Array', () => m.fromTypedArray(wrong(new BigInt64Array(1)), [1]), ValueError, /got a BigInt64Array/],
  // Convolutions.
  [
    'conv2d of a matrix',
    () => m.conv2d(x, m.ones([1, 1, 3, 3])),
    ShapeError,
    /^conv2d: expected input of shape \[N, 1, H, W\] or \[1, H, W\], got \[2, 3\]/,
  ],
  [
    'conv2d of other channels',
    () => m.conv2d(m.ones([1, 4, 5, 5]), m.ones([6, 3, 3, 3])),
    ShapeError,
    /^conv2d: expected input of shape \[N, 3, H, W\] or \[3, H, W\], got \[1, 4, 5, 5\]/,
  ],
  [
    'conv2d with a flat weight',
    () => m.conv2d(m.ones([1, 4, 5, 5]), m.ones([4, 4])),
    ShapeError,
    /^conv2d: expected weight of shape \[out, in \/ groups, KH, KW\], got \[4, 4\]/,
  ],
  [
    'conv1d with a window of nothing',
    () => m.conv1d(m.ones([1, 4, 5]), m.ones([4, 4, 0])),
    ShapeError,
    /^conv1d: expected weight with a window of at least 1, got \[4, 4, 0\]/,
  ],
  [
    'conv1d with a wrong bias',
    () => m.conv1d(m.ones([1, 4, 5]), m.ones([2, 4, 3]), m.ones([4])),
    ShapeError,
    /^conv1d: expected bias of shape \[2\], got \[4\]/,
  ],
  [
    'conv2d in groups that do not divide',
    () => m.conv2d(m.ones([1, 4, 5, 5]), m.ones([3, 2, 3, 3]), null, { groups: 2 }),
    ShapeError,
    /^conv2d: expected out channels in 2 groups, got weight of shape \[3, 2, 3, 3\]/,
  ],
  [
    'conv2d of an input smaller than the window',
    () => m.conv2d(m.ones([1, 1, 3, 3]), m.ones([1, 1, 5, 5])),
    ShapeError,
    /^conv2d: expected a padded input of at least \[5, 5\], the kernel's extent, got \[3, 3\]/,
  ],
  [
    'conv2d with three strides',
    () => m.conv2d(m.ones([1, 1, 3, 3]), m.ones([1, 1, 1, 1]), null, { stride: [1, 1, 1] }),
    ValueError,
    /^conv2d: expected stride to be a number or 2 numbers, got \[1, 1, 1\]/,
  ],
  [
    'conv2d with a stride of 0',
    () => m.conv2d(m.ones([1, 1, 3, 3]), m.ones([1, 1, 1, 1]), null, { stride: 0 }),
    ValueError,
    /^conv2d: expected stride to be an integer in \[1, 2147483647\], got 0/,
  ],
  [
    "conv2d with padding 'same' and a stride",
    () => m.conv2d(m.ones([1, 1, 3, 3]), m.ones([1, 1, 1, 1]), null, { stride: 2, padding: 'same' }),
    ValueError,
    /^conv2d: expected stride 1 with padding 'same', got 2/,
  ],
  [
    'conv2d with a wrong padding',
    () => m.conv2d(m.ones([1, 1, 3, 3]), m.ones([1, 1, 1, 1]), null, { padding: wrong('full') }),
    ValueError,
    /^conv2d: expected padding to be one of valid, same, got "full"/,
  ],
  [
    'conv2d with a wrong activation',
    () => m.conv2d(m.ones([1, 1, 3, 3]), m.ones([1, 1, 1, 1]), null, { activation: wrong('swish') }),
    ValueError,
    /^conv2d: expected activation to be one of none, relu, /,
  ],
  [
    'convTranspose1d with too much outputPadding',
    () => m.convTranspose1d(m.ones([1, 1, 3]), m.ones([1, 1, 2]), null, { stride: 2, outputPadding: 2 }),
    ValueError,
    /^convTranspose1d: expected outputPadding less than stride or dilation, got 2/,
  ],
  [
    'convTranspose2d padded away',
    () => m.convTranspose2d(m.ones([1, 1, 1, 1]), m.ones([1, 1, 2, 2]), null, { padding: 1 }),
    ShapeError,
    /^convTranspose2d: expected an output of at least 1, got \[0, 0\]/,
  ],
  [
    'conv2d of integers',
    () => m.conv2d(m.ones([1, 1, 3, 3], { dtype: 'int32' }), m.ones([1, 1, 1, 1])),
    DTypeError,
    /^conv2d: expected input of dtype float32 or float64, got int32/,
  ],
  [
    'conv2d of two dtypes',
    () => m.conv2d(m.ones([1, 1, 3, 3]), m.ones([1, 1, 1, 1], { dtype: 'float64' })),
    DTypeError,
    /^conv2d: expected input and weight of one dtype, got float32 and float64/,
  ],
  ['convolve1d of a matrix', () => m.convolve1d(x, m.ones([2])), ShapeError, /^convolve1d: expected input of 1 dim/],
  [
    'convolve2d, valid, with a larger kernel',
    () => m.convolve2d(x, m.ones([3, 1]), { mode: 'valid' }),
    ShapeError,
    /^convolve2d: expected a kernel inside an input of \[2, 3\] in mode 'valid', got \[3, 1\]/,
  ],
  [
    'convolutionMatrix of one size for an image',
    () => m.convolutionMatrix(x, [3]),
    ValueError,
    /^convolutionMatrix: expected shape to be 2 sizes, got \[3\]/,
  ],
  [
    'Conv2d in groups that do not divide',
    () => new m.Conv2d(4, 6, 3, { groups: 4 }),
    ValueError,
    /^Conv2d: expected inChan/,
  ],
  [
    'Conv2d of other channels',
    () => new m.Conv2d(4, 6, 3).forward(m.ones([1, 3, 5, 5])),
    ShapeError,
    /^Conv2d: expected input of shape \[N, 4, H, W\] or \[4, H, W\], got \[1, 3, 5, 5\]/,
  ],
  // Autograd and lifetimes.
  [
    'a gradient of another shape',
    () => (m.ones([2], { requiresGrad: true }).grad = m.ones([3])),
    ShapeError,
    /^grad: expected shape \[2\] of float32, got \[3\]/,
  ],
  [
    'a hook that is none',
    () => m.ones([1], { requiresGrad: true }).registerHook(wrong(1)),
    ValueError,
    /^registerHook: /,
  ],
  ['a hook where no gradient comes', () => x.registerHook(() => undefined), AutogradError, /^registerHook: /],
  [
    'requiresGrad of a result turned off',
    () => (m.ones([1], { requiresGrad: true }).mul(2).requiresGrad = false),
    AutogradError,
    /detach/,
  ],
  [
    'add_ of what needs a gradient',
    () => m.zeros([2]).add_(m.ones([2], { requiresGrad: true })),
    AutogradError,
    /^add_: /,
  ],
  ['exp_ of a leaf', () => m.ones([2], { requiresGrad: true }).exp_(), AutogradError, /^exp_: .*noGrad/],
  ['noGrad of a number', () => m.noGrad(wrong(1)), ValueError, /^noGrad: expected a function, got 1/],
  ['scope of nothing', () => m.scope(wrong(undefined)), ValueError, /^scope: /],
  ['keep of a number', () => m.keep(wrong(1)), ValueError, /^keep: /],
  ['a negative memory limit', () => m.setMemoryLimit(-1), ValueError, /^setMemoryLimit: /],
  ['no threads', () => m.setNumThreads(0), ValueError, /^setNumThreads: /],
];

describe('bad input is refused where the call stands', () => {
  it.each(rows)('%s', (_, call, type, message) => {
    let thrown: unknown;
    try {
      call();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(type);
    expect((thrown as MyelinError).message).toMatch(message);
    expect((thrown as MyelinError).code).toMatch(/^ERR_/);
  });

  it('and the library goes on', () => {
    expect(x.add(1).sum().itemSync()).toBe(12);
    expect(m.isGradEnabled()).toBe(true);
  });
});
