import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';
import { positive, spread, type Case } from './case.js';
import { convCases } from './conv_cases.js';
import { elementwiseCases } from './elementwise_cases.js';
import { layerCases } from './layer_cases.js';
import { lossCases } from './loss_cases.js';
import { sequenceCases } from './sequence_cases.js';
import { linalgCases } from './linalg_cases.js';
import { structureCases } from './structure_cases.js';

const unary = (name: string, fn: (x: Tensor) => Tensor, make = spread): Case[] => [
  { name, inputs: () => [make([2, 5])], fn },
  { name: `${name} of a strided view`, inputs: () => [make([4, 6])], fn: (x) => fn(x.t().slice(0, 1, 6, 2)) },
];

const binary = (name: string, fn: (a: Tensor, b: Tensor) => Tensor, make = spread): Case[] => [
  { name, inputs: () => [make([3, 4]), make([3, 4], 1)], fn },
  { name: `${name} broadcast`, inputs: () => [make([3, 1, 2]), make([4, 1], 1)], fn },
  { name: `${name} by a scalar tensor`, inputs: () => [make([3, 2]), make([], 1)], fn },
];

const labels = (): Tensor => m.tensor([1, 0, 3], { dtype: 'int32' });

export const cases: Case[] = [
  ...unary('neg', m.neg),
  ...unary('abs', m.abs),
  ...unary('exp', m.exp),
  ...unary('log', m.log, positive),
  ...unary('sqrt', m.sqrt, positive),
  ...unary('rsqrt', m.rsqrt, positive),
  ...unary('reciprocal', m.reciprocal, positive),
  ...unary('square', m.square),
  ...unary('sin', m.sin),
  ...unary('cos', m.cos),
  ...unary('erf', m.erf),
  ...unary('tanh', m.tanh),
  ...unary('sigmoid', m.sigmoid),
  ...unary('relu', m.relu),
  ...unary('gelu', (x) => m.gelu(x)),
  ...unary('gelu tanh', (x) => m.gelu(x, { approximate: 'tanh' })),
  ...unary('silu', m.silu),
  ...unary('softplus', (x) => m.softplus(x)),
  ...unary('softplus beta', (x) => m.softplus(x, { beta: 2, threshold: 1 })),
  ...unary('leakyRelu', (x) => m.leakyRelu(x, 0.2)),
  ...unary('elu', (x) => m.elu(x, 1.3)),
  ...unary('clamp', (x) => m.clamp(x, -0.7, 0.8)),
  ...unary('clamp below', (x) => m.clamp(x, -0.7)),
  ...unary('scalar arithmetic', (x) => x.mul(3).add(1).div(2).sub(0.5)),
  ...unary('scalar on the left', (x) => m.sub(2, m.div(3, x)), positive),
  ...unary('pow 3', (x) => x.pow(3)),
  ...unary('pow 2.5', (x) => x.pow(2.5), positive),
  ...unary('pow of 2', (x) => m.pow(2, x)),
  ...unary('clone', (x) => x.clone().mul(x)),
  ...unary('to', (x) => x.to('float64').mul(2)),
  ...binary('add', m.add),
  ...binary('sub', m.sub),
  ...binary('mul', m.mul),
  ...binary('div', m.div, positive),
  ...binary('pow', m.pow, positive),
  ...binary('maximum', m.maximum),
  ...binary('minimum', m.minimum),
  ...binary('where', (a, b) => m.where(a.gt(b), a, b)),
  { name: 'x + x', inputs: () => [spread([3])], fn: (x) => x.add(x).mul(x) },
  ...[undefined, 0, -1, [0, 2]].flatMap((dim): Case[] => [
    { name: `sum ${String(dim)}`, inputs: () => [spread([2, 3, 4])], fn: (x) => x.sum(dim).square() },
    { name: `mean ${String(dim)}`, inputs: () => [spread([2, 3, 4])], fn: (x) => x.mean(dim, true).square() },
    { name: `prod ${String(dim)}`, inputs: () => [positive([2, 3, 2])], fn: (x) => x.prod(dim) },
    { name: `amax ${String(dim)}`, inputs: () => [spread([2, 3, 4])], fn: (x) => x.amax(dim).square() },
    { name: `amin ${String(dim)}`, inputs: () => [spread([2, 3, 4])], fn: (x) => x.amin(dim, true).square() },
  ]),
  { name: 'reshape', inputs: () => [spread([2, 6])], fn: (x) => x.reshape([3, -1]).square() },
  { name: 'reshape of a transpose', inputs: () => [spread([2, 6])], fn: (x) => x.t().reshape([3, 4]).square() },
  { name: 'permute', inputs: () => [spread([2, 3, 4])], fn: (x) => x.permute([2, 0, 1]).square() },
  { name: 'transpose', inputs: () => [spread([2, 3, 4])], fn: (x) => x.transpose(0, -1).square() },
  { name: 'expand', inputs: () => [spread([2, 1])], fn: (x) => x.expand([3, 2, 4]).square() },
  { name: 'slice', inputs: () => [spread([5, 4])], fn: (x) => x.slice(0, 1, 5, 3).square() },
  { name: 'narrow', inputs: () => [spread([5, 4])], fn: (x) => x.narrow(1, 1, 2).square() },
  { name: 'select', inputs: () => [spread([5, 4])], fn: (x) => x.select(0, -2).square() },
  { name: 'squeeze and unsqueeze', inputs: () => [spread([2, 1, 3])], fn: (x) => x.squeeze(1).unsqueeze(0).square() },
  { name: 'flatten', inputs: () => [spread([2, 3, 2])], fn: (x) => x.flatten(1).square() },
  { name: 'cat', inputs: () => [spread([2, 3]), spread([1, 3], 1)], fn: (a, b) => m.cat([a, b, a]).square() },
  { name: 'stack', inputs: () => [spread([2, 3]), spread([2, 3], 1)], fn: (a, b) => m.stack([a, b], 1).square() },
  { name: 'matmul', inputs: () => [spread([3, 4]), spread([4, 2], 1)], fn: m.matmul },
  {
    name: 'matmul transposed',
    inputs: () => [spread([4, 3]), spread([2, 4], 1)],
    fn: (a, b) => m.matmul(a.t(), b.t()),
  },
  { name: 'matmul batched', inputs: () => [spread([2, 3, 4]), spread([2, 4, 2], 1)], fn: m.matmul },
  { name: 'matmul broadcast batch', inputs: () => [spread([2, 1, 3, 2]), spread([3, 2, 2], 1)], fn: m.matmul },
  { name: 'matmul tall', inputs: () => [spread([2, 3, 4]), spread([4, 2], 1)], fn: m.matmul },
  { name: 'matmul vectors', inputs: () => [spread([4]), spread([4], 1)], fn: m.matmul },
  { name: 'matmul matrix vector', inputs: () => [spread([3, 4]), spread([4], 1)], fn: m.matmul },
  { name: 'matmul vector matrix', inputs: () => [spread([3]), spread([3, 4], 1)], fn: m.matmul },
  {
    name: 'linear',
    inputs: () => [spread([3, 4]), spread([2, 4], 1), spread([2], 2)],
    fn: (x, w, b) => m.linear(x, w, b),
  },
  { name: 'linear of a sequence', inputs: () => [spread([2, 3, 4]), spread([2, 4], 1)], fn: (x, w) => m.linear(x, w) },
  { name: 'softmax', inputs: () => [spread([3, 4])], fn: (x) => x.softmax(-1) },
  { name: 'softmax inner', inputs: () => [spread([2, 3, 2])], fn: (x) => x.softmax(1) },
  { name: 'logSoftmax', inputs: () => [spread([3, 4])], fn: (x) => x.logSoftmax(0) },
  ...(['mean', 'sum', 'none'] as const).flatMap((reduction): Case[] => [
    {
      name: `crossEntropy ${reduction}`,
      inputs: () => [spread([3, 4])],
      fn: (x) => m.crossEntropy(x, labels(), { reduction }),
    },
    {
      name: `crossEntropy ${reduction} with everything`,
      inputs: () => [spread([3, 4])],
      fn: (x) =>
        m.crossEntropy(x, m.tensor([1, -1, 3], { dtype: 'int32' }), {
          reduction,
          ignoreIndex: -1,
          labelSmoothing: 0.1,
          weight: m.tensor([0.5, 1.5, 2, 1], { dtype: 'float64' }),
        }),
    },
    {
      name: `mseLoss ${reduction}`,
      inputs: () => [spread([3, 4]), spread([3, 4], 1)],
      fn: (a, b) => m.mseLoss(a, b, { reduction }),
    },
  ]),
  {
    name: 'crossEntropy of positions',
    inputs: () => [spread([2, 4, 3])],
    fn: (x) =>
      m.crossEntropy(
        x,
        m.tensor(
          [
            [0, 1, 2],
            [3, 0, 1],
          ],
          { dtype: 'int32' },
        ),
      ),
  },
  {
    name: 'indexSelect',
    inputs: () => [spread([4, 3])],
    fn: (x) => x.indexSelect(0, m.tensor([2, 0, 2], { dtype: 'int32' })).square(),
  },
  {
    name: 'indexSelect inner',
    inputs: () => [spread([2, 4])],
    fn: (x) => x.indexSelect(1, m.tensor([3, 3, 0], { dtype: 'int32' })).square(),
  },
  {
    name: 'embedding',
    inputs: () => [spread([5, 3])],
    fn: (w) =>
      m
        .embedding(
          m.tensor(
            [
              [1, 4],
              [1, 0],
            ],
            { dtype: 'int32' },
          ),
          w,
        )
        .square(),
  },
  {
    name: 'dropout',
    inputs: () => [spread([4, 4])],
    fn: (x) => m.dropout(x, { p: 0.4, generator: new m.Generator(3) }).square(),
  },
  ...layerCases,
  ...convCases,
  ...lossCases,
  ...elementwiseCases,
  ...structureCases,
  ...linalgCases,
  ...sequenceCases,
];
