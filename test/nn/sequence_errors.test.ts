import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import { numbers } from './values.js';

const ids = (values: number[][]): m.Tensor => m.tensor(values, { dtype: 'int32' });
const none = (...shape: number[]): m.Tensor => m.zeros(shape, { dtype: 'int32' });
const { ones } = m;

const gpt = new m.GPT({ vocabulary: 11, context: 4, layers: 1, heads: 1, width: 4 });
const mha = new m.MultiheadAttention(4, 2);
const first = new m.MultiheadAttention(4, 2, { batchFirst: true, kdim: 3 });
const plain = new m.Seq2Seq(5, 5, 4);
const attending = new m.AttentionSeq2Seq(5, 5, 4);
const self = (...shape: number[]): [m.Tensor, m.Tensor, m.Tensor] => [ones(shape), ones(shape), ones(shape)];

describe('input that cannot be', () => {
  it.each<[string, () => unknown, string]>([
    [
      'no steps',
      () => new m.GRU(4, 6).forward(ones([0, 3, 4])),
      'GRU: expected at least one step, got input of shape [0, 3, 4]',
    ],
    [
      'no steps, batch first',
      () => new m.LSTM(4, 6, { batchFirst: true }).forward(ones([3, 0, 4])),
      'LSTM: expected at least one step',
    ],
    [
      'an empty sequence in a pack',
      () => m.packSequence([ones([0, 4]), ones([2, 4])]),
      'expected lengths[0] to be an integer in [1, 2], got 0',
    ],
    [
      'a kind of cell',
      () => new m.CharRNN('grru' as 'gru', 5, 5, 4),
      'CharRNN: expected kind to be one of rnn, lstm, gru, got "grru"',
    ],
    ['no tokens', () => gpt.forward(none(1, 0)), 'GPT: expected at least one token, got [1, 0]'],
    ['too many tokens', () => gpt.forward(ids([[1, 2, 3, 4, 5]])), 'GPT: expected at most 4 tokens, got 5'],
    ['real tokens', () => gpt.forward(ones([1, 2])), 'embedding: expected index of dtype int32, got float32'],
    [
      'a text without a batch',
      () => gpt.forward(m.tensor([1], { dtype: 'int32' })),
      'GPT: expected tokens of shape [B, T], got [1]',
    ],
    [
      'an activation',
      () => new m.GPT({ ...gpt.config, activation: 'relu' as 'gelu' }),
      'GPT: expected activation to be one of gelu-tanh, gelu',
    ],
    ['no source', () => plain.forward(none(0, 1), ids([[1]])), 'GRU: expected at least one step'],
    [
      'no target',
      () => attending.forward(ids([[1]]), none(0, 1)),
      'AttentionSeq2Seq: expected target of shape [T, 1], T ≥ 1, got [0, 1]',
    ],
    [
      'another batch',
      () => attending.forward(ids([[1, 2]]), ids([[1]])),
      'expected target of shape [T, 2], T ≥ 1, got [1, 1]',
    ],
    [
      'another width',
      () => mha.forward(...self(2, 1, 5)),
      'MultiheadAttention: expected query of shape [T, 1, 4], got [2, 1, 5]',
    ],
    [
      'another batch of keys',
      () => mha.forward(ones([2, 1, 4]), ones([3, 2, 4]), ones([3, 2, 4])),
      'expected key of shape [T, 1, 4], got [3, 2, 4]',
    ],
    [
      'fewer values',
      () => mha.forward(ones([2, 4]), ones([3, 4]), ones([2, 4])),
      'expected value of shape [3, 4], got [2, 4]',
    ],
    [
      'another width of keys',
      () => first.forward(ones([1, 2, 4]), ones([1, 3, 4]), ones([1, 3, 4])),
      'expected key of shape [1, T, 3], got [1, 3, 4]',
    ],
    [
      'a mask',
      () => mha.forward(...self(2, 1, 4), { attnMask: ones([3, 3]) }),
      'expected attnMask of shape [2, 2] or [2, 2, 2], got [3, 3]',
    ],
    [
      'a padding mask',
      () => mha.forward(...self(2, 1, 4), { keyPaddingMask: ones([2, 2]) }),
      'expected keyPaddingMask of shape [1, 2], got [2, 2]',
    ],
    [
      'a width',
      () => new m.Transformer({ dModel: 4, nhead: 2 }).forward(ones([2, 1, 5]), ones([2, 1, 4])),
      'Transformer: expected source of shape [..., 4], got [2, 1, 5]',
    ],
  ])('is refused: %s', (_, run, message) => {
    expect(run).toThrow(message);
    expect(run).toThrow(m.MyelinError);
  });

  it.each<[string, () => m.Tensor]>([
    ['GPT', () => gpt.forward(ids([[1, 11]]))],
    ['GPT below 0', () => gpt.forward(ids([[-1]]))],
    ['CharRNN', () => new m.CharRNN('gru', 5, 5, 4).forward(ids([[5]]))[0]],
    ['Seq2Seq', () => plain.forward(ids([[7]]), ids([[1]]))],
    ['AttentionSeq2Seq', () => attending.forward(ids([[1]]), ids([[9]]))[0]],
    ['Embedding with rows', () => new m.Embedding(5, 2, { sparse: true, paddingIdx: 0 }).forward(ids([[5]]))],
  ])('is refused when it is read: tokens outside the vocabulary of %s', async (_, run) => {
    const reading = run().data();
    await expect(reading).rejects.toThrow(m.IndexOutOfRangeError);
    await expect(reading).rejects.toThrow('an index is out of range');
    // The library goes on.
    expect(await ones([1]).item()).toBe(1);
  });
});

describe('lengths in a tensor', () => {
  it.each([[[3, 0]], [[4, 1]], [[2, -2147483648]]])(
    'outside the steps are refused when it is read: %j',
    async (given) => {
      const lengths = ids([given]).select(0, 0);
      const x = ones([3, 2, 2]);
      const run = {
        RNN: () => new m.RNN(2, 3).forward(x, null, { lengths }),
        LSTM: () => new m.LSTM(2, 3).forward(x, null, { lengths }),
        GRU: () => new m.GRU(2, 3).forward(x, null, { lengths }),
      };
      for (const forward of Object.values(run)) {
        const reading = forward()[0].data();
        await expect(reading).rejects.toThrow(m.ValueError);
        await expect(reading).rejects.toThrow(/^recurrent: a length is out of range: .*int32 \[2\] from/);
      }
      expect(await ones([1]).item()).toBe(1);
    },
  );
});

describe('rows that see nothing', () => {
  const nothing = m.tensor([[false], [false]]);
  it('get zeros, and so do their gradients', () => {
    const masked = { keyPaddingMask: m.tensor([[true, true]]) };
    const x = ones([2, 1, 4]).requiresGrad_();
    for (const needWeights of [false, true]) {
      const [y, weights] = mha.forward(x, x, x, { ...masked, needWeights });
      expect(numbers(y)).toEqual(Array(8).fill(0));
      if (weights !== null) expect(numbers(weights)).toEqual([0, 0, 0, 0]);
      expect(numbers(m.grad(y.sum(), x)[0])).toEqual(Array(8).fill(0));
    }
    const additive = new m.AdditiveAttention(4, 4, 4);
    const memory = ones([2, 1, 4]).requiresGrad_();
    const [context, weights] = additive.forward(ones([1, 4]), memory, undefined, nothing);
    expect([numbers(context), numbers(weights)]).toEqual([
      [0, 0, 0, 0],
      [0, 0],
    ]);
    expect(numbers(m.grad(context.sum(), memory)[0])).toEqual(Array(8).fill(0));
    for (const attention of [new m.DotProductAttention(), new m.ScaledDotProductAttention()]) {
      const [c, w] = attention.forward(ones([1, 4]), ones([2, 4]), ones([2, 4]), m.tensor([[false, false]]));
      expect([numbers(c), numbers(w)]).toEqual([
        [0, 0, 0, 0],
        [0, 0],
      ]);
    }
  });
});

describe('attention of the lectures', () => {
  it('differs by its score', () => {
    const [q, k] = [
      m.tensor([[1, 2]]),
      m.tensor([
        [1, 0],
        [0, 1],
      ]),
    ];
    const softmax = (a: number, b: number): number[] => [1 / (1 + Math.exp(b - a)), 1 / (1 + Math.exp(a - b))];
    for (const [attention, scale] of [
      [new m.DotProductAttention(), 1],
      [new m.ScaledDotProductAttention(), Math.SQRT1_2],
    ] as const) {
      const [context, weights] = attention.forward(q, k, k);
      const want = softmax(scale, 2 * scale);
      numbers(weights).forEach((w, i) => expect(w).toBeCloseTo(want[i]!, 6));
      expect(numbers(context)).toEqual(numbers(weights));
    }
  });
});
