import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { DTypeError, IndexOutOfRangeError, ShapeError, ValueError, type Tensor } from '../../lib/index.js';
import { refuses, type Row, wrong } from './refuses.js';

// Views, joins, indexing, orders, reductions and linear algebra; the others are in errors.test.ts.
const index = (values: number[]): Tensor => m.tensor(values, { dtype: 'int32' });
const x = m.ones([2, 3]);
const ints = m.ones([2, 3], { dtype: 'int32' });
const mask = x.gt(0);
const scalar = m.tensor(1);
const vector = m.ones([3]);
const cube = m.ones([2, 2, 2]);
const deep = m.ones([1, 1, 1, 1, 1, 1, 1, 2]);
const none = m.zeros([0, 3]);

type Call = [call: () => unknown, message: string];

const named = (type: Row[2], calls: readonly Call[]): Row[] =>
  calls.map(([call, message]) => [message, call, type, message]);

const ranges: Call[] = [
  [() => m.slice(x, 2), 'slice: expected dim in [-2, 1], got 2'],
  [() => m.narrow(x, -3, 0, 1), 'narrow: expected dim in [-2, 1], got -3'],
  [() => m.select(x, 2, 0), 'select: expected dim in [-2, 1], got 2'],
  [() => m.split(x, 1, 2), 'split: expected dim in [-2, 1], got 2'],
  [() => m.chunk(x, 2, 2), 'chunk: expected dim in [-2, 1], got 2'],
  [() => m.tensorSplit(x, 2, 2), 'tensorSplit: expected dim in [-2, 1], got 2'],
  [() => m.unbind(x, 2), 'unbind: expected dim in [-2, 1], got 2'],
  [() => m.diagonal(x, 0, 0, 2), 'diagonal: expected dim in [-2, 1], got 2'],
  [() => m.diagEmbed(x, 0, 0, 3), 'diagEmbed: expected dim in [-3, 2], got 3'],
  [() => m.unfoldDim(x, 2, 1, 1), 'unfold: expected dim in [-2, 1], got 2'],
  [() => m.permute(x, [0, 2]), 'permute: expected dim in [-2, 1], got 2'],
  [() => m.transpose(x, 0, 2), 'transpose: expected dim in [-2, 1], got 2'],
  [() => m.swapaxes(x, 0, 2), 'transpose: expected dim in [-2, 1], got 2'],
  [() => m.movedim(x, 2, 0), 'movedim: expected dim in [-2, 1], got 2'],
  [() => m.squeeze(x, 2), 'squeeze: expected dim in [-2, 1], got 2'],
  [() => m.unsqueeze(x, 3), 'unsqueeze: expected dim in [-3, 2], got 3'],
  [() => m.flatten(x, 0, 2), 'flatten: expected dim in [-2, 1], got 2'],
  [() => m.unflatten(x, 2, [1]), 'unflatten: expected dim in [-2, 1], got 2'],
  [() => m.cat([x, x], 2), 'cat: expected dim in [-2, 1], got 2'],
  [() => m.stack([x, x], 3), 'stack: expected dim in [-3, 2], got 3'],
  [() => m.flip(x, 2), 'flip: expected dim in [-2, 1], got 2'],
  [() => m.fliplr(vector), 'flip: expected dim in [-1, 0], got 1'],
  [() => m.rot90(vector), 'rot90: expected dim in [-1, 0], got 1'],
  [() => m.roll(x, 1, 2), 'roll: expected dim in [-2, 1], got 2'],
  [() => m.repeatInterleave(x, 2, 2), 'repeatInterleave: expected dim in [-2, 1], got 2'],
  [() => m.gather(x, 2, ints), 'gather: expected dim in [-2, 1], got 2'],
  [() => m.takeAlongDim(x, ints, 2), 'takeAlongDim: expected dim in [-2, 1], got 2'],
  [() => m.scatter(x, 2, ints, 0), 'scatter: expected dim in [-2, 1], got 2'],
  [() => m.scatterAdd(x, 2, ints, x), 'scatterAdd: expected dim in [-2, 1], got 2'],
  [() => m.indexSelect(x, 2, index([0])), 'indexSelect: expected dim in [-2, 1], got 2'],
  [() => m.indexAdd(x, 2, index([0]), x), 'indexAdd: expected dim in [-2, 1], got 2'],
  [() => m.indexCopy(x, 2, index([0]), x), 'indexCopy: expected dim in [-2, 1], got 2'],
  [() => m.indexFill(x, 2, index([0]), 1), 'indexFill: expected dim in [-2, 1], got 2'],
  [() => m.index(x, 0, 3), 'index: expected an index in [-3, 2], got 3'],
  [() => m.indexPut(x, [2], 1), 'index: expected an index in [-2, 1], got 2'],
  [() => m.cumsum(x, 2), 'cumsum: expected dim in [-2, 1], got 2'],
  [() => m.cumprod(x, -3), 'cumprod: expected dim in [-2, 1], got -3'],
  [() => m.cummax(x, 2), 'cummax: expected dim in [-2, 1], got 2'],
  [() => m.cummin(x, 2), 'cummin: expected dim in [-2, 1], got 2'],
  [() => m.sort(x, { dim: 2 }), 'sort: expected dim in [-2, 1], got 2'],
  [() => m.argsort(x, { dim: 2 }), 'argsort: expected dim in [-2, 1], got 2'],
  [() => m.topk(x, 1, { dim: 2 }), 'topk: expected dim in [-2, 1], got 2'],
  [() => m.kthvalue(x, 1, 2), 'kthvalue: expected dim in [-2, 1], got 2'],
  [() => m.median(x, 2), 'median: expected dim in [-2, 1], got 2'],
  [() => m.mean(x, 2), 'mean: expected dim in [-2, 1], got 2'],
  [() => m.prod(x, 2), 'prod: expected dim in [-2, 1], got 2'],
  [() => m.amax(x, 2), 'amax: expected dim in [-2, 1], got 2'],
  [() => m.argmin(x, 2), 'argmin: expected dim in [-2, 1], got 2'],
  [() => m.max(x, 2), 'argmax: expected dim in [-2, 1], got 2'],
  [() => m.min(x, -3), 'argmin: expected dim in [-2, 1], got -3'],
  [() => m.any(x, 2), 'any: expected dim in [-2, 1], got 2'],
  [() => m.all(x, 2), 'all: expected dim in [-2, 1], got 2'],
  [() => m.countNonzero(x, 2), 'countNonzero: expected dim in [-2, 1], got 2'],
  [() => m.var(x, 2), 'var: expected dim in [-2, 1], got 2'],
  [() => m.varMean(x, 2), 'varMean: expected dim in [-2, 1], got 2'],
  [() => m.logsumexp(x, 2), 'logsumexp: expected dim in [-2, 1], got 2'],
  [() => m.norm(x, 2, 2), 'norm: expected dim in [-2, 1], got 2'],
  [() => m.nansum(x, 2), 'sum: expected dim in [-2, 1], got 2'],
  [() => m.nanmean(x, 2), 'sum: expected dim in [-2, 1], got 2'],
];

const shapes: Call[] = [
  [() => m.narrow(scalar, 0, 0, 1), 'narrow: expected at least 1 dimension, got a scalar'],
  [() => m.select(scalar, 0, 0), 'select: expected at least 1 dimension, got a scalar'],
  [() => m.split(x, [1, 1], 1), 'split: expected sizes that add up to 3, got [1, 1]'],
  [() => m.split(scalar, 1), 'split: expected at least 1 dimension, got a scalar'],
  [() => m.chunk(scalar, 1), 'chunk: expected at least 1 dimension, got a scalar'],
  [() => m.unbind(scalar), 'unbind: expected at least 1 dimension, got a scalar'],
  [() => m.diagonal(vector), 'diagonal: expected at least 2 dimensions, got shape [3]'],
  [() => m.diagonal(x, 0, 1, -1), 'diagonal: expected distinct dims, got 1 and -1'],
  [() => m.diagEmbed(scalar), 'diagEmbed: expected at least 1 dimension, got a scalar'],
  [() => m.diagEmbed(x, 0, 1, -2), 'diagEmbed: expected distinct dims, got 1 and -2'],
  [() => m.diagEmbed(deep), 'diagEmbed: expected at most 8 dimensions, got 9'],
  [() => m.diag(cube), 'diag: expected 1 or 2 dimensions, got shape [2, 2, 2]'],
  [() => m.diag(scalar), 'diag: expected 1 or 2 dimensions, got shape []'],
  [() => m.unfoldDim(deep, 0, 1, 1), 'unfold: expected at most 8 dimensions, got 9'],
  [() => m.movedim(x, [0, 0], [0, 1]), 'movedim: expected distinct dims, got [0, 0]'],
  [() => m.movedim(x, [0, 1], [0]), 'movedim: expected as many sources as destinations, got [0, 1] and [0]'],
  [() => m.squeeze(x, [0, 0]), 'squeeze: expected distinct dims, got [0, 0]'],
  [() => m.unsqueeze(deep, 0), 'unsqueeze: expected at most 8 dimensions, got 9'],
  [() => m.unflatten(x, 1, [2, 2]), 'unflatten: expected a shape for 3 elements, got [2, 2] for shape [2, 3]'],
  [() => m.unflatten(scalar, 0, [1]), 'unflatten: expected at least 1 dimension, got a scalar'],
  [() => m.expand(x, [3]), 'expand: expected a shape that [2, 3] broadcasts to, got [3]'],
  [() => m.broadcastTo(x, [2, 4]), 'broadcastTo: expected a shape that [2, 3] broadcasts to, got [2, 4]'],
  [() => m.broadcastTensors([x, m.ones([2])]), 'broadcastTensors: expected shapes that broadcast, got [2, 3] and [2]'],
  [() => m.cat([x, vector]), 'cat: expected tensors[1] of shape [any, 3], got [3]'],
  [() => m.stack([deep, deep]), 'stack: expected at most 8 dimensions, got 9'],
  [() => m.hstack([x, m.ones([3, 3])]), 'cat: expected tensors[1] of shape [2, any], got [3, 3]'],
  [() => m.vstack([x, m.ones([2])]), 'cat: expected tensors[1] of shape [any, 3], got [1, 2]'],
  [() => m.flip(x, [0, -2]), 'flip: expected distinct dims, got [0, -2]'],
  [() => m.rot90(x, 1, [0, 0]), 'rot90: expected distinct dims, got [0, 0]'],
  [() => m.roll(x, [1, 2], [0]), 'roll: expected as many shifts as dims, got [1, 2] and [0]'],
  [() => m.roll(x, [1, 2]), 'roll: expected one shift without dims, got [1, 2]'],
  [() => m.repeat(x, [2]), 'repeat: expected at least 2 repeats for shape [2, 3], got [2]'],
  [() => m.repeat(x, [1, 1, 1, 1, 1, 1, 1, 1, 1]), 'repeat: expected at most 8 repeats, got 9'],
  [() => m.repeatInterleave(x, [1, 2, 3], 0), 'repeatInterleave: expected 2 repeats, got 3'],
  [() => m.meshgrid([x, x]), 'meshgrid: expected tensors[0] of shape [n], got [2, 3]'],
  [() => m.tril(vector), 'tril: expected at least 2 dimensions, got shape [3]'],
  [() => m.triu(vector), 'triu: expected at least 2 dimensions, got shape [3]'],
  [() => m.unflatten(deep, 7, [1, 2]), 'unflatten: expected at most 8 dimensions, got 9'],
  [
    () => m.oneHot(m.ones([1, 1, 1, 1, 1, 1, 1, 2], { dtype: 'int32' }), 2),
    'oneHot: expected at most 8 dimensions, got 9',
  ],
  [
    () => m.gather(x, 0, index([0])),
    'gather: expected index of shape [any, at most 3] for input of shape [2, 3], got [1]',
  ],
  [
    () => m.gather(x, 0, m.zeros([1, 4], { dtype: 'int32' })),
    'gather: expected index of shape [any, at most 3] for input of shape [2, 3], got [1, 4]',
  ],
  [() => m.takeAlongDim(x, index([0]), 0), 'takeAlongDim: expected index of 2 dimensions, got shape [1]'],
  [
    () => m.takeAlongDim(x, m.zeros([1, 2], { dtype: 'int32' }), 0),
    'takeAlongDim: expected shapes that broadcast, got [1, 3] and [1, 2]',
  ],
  [
    () => m.scatter(x, 0, index([0]), 0),
    'scatter: expected index of shape [any, at most 3] for input of shape [2, 3], got [1]',
  ],
  [
    () => m.scatter(x, 0, ints, m.ones([1, 3])),
    'scatter: expected src at least as large as index of shape [2, 3], got [1, 3]',
  ],
  [() => m.indexAdd(x, 0, ints, x), 'indexAdd: expected index of shape [n], got [2, 3]'],
  [() => m.indexAdd(x, 0, index([0]), x), 'indexAdd: expected source of shape [1, 3], got [2, 3]'],
  [() => m.indexCopy(x, 1, index([0]), x), 'indexCopy: expected source of shape [2, 1], got [2, 3]'],
  [() => m.maskedSelect(x, m.ones([2]).gt(0)), 'maskedSelect: expected shapes that broadcast, got [2, 3] and [2]'],
  [() => m.maskedFill(x, m.ones([2]).gt(0), 0), 'where: expected shapes that broadcast, got [2] and [2, 3]'],
  [() => m.maskedFill(x, mask, vector), 'maskedFill: expected value to be a number or a scalar, got shape [3]'],
  [() => m.maskedScatter(x, mask, vector), 'maskedScatter: expected source of at least 6 elements, got [3]'],
  [() => m.maskedScatter(x, m.ones([2]).gt(0), x), 'maskedScatter: expected shapes that broadcast, got [2, 3] and [2]'],
  [() => m.index(x, 0, 0, 0), 'index: expected at most 2 subscripts for shape [2, 3], got 3'],
  [() => m.index(x, vector.gt(0)), 'index: expected a mask of shape [2], got [3]'],
  [() => m.index(x, index([0, 1]), index([0, 1, 2])), 'index: expected shapes that broadcast, got [2] and [3]'],
  [() => m.indexPut(x, [0], m.ones([2])), 'expand: expected a shape that [2] broadcasts to, got [3]'],
  [() => m.indexPut(x, [0, 0, 0], 1), 'index: expected at most 2 subscripts for shape [2, 3], got 3'],
  [() => m.topk(scalar, 0), 'topk: expected k to be 1 for a scalar, got 0'],
  [() => m.median(none, 0), 'median: expected at least one element, got shape [0, 3]'],
  [() => m.median(none), 'median: expected at least one element, got shape [0]'],
  [
    () => m.searchsorted(m.ones([3, 3]), x),
    "searchsorted: expected a sorted sequence of shape [n] or of input's shape but for the last dimension, got [3, 3] for input of shape [2, 3]",
  ],
  [
    () => m.searchsorted(scalar, x),
    "searchsorted: expected a sorted sequence of shape [n] or of input's shape but for the last dimension, got [] for input of shape [2, 3]",
  ],
  [() => m.bucketize(x, x), 'bucketize: expected boundaries of shape [n], got [2, 3]'],
  [() => m.bincount(ints), 'bincount: expected input of shape [n], got [2, 3]'],
  [() => m.bincount(index([1]), { weights: m.ones([2]) }), 'bincount: expected weights of shape [1], got [2]'],
  [() => m.multinomial(cube, 1), 'multinomial: expected weights of shape [C] or [N, C], got [2, 2, 2]'],
  [
    () => m.multinomial(m.ones([2, 0]), 1, { replacement: true }),
    'multinomial: expected at least one class, got weights of shape [2, 0]',
  ],
  [() => m.prod(x, [0, 0]), 'prod: expected distinct dims, got [0, 0]'],
  [() => m.amin(none), 'amin: expected at least one element to reduce, got shape [0, 3]'],
  [() => m.argmin(none, 0), 'argmin: expected at least one element to choose from, got shape [0, 3]'],
  [() => m.max(none), 'amax: expected at least one element to reduce, got shape [0, 3]'],
  [() => m.max(none, 0), 'argmax: expected at least one element to choose from, got shape [0, 3]'],
  [() => m.max(x, m.ones([2])), 'maximum: expected shapes that broadcast, got [2, 3] and [2]'],
  [() => m.min(none), 'amin: expected at least one element to reduce, got shape [0, 3]'],
  [() => m.std(x, [1, -1]), 'std: expected distinct dims, got [1, -1]'],
  [() => m.norm(x, 'nuc', 0), "norm: expected two dimensions for 'nuc', got 0"],
  [() => m.norm(none, Infinity), 'norm: expected at least one element for order Infinity, got shape [0, 3]'],
  [() => m.vectorNorm(none, -1, 0), 'vectorNorm: expected at least one element for order -1, got shape [0, 3]'],
  [() => m.svd(vector), 'svd: expected at least 2 dimensions, got shape [3]'],
  [() => m.svdvals(vector), 'svd: expected at least 2 dimensions, got shape [3]'],
  [() => m.eigh(x), 'eigh: expected square matrices, got shape [2, 3]'],
  [() => m.eigvalsh(x), 'eigh: expected square matrices, got shape [2, 3]'],
  [() => m.solve(x, vector), 'solve: expected square matrices, got shape [2, 3]'],
  [() => m.solve(m.eye(3), m.ones([2, 1])), 'solve: expected b of shape [..., 3, k], got [2, 1]'],
  [() => m.solve(m.ones([2, 3, 3]), m.ones([3, 3, 1])), 'solve: expected shapes that broadcast, got [2] and [3]'],
  [() => m.solve(m.eye(1), scalar), 'solve: expected b of shape [..., 1, k], got []'],
  [() => m.inverse(x), 'inverse: expected square matrices, got shape [2, 3]'],
  [() => m.inverse(vector), 'inverse: expected at least 2 dimensions, got shape [3]'],
  [() => m.det(x), 'det: expected square matrices, got shape [2, 3]'],
  [() => m.trace(vector), 'trace: expected a matrix, got shape [3]'],
  [() => m.einsum('i', x), 'einsum: expected a shape with the dimensions "i", got [2, 3]'],
  [() => m.einsum('ij,jk', x, x), 'einsum: expected equal sizes of j in "ij,jk", got 3 and 2'],
  [() => m.einsum('ii', x), 'einsum: expected equal sizes of i, got [2, 3]'],
];

const values: Call[] = [
  [() => m.slice(x, 0, 0.5), 'slice: expected start to be an integer, got 0.5'],
  [() => m.slice(wrong(1), 0), 'slice: expected input to be a Tensor, got 1'],
  [() => m.narrow(x, 0, 3, 0), 'narrow: expected start to be an integer in [-2, 2], got 3'],
  [() => m.split(x, 0), 'split: expected the size to be an integer of at least 1, got 0'],
  [() => m.split(x, [4, -1], 1), 'split: expected sizes[1] to be an integer of at least 0, got -1'],
  [() => m.split(x, wrong('2')), 'split: expected a size or an array of sizes, got "2"'],
  [() => m.chunk(x, 0), 'chunk: expected chunks to be an integer of at least 1, got 0'],
  [() => m.tensorSplit(x, 0), 'tensorSplit: expected sections to be an integer of at least 1, got 0'],
  [() => m.tensorSplit(x, [0.5]), 'tensorSplit: expected indices[0] to be an integer, got 0.5'],
  [() => m.tensorSplit(x, wrong('2')), 'tensorSplit: expected a number or an array, got "2"'],
  [() => m.diagonal(x, 0.5), 'diagonal: expected offset to be an integer, got 0.5'],
  [() => m.unfoldDim(x, 1, 4, 1), 'unfold: expected size to be an integer in [0, 3], got 4'],
  [() => m.unfoldDim(x, 1, 2, 0), 'unfold: expected step to be an integer of at least 1, got 0'],
  [() => m.movedim(x, wrong(null), 0), 'movedim: expected dims to be an integer or an array of them, got null'],
  [() => m.unflatten(x, 1, wrong(3)), 'unflatten: expected shape to be an array of sizes, got 3'],
  [() => m.expand(x, wrong(3)), 'expand: expected shape to be an array of sizes, got 3'],
  [() => m.broadcastTensors(wrong(x)), 'broadcastTensors: expected an array of Tensors, got a Tensor'],
  [() => m.atleast1d(wrong(1)), 'atleast1d: expected input to be a Tensor, got 1'],
  [() => m.atleast2d(wrong(1)), 'atleast2d: expected input to be a Tensor, got 1'],
  [() => m.atleast3d(wrong(1)), 'atleast3d: expected input to be a Tensor, got 1'],
  [() => m.cat([x, wrong(1)]), 'cat: expected tensors[1] to be a Tensor, got 1'],
  [() => m.stack([]), 'stack: expected an array of at least one Tensor, got []'],
  [() => m.hstack([]), 'hstack: expected an array of at least one Tensor, got []'],
  [() => m.vstack([]), 'vstack: expected an array of at least one Tensor, got []'],
  [() => m.flip(x, wrong(undefined)), 'flip: expected dims, got undefined'],
  [() => m.flipud(wrong(1)), 'flip: expected input to be a Tensor, got 1'],
  [() => m.rot90(x, 1, wrong([0])), 'rot90: expected two dims, got [0]'],
  [() => m.rot90(x, 0.5), 'rot90: expected k to be an integer, got 0.5'],
  [() => m.roll(x, 0.5), 'roll: expected shift to be an integer, got 0.5'],
  [() => m.roll(x, wrong(undefined)), 'roll: expected shifts to be an integer or an array of them, got undefined'],
  [() => m.roll(x, 1, wrong({})), 'roll: expected dims to be an integer or an array of them, got an object'],
  [() => m.repeat(x, [1, -1]), 'repeat: expected repeats[1] to be an integer of at least 0, got -1'],
  [() => m.repeat(x, wrong(2)), 'repeat: expected repeats to be an array, got 2'],
  [() => m.tile(x, wrong(2)), 'tile: expected repeats to be an array, got 2'],
  [() => m.tile(x, [-1]), 'tile: expected repeats[0] to be an integer of at least 0, got -1'],
  [() => m.repeatInterleave(x, -1), 'repeatInterleave: expected repeats to be an integer of at least 0, got -1'],
  [() => m.meshgrid([]), 'meshgrid: expected an array of at least one Tensor, got []'],
  [() => m.meshgrid([vector, vector], wrong('yx')), 'meshgrid: expected indexing to be one of ij, xy, got "yx"'],
  [() => m.tril(x, 0.5), 'tril: expected diagonal to be an integer in [-1099511627776, 1099511627776], got 0.5'],
  [() => m.triu(wrong(1)), 'triu: expected input to be a Tensor, got 1'],
  [() => m.trilIndices(-1, 2), 'trilIndices: expected rows to be an integer of at least 0, got -1'],
  [() => m.triuIndices(2, 0.5), 'triuIndices: expected columns to be an integer of at least 0, got 0.5'],
  [() => m.indexAdd(x, 0, index([0]), wrong(1)), 'indexAdd: expected source to be a Tensor, got 1'],
  [() => m.gather(x, 0, wrong([0])), 'gather: expected index to be a Tensor, got [0]'],
  [() => m.take(wrong(1), ints), 'take: expected input to be a Tensor, got 1'],
  [() => m.scatter(x, 0, ints, wrong('1')), 'scatter: expected src to be a Tensor, got "1"'],
  [() => m.indexCopy(x, 0, index([0]), wrong(1)), 'indexCopy: expected source to be a Tensor, got 1'],
  [() => m.indexFill(x, 0, index([0]), wrong(scalar)), 'indexFill: expected value to be a number, got a Tensor'],
  [() => m.nonzero(wrong(1)), 'nonzero: expected input to be a Tensor, got 1'],
  [() => m.index(x, '...', '...'), "index: expected at most one '...', got 2"],
  [
    () => m.index(x, wrong('0')),
    'index: expected subscript 0 to be an integer, a range, null, \'...\' or a Tensor, got "0"',
  ],
  [
    () => m.index(x, wrong([0])),
    "index: expected subscript 0 to be an integer, a range, null, '...' or a Tensor, got [0]",
  ],
  [() => m.index(x, 0.5), 'index: expected an index to be an integer, got 0.5'],
  [() => m.index(x, { step: 0 }), 'slice: expected step to be an integer of at least 1, got 0'],
  [() => m.index(wrong(1), 0), 'index: expected input to be a Tensor, got 1'],
  [() => m.indexPut(x, wrong(0), 1), 'indexPut: expected an array of subscripts, got 0'],
  [() => m.indexPut(x, [0], wrong('1')), 'indexPut: expected value to be a Tensor, got "1"'],
  [() => m.cumsum(wrong(1), 0), 'cumsum: expected input to be a Tensor, got 1'],
  [() => m.cumsum(x, wrong(undefined)), 'cumsum: expected dim to be an integer, got undefined'],
  [() => m.cummin(wrong(1), 0), 'cummin: expected input to be a Tensor, got 1'],
  [() => m.sort(x, { descending: wrong('yes') }), 'sort: expected descending to be true or false, got "yes"'],
  [() => m.topk(x, 4), 'topk: expected k to be an integer in [0, 3], got 4'],
  [() => m.topk(x, 0.5), 'topk: expected k to be an integer in [0, 3], got 0.5'],
  [() => m.kthvalue(x, 0), 'kthvalue: expected k to be an integer in [1, 3], got 0'],
  [() => m.kthvalue(x, 3, 0), 'kthvalue: expected k to be an integer in [1, 2], got 3'],
  [
    () => m.searchsorted(vector, x, { right: wrong('yes') }),
    'searchsorted: expected right to be true or false, got "yes"',
  ],
  [() => m.searchsorted(vector, wrong(1)), 'searchsorted: expected input to be a Tensor, got 1'],
  [() => m.bincount(index([-1])), 'bincount: expected no negative numbers, got -1'],
  [
    () => m.bincount(index([1]), { minlength: -1 }),
    'bincount: expected minlength to be an integer of at least 0, got -1',
  ],
  [() => m.unique(wrong(1)), 'unique: expected input to be a Tensor, got 1'],
  [() => m.multinomial(x, 4), 'multinomial: expected count to be an integer in [1, 3], got 4'],
  [() => m.multinomial(x, 0), 'multinomial: expected count to be an integer in [1, 3], got 0'],
  [() => m.multinomial(x, 1, { generator: wrong({}) }), 'rand: expected generator to be a Generator, got an object'],
  [() => m.mean(wrong(1)), 'mean: expected input to be a Tensor, got 1'],
  [() => m.sum(x, 0, wrong(1)), 'sum: expected keepdim to be true or false, got 1'],
  [() => m.sum(x, wrong('0')), 'sum: expected dim to be an integer or an array of them, got "0"'],
  [() => m.amax(wrong(1)), 'amax: expected input to be a Tensor, got 1'],
  [() => m.argmax(x, wrong([0, 1])), 'argmax: expected dim to be an integer, got [0, 1]'],
  [() => m.max(x, wrong('1')), 'maximum: expected the second operand to be a Tensor or a number, got "1"'],
  [() => m.all(wrong(1)), 'all: expected input to be a Tensor, got 1'],
  [() => m.var(x, 0, { correction: NaN }), 'var: expected correction to be a number, got NaN'],
  [() => m.stdMean(x, 0, { keepdim: wrong(1) }), 'stdMean: expected keepdim to be true or false, got 1'],
  [() => m.logsumexp(wrong(1), 0), 'logsumexp: expected input to be a Tensor, got 1'],
  [() => m.norm(x, wrong('max')), 'norm: expected p to be a number, got "max"'],
  [() => m.norm(x, 'nuc', wrong('01')), 'norm: expected dim to be an integer or an array of them, got "01"'],
  [() => m.vectorNorm(x, NaN), 'vectorNorm: expected p to be a number, got NaN'],
  [() => m.trace(wrong(1)), 'trace: expected input to be a Tensor, got 1'],
  [() => m.einsum(wrong(1), x), 'einsum: expected an equation, got 1'],
  [() => m.einsum('ij,jk', x), 'einsum: expected 2 operands for "ij,jk", got 1'],
  [
    () => m.einsum('ij->k', x),
    "einsum: expected each subscript after '->' once and among the operands', got \"ij->k\"",
  ],
  [
    () => m.einsum('ij->ii', x),
    "einsum: expected each subscript after '->' once and among the operands', got \"ij->ii\"",
  ],
  [() => m.einsum('ij->i->j', x), 'einsum: expected at most one \'->\', got "ij->i->j"'],
  [() => m.einsum('i1', x), 'einsum: expected letters and at most one \'...\', got "i1"'],
  [() => m.einsum('ij', wrong([[1]])), 'einsum: expected operands[0] to be a Tensor, got [[1]]'],
];

const dtypes: Call[] = [
  [() => m.gather(x, 0, x), 'gather: expected index of dtype int32, got float32'],
  [() => m.takeAlongDim(x, x, 0), 'takeAlongDim: expected index of dtype int32, got float32'],
  [() => m.take(x, x), 'take: expected index of dtype int32, got float32'],
  [() => m.scatter(x, 0, x, 0), 'scatter: expected index of dtype int32, got float32'],
  [() => m.scatter(x, 0, ints, ints), 'scatter: expected input and src of one dtype, got float32 and int32'],
  [() => m.scatterAdd(mask, 0, ints, mask), 'scatterAdd: expected input of dtype float32, float64 or int32, got bool'],
  [() => m.scatterAdd(x, 0, ints, ints), 'scatterAdd: expected input and src of one dtype, got float32 and int32'],
  [() => m.indexAdd(x, 0, index([0, 1]), ints), 'indexAdd: expected input and src of one dtype, got float32 and int32'],
  [() => m.indexCopy(x, 0, vector, x), 'indexCopy: expected index of dtype int32, got float32'],
  [() => m.indexFill(x, 0, vector, 1), 'indexFill: expected index of dtype int32, got float32'],
  [() => m.maskedSelect(x, x), 'maskedSelect: expected mask of dtype bool, got float32'],
  [() => m.maskedFill(x, ints, 0), 'maskedFill: expected mask of dtype bool, got int32'],
  [
    () => m.maskedScatter(x, mask, ints),
    'maskedScatter: expected input and source of one dtype, got float32 and int32',
  ],
  [() => m.oneHot(x, 3), 'oneHot: expected index of dtype int32, got float32'],
  [() => m.embedding(x, x), 'embedding: expected index of dtype int32, got float32'],
  [() => m.index(x, vector), 'index: expected index of dtype int32, got float32'],
  [() => m.indexPut(x, [0], ints), 'indexPut: expected value of dtype float32, got int32'],
  [
    () => m.cumsum(x, 0, { dtype: wrong('float16') }),
    'cumsum: expected dtype to be one of float32, float64, int32, uint8, bool, got "float16"',
  ],
  [
    () => m.cumprod(x, 0, { dtype: wrong('float16') }),
    'cumprod: expected dtype to be one of float32, float64, int32, uint8, bool, got "float16"',
  ],
  [() => m.bincount(vector), 'bincount: expected index of dtype int32, got float32'],
  [
    () => m.bincount(index([1]), { weights: index([1]) }),
    'bincount: expected weights of dtype float32 or float64, got int32',
  ],
  [() => m.multinomial(ints, 1), 'multinomial: expected weights of dtype float32 or float64, got int32'],
  [() => m.var(ints), 'var: expected input of dtype float32 or float64, got int32'],
  [() => m.std(ints), 'std: expected input of dtype float32 or float64, got int32'],
  [() => m.varMean(ints), 'varMean: expected input of dtype float32 or float64, got int32'],
  [() => m.norm(ints), 'norm: expected input of dtype float32 or float64, got int32'],
  [() => m.vectorNorm(ints), 'vectorNorm: expected input of dtype float32 or float64, got int32'],
  [() => m.nansum(ints), 'nansum: expected input of dtype float32 or float64, got int32'],
  [() => m.nanmean(ints), 'nanmean: expected input of dtype float32 or float64, got int32'],
  [() => m.svd(ints), 'svd: expected input of dtype float32 or float64, got int32'],
  [() => m.eigh(ints), 'eigh: expected input of dtype float32 or float64, got int32'],
  [
    () => m.solve(m.eye(3), m.ones([3], { dtype: 'float64' })),
    'solve: expected a and b of one dtype, got float32 and float64',
  ],
  [() => m.det(m.eye(2, 2, { dtype: 'int32' })), 'det: expected input of dtype float32 or float64, got int32'],
  [() => m.einsum('ij,kj->ik', ints, ints), 'matmul: expected a of dtype float32 or float64, got int32'],
  [
    () => m.einsum('ij,kj->ik', x, m.ones([2, 3], { dtype: 'float64' })),
    'matmul: expected a and b of one dtype, got float32 and float64',
  ],
];

// Known when the stream runs; the message names the native operation and says which values came.
const late: [op: string, call: () => Tensor][] = [
  ['gather', () => m.gather(x, 0, m.full([2, 3], 2, { dtype: 'int32' }))],
  ['gather', () => m.gather(x, 1, m.full([2, 3], -1, { dtype: 'int32' }))],
  ['gather', () => m.takeAlongDim(x, m.full([1, 3], 2, { dtype: 'int32' }), 0)],
  ['gather', () => m.take(x, index([6]))],
  ['scatter', () => m.scatter(x, 1, m.full([2, 1], 3, { dtype: 'int32' }), 0)],
  ['scatter', () => m.scatterAdd(x, 0, m.full([2, 3], 2, { dtype: 'int32' }), x)],
  ['indexSelect', () => m.indexSelect(x, 1, index([3]))],
  ['scatter', () => m.indexAdd(x, 0, index([0, 2]), x)],
  ['scatter', () => m.indexCopy(x, 0, index([0, 2]), x)],
  ['scatter', () => m.indexFill(x, 0, index([2]), 1)],
  ['indexSelect', () => m.index(x, index([2]))],
  ['indexSelect', () => m.index(x, index([0]), index([3]))],
  ['indexSelect', () => m.indexPut(x, [index([2])], 1)],
  ['embedding', () => m.embedding(index([2]), x)],
  ['embedding', () => m.embedding(index([-1]), x, { paddingIdx: 0 })],
  ['oneHot', () => m.oneHot(index([3]), 3)],
];

describe('dims and subscripts that are not there are refused', () => refuses(named(IndexOutOfRangeError, ranges)));

describe('shapes that do not fit are refused', () => refuses(named(ShapeError, shapes)));

describe('values that are none are refused', () => refuses(named(ValueError, values)));

describe('dtypes that do not fit are refused', () => refuses(named(DTypeError, dtypes)));

it.each(late)('%s: an index value outside rejects where the result is read', async (op, call) => {
  const error: unknown = await call()
    .data()
    .then(() => null)
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(IndexOutOfRangeError);
  expect((error as IndexOutOfRangeError).message).toMatch(
    new RegExp(`^${op}: an index is out of range: .*int32 \\[[\\d, ]*\\] (of|from) -?\\d`),
  );
  expect((error as IndexOutOfRangeError).code).toBe('ERR_INDEX');
});

it('an index outside says which values came', async () => {
  const labels = m.tensor([0, 7, -3], { dtype: 'int32' });
  await expect(m.crossEntropy(m.ones([3, 4]), labels).item()).rejects.toThrow(
    'crossEntropy: an index is out of range: float32 [3, 4], int32 [3] from -3 to 7',
  );
});

it('an array whose buffer was transferred is refused', () => {
  const data = new Float32Array(4);
  structuredClone(data.buffer, { transfer: [data.buffer] });
  expect(() => m.tensor(data)).toThrow(ValueError);
  expect(() => m.fromTypedArray(data, [4])).toThrow('fromTypedArray: expected an array with its memory');
});

it('and the library goes on', () => {
  expect(x.add(1).sum().itemSync()).toBe(12);
});
