import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';
import { positive, spread, type Case } from './case.js';

type Row = [name: string, shape: number[], fn: (x: Tensor) => Tensor];

const of = (rows: readonly Row[], make = spread): Case[] =>
  rows.map(([name, shape, fn]) => ({ name, inputs: () => [make(shape)], fn: (x) => fn(x).square() }));

const special = (name: string, values: m.NestedArray, fn: (x: Tensor) => Tensor): Case => ({
  name,
  inputs: () => [m.tensor(values, { dtype: 'float64', requiresGrad: true })],
  fn,
});

const symmetric = (x: Tensor): Tensor => x.add(x.transpose(-2, -1));

/** Singular and eigenvectors are only known up to their sign: what is checked does not depend on it. */
const outer = (v: Tensor): Tensor => v.unsqueeze(-1).mul(v.unsqueeze(-2));

/** Extremes, spread, norms and small linear algebra. */
export const linalgCases: Case[] = [
  ...of([
    ['max', [2, 5], (x) => m.max(x)],
    ['max along', [2, 5], (x) => m.max(x, 1).values],
    ['max along, kept', [4, 3], (x) => m.max(x, 0, true).values],
    ['min', [2, 5], (x) => m.min(x)],
    ['min along', [4, 3], (x) => m.min(x, 0).values],
    ['median along', [2, 5], (x) => m.median(x, 1).values],
    ['var', [3, 4], (x) => m.var(x)],
    ['var of columns', [3, 4], (x) => m.var(x, 0, { correction: 0 })],
    ['std', [3, 4], (x) => m.std(x, 1)],
    ['std of two dims', [2, 3, 2], (x) => m.std(x, [0, 2], { keepdim: true, correction: 2 })],
    ['varMean', [3, 4], (x) => m.varMean(x, 1).reduce((a, b) => a.mul(b))],
    ['stdMean', [3, 4], (x) => m.stdMean(x, 0).reduce((a, b) => a.mul(b))],
    ['logsumexp', [3, 4], (x) => m.logsumexp(x)],
    ['logsumexp along', [2, 3, 2], (x) => m.logsumexp(x, [0, 2])],
    ['nansum', [2, 3], (x) => m.nansum(m.where(x.gt(0), x, NaN), 1)],
    ['nanmean', [2, 3], (x) => m.nanmean(x, 1)],
    ['norm', [3, 4], (x) => m.norm(x)],
    ['norm nuc', [3, 2], (x) => m.norm(x, 'nuc')],
    ['norm of rows', [3, 4], (x) => m.norm(x, 3, 1)],
    ...[0.5, 1, 1.5, 2, 4, -1, Infinity, -Infinity].map((p): Row => [
      `vectorNorm ${p}`,
      [3, 4],
      (x) => m.vectorNorm(x, p, 0, true),
    ]),
    ['svd', [4, 3], (x) => outer(m.svd(x).u.select(-1, 0))],
    ['svd of right vectors', [2, 4], (x) => outer(m.svd(x).vh.select(-2, 1))],
    ['svd of a batch', [2, 3, 3], (x) => outer(m.svd(x).u.select(-1, 1)).add(outer(m.svd(x).vh.select(-2, 0)))],
    ['svdvals', [3, 4], (x) => m.svdvals(x)],
    ['eigh', [3, 3], (x) => outer(m.eigh(symmetric(x)).eigenvectors.select(-1, 0))],
    ['eigvalsh', [2, 3, 3], (x) => m.eigvalsh(symmetric(x))],
    ['inverse', [2, 3, 3], (x) => m.inverse(x.add(m.eye(3, 3, { dtype: 'float64' }).mul(3)))],
    ['det', [2, 3, 3], (x) => m.det(x)],
    ['trace', [3, 4], (x) => m.trace(x)],
  ]),
  {
    name: 'solve',
    inputs: () => [spread([3, 3]), spread([2, 3, 2], 1)],
    fn: (a, b) => m.solve(a.add(m.eye(3, 3, { dtype: 'float64' }).mul(3)), b).square(),
  },
  {
    name: 'solve for a vector',
    inputs: () => [spread([3, 3]), spread([3], 1)],
    fn: (a, b) => m.solve(a.add(m.eye(3, 3, { dtype: 'float64' }).mul(3)), b),
  },
  ...of([['logsumexp of positives', [4], (x) => m.logsumexp(x, 0)]], positive),
  ...of([
    ['index', [4, 3, 2], (x) => m.index(x, { start: 1, step: 2 }, null, '...', -1)],
    [
      'index by tensors',
      [4, 3],
      (x) => m.index(x, m.tensor([0, -1, 0], { dtype: 'int32' }), m.tensor([2], { dtype: 'int32' })),
    ],
    ['index by a mask', [3], (x) => m.index(x, m.tensor([true, false, true]))],
    ['indexPut of a number', [3, 2], (x) => m.indexPut(x, [1], 2)],
    ['einsum', [3, 3], (x) => m.einsum('ii->i', x)],
  ]),
  {
    name: 'einsum of three',
    inputs: () => [spread([2, 3, 4]), spread([4, 2], 1), spread([2, 3], 2)],
    fn: (a, b, c) => m.einsum('...ij,jk,...i->k...', a, b, c),
  },
  {
    name: 'indexPut accumulating',
    inputs: () => [spread([3, 2]), spread([4, 2], 1)],
    fn: (x, v) => m.indexPut(x, [m.tensor([0, 2, 0, 0], { dtype: 'int32' })], v, { accumulate: true }).square(),
  },
  special('prod with a zero', [2, 0, 3], (x) => x.prod()),
  special('prod with two zeros', [2, 0, 3, 0], (x) => x.prod()),
  special(
    'prod of rows with zeros',
    [
      [2, 0],
      [0, 0],
      [1, 4],
    ],
    (x) => x.prod(1),
  ),
];
