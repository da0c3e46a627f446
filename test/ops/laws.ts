import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

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
