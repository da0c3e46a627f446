import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  AttentionSeq2Seq,
  CharRNN,
  crossEntropy,
  Decoder,
  ElmanNetwork,
  GPT,
  LiteralTransformerBlock,
  Mnist1dGRU,
  mseLoss,
  Seq2Seq,
  SGD,
  tensor,
  TransformerSeq2Seq,
  type Module,
  type Tensor,
} from '../../lib/index.js';
import { distance, fillParameters, floats, numbers, values } from '../nn/values.js';

interface Run {
  logits: number[];
  gradients: Record<string, number[]>;
  losses: number[];
}

const golden = JSON.parse(readFileSync(new URL('../golden/language.json', import.meta.url), 'utf8')) as Record<
  string,
  Run
>;

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const real = (shape: readonly number[], seed: number): Tensor =>
  floats(values(product(shape), seed, -1, 1), shape, 'float32');
const ids = (shape: readonly number[], seed: number, count: number): Tensor =>
  tensor(
    Array.from({ length: product(shape) }, (_, i) => (((i + 1) * (7919 + 2 * seed) + seed) % 1009) % count),
    { dtype: 'int32' },
  ).reshape([...shape]);
/** All steps but the last along a dimension, and all but the first. */
const shifted = (x: Tensor, dim: number): [Tensor, Tensor] => {
  const count = x.shape[dim]! - 1;
  return [x.narrow(dim, 0, count).contiguous(), x.narrow(dim, 1, count).contiguous()];
};
/** x with the elements of the first row from `at` on set to `value`. */
const filledUp = (x: Tensor, at: number, value: number): Tensor => {
  const rows = Array.from(x.dataSync());
  rows.fill(value, at, x.shape[1]);
  return tensor(rows, { dtype: 'int32' }).reshape([...x.shape]);
};

type Case = [model: Module, logits: () => Tensor, target: Tensor];

function characters(kind: 'rnn' | 'gru' | 'lstm'): Case {
  const [inputs, targets] = shifted(ids([8, 3], 60, 9), 0);
  const model = new CharRNN(kind, 9, 4, 6, { numLayers: 2 });
  return [model, () => model.forward(inputs)[0], targets];
}

function attention(lengths: number[] | null): Case {
  const source = ids([6, 3], 60, 8);
  const [inputs, targets] = shifted(ids([6, 3], 61, 9), 0);
  const model = new AttentionSeq2Seq(8, 9, 5);
  return [model, () => model.forward(source, inputs, { lengths })[0], targets];
}

function transformer(options: { normFirst?: boolean; paddingIdx?: number }): Case {
  let [source, target] = [ids([3, 6], 60, 7), ids([3, 6], 61, 7)];
  const { paddingIdx } = options;
  if (paddingIdx !== undefined) [source, target] = [filledUp(source, 4, paddingIdx), filledUp(target, 3, paddingIdx)];
  const [inputs, targets] = shifted(target, 1);
  const sizes = { dModel: 8, nhead: 2, layers: 2, dimFeedforward: 12, dropout: 0, maxLength: 16 };
  const model = new TransformerSeq2Seq(8, 9, { ...sizes, ...options });
  return [model, () => model.forward(source, inputs), targets];
}

const cases: Record<string, () => Case> = {
  ElmanNetwork: () => {
    const model = new ElmanNetwork(3, 5, 2);
    const x = real([6, 4, 3], 60);
    return [model, () => model.forward(x)[0], real([6, 4, 2], 61)];
  },
  'CharRNN rnn': () => characters('rnn'),
  'CharRNN gru': () => characters('gru'),
  'CharRNN lstm': () => characters('lstm'),
  Mnist1dGRU: () => {
    const model = new Mnist1dGRU({ hidden: 2 });
    const x = real([4, 40], 60);
    return [model, () => model.forward(x), tensor([3, 1, 4, 9], { dtype: 'int32' })];
  },
  Seq2Seq: () => {
    const source = ids([6, 3], 60, 8);
    const [inputs, targets] = shifted(ids([6, 3], 61, 9), 0);
    const model = new Seq2Seq(8, 9, 5);
    return [model, () => model.forward(source, inputs), targets];
  },
  AttentionSeq2Seq: () => attention(null),
  'AttentionSeq2Seq lengths': () => attention([6, 2, 4]),
  TransformerSeq2Seq: () => transformer({}),
  'TransformerSeq2Seq normFirst': () => transformer({ normFirst: true }),
  'TransformerSeq2Seq padding': () => transformer({ paddingIdx: 7 }),
  LiteralTransformerBlock: () => {
    const model = new LiteralTransformerBlock(8, 2);
    const x = real([2, 5, 8], 60);
    return [model, () => model.forward(x), real([2, 5, 8], 61)];
  },
  GPT: () => {
    const [inputs, targets] = shifted(ids([2, 8], 60, 11), 1);
    const model = new GPT({ vocabulary: 11, context: 7, layers: 2, heads: 2, width: 8 });
    return [model, () => model.forward(inputs), targets];
  },
  Decoder: () => {
    const [inputs, targets] = shifted(ids([2, 8], 60, 11), 1);
    const sizes = { vocabulary: 11, context: 7, layers: 2, heads: 2, kvHeads: 1, width: 8, hidden: 12 };
    const model = new Decoder({ ...sizes, base: 100, eps: 1e-3 });
    return [model, () => model.forward(inputs), targets];
  },
};

const norm = (x: readonly number[]): number => Math.hypot(...x);

describe('models of sequences train as in PyTorch', () => {
  it('all of them', () => expect(Object.keys(cases)).toEqual(Object.keys(golden)));
  it.each(Object.keys(golden))('%s', async (name) => {
    const want = golden[name]!;
    const [model, logitsOf, target] = cases[name]!();
    fillParameters(model);
    expect(model.namedParameters().map(([key]) => key)).toEqual(Object.keys(want.gradients));
    const optimizer = new SGD(model.parameters(), { lr: 0.2, momentum: 0.9 });
    const losses: number[] = [];
    for (let step = 0; step < want.losses.length; step++) {
      const logits = logitsOf();
      const loss =
        target.dtype === 'int32'
          ? crossEntropy(logits.reshape([target.numel, -1]), target.reshape([-1]))
          : mseLoss(logits, target);
      optimizer.zeroGrad();
      loss.backward();
      if (step === 0) {
        expect(distance(numbers(logits.contiguous()), want.logits)).toBeLessThan(1e-5);
        for (const [key, { grad }] of model.namedParameters()) {
          const wanted = want.gradients[key]!;
          const error = norm(numbers(grad!).map((g, i) => g - wanted[i]!));
          // A bias of keys has no gradient but for rounding.
          expect([key, error / Math.max(norm(wanted), 1e-2) < 5e-6]).toEqual([key, true]);
        }
      }
      optimizer.step();
      losses.push(await loss.item());
    }
    expect(distance(losses, want.losses)).toBeLessThan(2e-5);
  });
});
