import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';
import { positive, spread, type Case } from './case.js';

const ints = (values: m.NestedArray): Tensor => m.tensor(values, { dtype: 'int32' });
const mask = (): Tensor =>
  m.tensor([
    [true, false, true],
    [false, false, true],
  ]);

/** Each of a name, a shape and a function of one tensor, squared so that second derivatives show. */
const of = (rows: readonly [name: string, shape: number[], fn: (x: Tensor) => Tensor | Tensor[]][]): Case[] =>
  rows.map(([name, shape, fn]) => ({
    name,
    inputs: () => [spread(shape)],
    fn: (x) => {
      const y = fn(x);
      // Of several results each counts with another weight.
      return Array.isArray(y) ? m.cat(y.map((part, i) => part.mul(i + 1).flatten())).square() : y.square();
    },
  }));

const two = (name: string, a: number[], b: number[], fn: (x: Tensor, y: Tensor) => Tensor): Case => ({
  name,
  inputs: () => [spread(a), spread(b, 1)],
  fn: (x, y) => fn(x, y).square(),
});

/** Views, shapes, indexing, sorting and running results. */
export const structureCases: Case[] = [
  ...of([
    ['view', [2, 6], (x) => x.view([3, 4])],
    ['t', [2, 3], (x) => m.t(x)],
    ['unsqueeze', [2, 3], (x) => m.unsqueeze(x, 1)],
    ['contiguous', [2, 3], (x) => m.contiguous(x.t())],
    ['flip', [2, 3, 2], (x) => m.flip(x, [0, 2])],
    ['fliplr', [2, 3], m.fliplr],
    ['flipud', [2, 3], m.flipud],
    ['rot90', [2, 3], (x) => m.rot90(x)],
    ['roll', [2, 3], (x) => m.roll(x, [1, -1], [0, 1])],
    ['roll of all', [2, 3], (x) => m.roll(x, 4)],
    ['repeat', [2, 3], (x) => m.repeat(x, [2, 1, 2])],
    ['tile', [2, 3], (x) => m.tile(x, [2])],
    ['repeatInterleave', [2, 3], (x) => m.repeatInterleave(x, [1, 3, 2], 1)],
    ['tril', [3, 4], (x) => m.tril(x)],
    ['triu', [2, 3, 3], (x) => m.triu(x, 1)],
    ['chunk', [5, 2], (x) => m.chunk(x, 2)],
    ['split', [2, 5], (x) => m.split(x, [2, 3], 1)],
    ['tensorSplit', [5, 2], (x) => m.tensorSplit(x, 3)],
    ['unbind', [3, 2], (x) => m.unbind(x)],
    ['diagonal', [3, 4, 2], (x) => m.diagonal(x, 1)],
    ['diagEmbed', [2, 3], (x) => m.diagEmbed(x, -1)],
    ['diag', [3, 3], (x) => m.diag(x, 1)],
    ['unfoldDim', [7], (x) => m.unfoldDim(x, 0, 3, 2)],
    ['broadcastTo', [3, 1], (x) => m.broadcastTo(x, [2, 3, 2])],
    ['unflatten', [2, 6], (x) => m.unflatten(x, 1, [2, 3])],
    ['movedim', [2, 3, 4], (x) => m.movedim(x, 0, 2)],
    ['swapaxes', [2, 3], (x) => m.swapaxes(x, 0, 1)],
    ['atleast1d', [], m.atleast1d],
    ['atleast2d', [3], m.atleast2d],
    ['atleast3d', [3, 2], m.atleast3d],
    ['meshgrid', [3], (x) => m.meshgrid([x, x.mul(2)])],
    [
      'gather',
      [2, 3],
      (x) =>
        m.gather(
          x,
          1,
          ints([
            [2, 0, 2, 1],
            [0, 0, 1, 1],
          ]),
        ),
    ],
    [
      'takeAlongDim',
      [2, 3],
      (x) =>
        m.takeAlongDim(
          x,
          ints([
            [2, 0],
            [0, 1],
          ]),
          1,
        ),
    ],
    [
      'take',
      [2, 3],
      (x) =>
        m.take(
          x,
          ints([
            [5, 0],
            [0, 3],
          ]),
        ),
    ],
    ['indexFill', [3, 2], (x) => m.indexFill(x, 0, ints([2, 0]), 1.5)],
    ['maskedSelect', [2, 3], (x) => m.maskedSelect(x, mask())],
    ['maskedFill', [2, 3], (x) => m.maskedFill(x, mask(), 2)],
    ['cumsum', [2, 3, 2], (x) => m.cumsum(x, 1)],
    ['cumprod', [2, 3, 2], (x) => m.cumprod(x, 1)],
    ['cummax', [2, 5], (x) => m.cummax(x, 1).values],
    ['cummin', [2, 5], (x) => m.cummin(x, 1).values],
    ['sort', [2, 5], (x) => m.sort(x, { descending: true }).values],
    ['sort of columns', [4, 3], (x) => m.sort(x, { dim: 0 }).values],
    ['topk', [2, 5], (x) => m.topk(x, 3).values],
    ['kthvalue', [2, 5], (x) => m.kthvalue(x, 2).values],
    ['median', [5], (x) => m.median(x)],
  ]),
  {
    name: 'cumprod with a zero',
    inputs: () => [m.tensor([2, 0, 3, -1], { dtype: 'float64', requiresGrad: true })],
    fn: (x) => m.cumprod(x, 0),
  },
  { name: 'cumprod of positives', inputs: () => [positive([4])], fn: (x) => m.cumprod(x, 0) },
  two('hstack', [2, 3], [2, 1], (a, b) => m.hstack([a, b])),
  two('vstack', [2, 3], [3], (a, b) => m.vstack([a, b])),
  two('broadcastTensors', [2, 1], [3], (a, b) => m.broadcastTensors([a, b]).reduce((x, y) => x.mul(y))),
  two('scatter', [2, 3], [2, 2], (x, src) =>
    m.scatter(
      x,
      1,
      ints([
        [2, 0],
        [0, 1],
      ]),
      src,
    ),
  ),
  two('scatterAdd', [2, 3], [2, 2], (x, src) =>
    m.scatterAdd(
      x,
      1,
      ints([
        [2, 2],
        [0, 1],
      ]),
      src,
    ),
  ),
  two('indexAdd', [3, 2], [2, 2], (x, src) => m.indexAdd(x, 0, ints([2, 2]), src)),
  two('indexCopy', [3, 2], [2, 2], (x, src) => m.indexCopy(x, 0, ints([2, 0]), src)),
  two('maskedScatter', [2, 3], [4], (x, src) => m.maskedScatter(x, mask(), src)),
  two('maskedFill by a tensor', [2, 3], [], (x, value) => m.maskedFill(x, mask(), value)),
];
