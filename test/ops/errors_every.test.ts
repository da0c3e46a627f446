import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { MyelinError } from '../../lib/index.js';
import { publicFunctions } from './public.js';

// What the tables of errors.test.ts and errors_structure.test.ts leave: functions of one and of two tensors, which refuse alike, and
// single ones. That every public operation has a row somewhere is checked last.
const x = m.ones([2, 3]);
const y = m.ones([2, 4]);
const scalar = m.tensor(1);
const gone = m.ones([2]);
gone.dispose();

type Row = [name: string, ...bad: unknown[][]];

const words = (text: string): string[] => text.trim().split(/\s+/);

const rows: Row[] = [
  ...words(`abs acos acosh asin asinh atan atanh ceil cos cosh erf erfc exp exp2 expm1 frac log log10 log1p log2 logit neg
    reciprocal rsqrt sign sin sinh sqrt square tan trunc floor round sigmoid tanh elu hardshrink hardsigmoid hardswish hardtanh
    leakyRelu logSigmoid mish relu relu6 rrelu selu silu softplus softsign tanhshrink gelu celu softshrink clone contiguous
    isfinite isinf isnan logicalNot bitwiseNot nanToNum onesLike zerosLike`).map((name): Row => [
    name,
    [null],
    ['1'],
    [[1]],
    [gone],
  ]),
  ...words(`add sub mul div atan2 eq floorDivide fmax fmin fmod ge gt hypot le logaddexp lt maximum minimum ne remainder
    trueDivide xlogy pow`).map((name): Row => [name, [x, y], [x, '1'], [x, null], [1, 2], [gone, 1]]),
  ...words('logicalAnd logicalOr logicalXor bitwiseAnd bitwiseOr bitwiseXor heaviside').map((name): Row => [
    name,
    [x.gt(0), y.gt(0)],
  ]),
  ...words(`l1Loss mseLoss smoothL1Loss huberLoss softMarginLoss hingeEmbeddingLoss multilabelSoftMarginLoss poissonNllLoss
    binaryCrossEntropy`).map((name): Row => [
    name,
    [x, y],
    [x, null],
    [x, x, { reduction: 'all' }],
    [x, x.to('int32')],
  ]),
  ...words('adaptiveAvgPool1d adaptiveAvgPool2d adaptiveAvgPool3d adaptiveMaxPool1d adaptiveMaxPool2d').map(
    (name): Row => [name, [scalar, 2], [x.to('int32'), 2], [m.ones([1, 2, 3, 4, 5]), -1]],
  ),
  ...words('avgPool1d avgPool2d avgPool3d maxPool1d maxPool2d maxPool3d').map((name): Row => [
    name,
    [scalar, 2],
    [m.ones([1, 2, 3, 4, 5]), 0],
    [m.ones([2, 2, 2]).to('int32'), 2],
  ]),
  ['threshold', [null, 0, 0], [x, 'a', 0]],
  ['clampMin', [null, 0], [x, '0'], [x, y]],
  ['clampMax', [null, 0], [x, '0'], [x, y]],
  ['attentionWeights', [x, y], [x, x.to('int32')]],
  ['scaledDotProductAttention', [x, y, x], [x, x, y.t()], [x, x, null]],
  ['marginRankingLoss', [x, y, x], [x, x, y]],
  ['tripletMarginLoss', [x, x, y], [x, null, x]],
  ['normalize', [x, { dim: 2 }], [x.to('int32')], [x, { eps: -1 }]],
  ['logSoftmax', [x, 2], [x.to('int32'), 0]],
  ['softmin', [x, 2], [x, 0.5]],
  ['addcdiv', [x, x, y], [null, x, x]],
  ['baddbmm', [x, x, x], [m.ones([1]), m.ones([2, 2, 3]), m.ones([3, 3, 2])]],
  ['mv', [x, m.ones([2])], [x, x]],
  ['outer', [x, x], [m.ones([2]), x]],
  ['empty', [[-1]], [2]],
  ['full', [[-1], 0], [[1], 'a']],
  ['ones', [[0.5]], [[1], { dtype: 'int64' }]],
  ['linspace', [0, 1, -1], [0, NaN, 3]],
  ['bernoulli', [2, [1]], [null], [0.5, [-1]]],
  ['exponential', [[-1]], [[1], { rate: -1 }]],
  ['allclose', [x, y], [x, x, { atol: -1 }]],
  ['equal', [x, null]],
  ['setWinograd', ['yes']],
];

const functions = m as unknown as Record<string, (...args: unknown[]) => unknown>;

describe('every operation refuses what it does not take, by name', () => {
  it.each(rows)('%s', async (name, ...bad) => {
    for (const args of bad) {
      let thrown: unknown;
      try {
        await functions[name]!(...args);
      } catch (error) {
        thrown = error;
      }
      expect(thrown, `${name} of ${String(args)}`).toBeInstanceOf(MyelinError);
      expect((thrown as MyelinError).code).toMatch(/^ERR_/);
      expect((thrown as MyelinError).message).toMatch(/^[a-z]\w*: /);
    }
  });
});

/** Text without what stands in brackets, up to the comma that ends an expression. */
function expression(text: string): string {
  let depth = 0;
  let kept = '';
  for (const c of text) {
    if ('([{'.includes(c)) depth++;
    if (depth === 0) {
      if (',;)]'.includes(c)) break;
      kept += c;
    }
    if (')]}'.includes(c)) depth--;
    if (depth < 0) break;
  }
  return kept;
}

/** The operations that the other tests of bad input call: the last of each chain of calls. */
function called(): Set<string> {
  const directory = new URL('.', import.meta.url);
  const names = new Set<string>();
  for (const file of readdirSync(directory)) {
    if (!/^(errors.*|loss|layers|conv|indexing|.*attention|recurrent)\.test\.ts$/.test(file)) continue;
    const text = readFileSync(new URL(file, directory), 'utf8');
    for (const { index } of text.matchAll(/\(\) =>\s/g)) {
      const body = expression(text.slice(index + 5).trimStart());
      const last = [...body.matchAll(/(?:\.|^)([a-z]\w*)/g)].at(-1)?.[1];
      if (last !== undefined) names.add(last);
    }
  }
  return names;
}

it('every public operation has a row of bad input', () => {
  const names = new Set([...called(), ...rows.map(([name]) => name)]);
  const all = [...new Set([...publicFunctions.values()].flat())];
  // It takes nothing.
  expect(all.filter((name) => !names.has(name))).toEqual(['getWinograd']);
});
