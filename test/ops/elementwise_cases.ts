import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';
import { positive, spread, type Case } from './case.js';

type Unary = (x: Tensor) => Tensor;
type Make = (shape: number[], salt?: number) => Tensor;

/** Each of a name, a function and inputs that it takes: at a whole tensor and at a view with gaps. */
const unary = (rows: readonly [name: string, fn: Unary, make?: Make][]): Case[] =>
  rows.flatMap(([name, fn, make = spread]) => [
    { name, inputs: () => [make([2, 5])], fn },
    { name: `${name} of a strided view`, inputs: () => [make([4, 6])], fn: (x) => fn(x.t().slice(0, 1, 6, 2)) },
  ]);

const binary = (rows: readonly [name: string, fn: (a: Tensor, b: Tensor) => Tensor, make?: Make][]): Case[] =>
  rows.flatMap(([name, fn, make = spread]) => [
    { name, inputs: () => [make([3, 4]), make([3, 4], 1)], fn },
    { name: `${name} broadcast`, inputs: () => [make([3, 1, 2]), make([4, 1], 1)], fn },
  ]);

const inside: Make = (shape, salt) => spread(shape, salt, -0.9, 0.9);
const unit: Make = (shape, salt) => spread(shape, salt, 0.1, 0.9);
const aboveOne: Make = (shape, salt) => spread(shape, salt, 1.2, 3);
/** Away from whole numbers, where steps are. */
const between: Make = (shape, salt) => spread(shape, salt, 2.1, 2.9);

const three = (name: string, fn: (x: Tensor, a: Tensor, b: Tensor) => Tensor): Case[] => [
  { name, inputs: () => [spread([3, 4]), positive([3, 4], 1), positive([3, 4], 2)], fn },
  { name: `${name} broadcast`, inputs: () => [spread([3, 1]), positive([4], 1), positive([2, 1, 4], 2)], fn },
];

/** Functions of one and two tensors, activations, and products by PyTorch's names. */
export const elementwiseCases: Case[] = [
  ...unary([
    ['exp2', m.exp2],
    ['expm1', m.expm1],
    ['log2', m.log2, positive],
    ['log10', m.log10, positive],
    ['log1p', m.log1p, positive],
    ['tan', m.tan, inside],
    ['asin', m.asin, inside],
    ['acos', m.acos, inside],
    ['atan', m.atan],
    ['sinh', m.sinh],
    ['cosh', m.cosh],
    ['asinh', m.asinh],
    ['acosh', m.acosh, aboveOne],
    ['atanh', m.atanh, inside],
    ['erfc', m.erfc],
    ['logit', (x) => m.logit(x), unit],
    ['frac', (x) => m.frac(x).square(), between],
    ['sign', (x) => m.sign(x).mul(x)],
    ['floor', (x) => m.floor(x).mul(x), between],
    ['ceil', (x) => m.ceil(x).mul(x), between],
    ['round', (x) => m.round(x).mul(x), between],
    ['trunc', (x) => m.trunc(x).mul(x), between],
    ['nanToNum', (x) => m.nanToNum(x).square()],
    ['mish', m.mish],
    ['logSigmoid', m.logSigmoid],
    ['softsign', m.softsign],
    ['tanhshrink', m.tanhshrink],
    ['hardsigmoid', (x) => m.hardsigmoid(x).square()],
    ['hardswish', m.hardswish],
    ['hardtanh', (x) => m.hardtanh(x, -0.7, 0.8).square()],
    ['relu6', (x) => m.relu6(x).square()],
    ['selu', m.selu],
    ['celu', (x) => m.celu(x, 1.3)],
    ['softshrink', (x) => m.softshrink(x, 0.3).square()],
    ['hardshrink', (x) => m.hardshrink(x, 0.3).square()],
    ['threshold', (x) => m.threshold(x, 0.2, 0.7).square()],
    ['rrelu', (x) => m.rrelu(x).square()],
    ['glu', (x) => m.glu(x, x.shape[0]! % 2 === 0 ? 0 : 1)],
    ['clampMin', (x) => m.clampMin(x, -0.7).square()],
    ['clampMax', (x) => m.clampMax(x, 0.7).square()],
    ['heaviside', (x) => m.heaviside(x, 0.5).mul(x)],
  ]),
  ...binary([
    ['trueDivide', m.trueDivide, positive],
    ['atan2', m.atan2],
    ['hypot', m.hypot],
    ['logaddexp', m.logaddexp],
    ['xlogy', m.xlogy, positive],
    ['fmax', m.fmax],
    ['fmin', m.fmin],
    ['fmod', m.fmod, positive],
    ['remainder', m.remainder, positive],
    ['floorDivide', (a, b) => m.floorDivide(a, b).mul(a), positive],
  ]),
  ...three('addcmul', (x, a, b) => m.addcmul(x, a, b, { value: 0.7 })),
  ...three('addcdiv', (x, a, b) => m.addcdiv(x, a, b, { value: 0.7 })),
  ...three('lerp', (x, a, b) => m.lerp(x, a, b)),
  { name: 'lerp by a number', inputs: () => [spread([3, 4]), spread([4], 1)], fn: (a, b) => m.lerp(a, b, 0.3) },
  {
    name: 'clamp by tensors',
    inputs: () => [spread([3, 4]), spread([4], 1, -1, -0.5), spread([3, 1], 2, 0.5, 1)],
    fn: (x, low, high) => m.clamp(x, low, high).square(),
  },
  {
    name: 'div rounded',
    inputs: () => [positive([3, 4]), positive([3, 4], 1)],
    fn: (a, b) => m.div(a, b, { roundingMode: 'floor' }).mul(a),
  },
  { name: 'prelu', inputs: () => [spread([2, 3, 4]), positive([3], 1)], fn: (x, w) => m.prelu(x, w).square() },
  {
    name: 'prelu of one weight',
    inputs: () => [spread([2, 3]), positive([1], 1)],
    fn: (x, w) => m.prelu(x, w).square(),
  },
  { name: 'maxout', inputs: () => [spread([2, 6])], fn: (x) => m.maxout(x, 3).square() },

  { name: 'mm', inputs: () => [spread([3, 4]), spread([4, 2], 1)], fn: m.mm },
  { name: 'bmm', inputs: () => [spread([2, 3, 4]), spread([2, 4, 2], 1)], fn: m.bmm },
  { name: 'mv', inputs: () => [spread([3, 4]), spread([4], 1)], fn: m.mv },
  { name: 'dot', inputs: () => [spread([4]), spread([4], 1)], fn: m.dot },
  { name: 'outer', inputs: () => [spread([3]), spread([4], 1)], fn: m.outer },
  {
    name: 'addmm',
    inputs: () => [spread([2]), spread([3, 4], 1), spread([4, 2], 2)],
    fn: (x, a, b) => m.addmm(x, a, b, { beta: 0.3, alpha: 0.7 }),
  },
  {
    name: 'baddbmm',
    inputs: () => [spread([3, 2]), spread([2, 3, 4], 1), spread([2, 4, 2], 2)],
    fn: (x, a, b) => m.baddbmm(x, a, b, { beta: 0.3, alpha: 0.7 }),
  },
  {
    name: 'bilinear',
    inputs: () => [spread([2, 3]), spread([2, 4], 1), spread([2, 3, 4], 2), spread([2], 3)],
    fn: (a, b, w, c) => m.bilinear(a, b, w, c),
  },
];
