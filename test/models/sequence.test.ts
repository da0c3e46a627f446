import { describe, expect, it } from 'vitest';
import {
  AttentionSeq2Seq,
  CharRNN,
  drawToken,
  Generator,
  GPT,
  gpt,
  meta as onMeta,
  noGrad,
  Seq2Seq,
  tensor,
  type Module,
} from '../../lib/index.js';
import { distance, numbers } from '../nn/values.js';

const small = { vocabulary: 11, context: 16, layers: 2, heads: 2, width: 8 };
const ids = (values: number[][]) => tensor(values, { dtype: 'int32' });
const count = (model: Module): number => model.parameters().reduce((sum, p) => sum + p.numel, 0);

describe('GPT', () => {
  it.each([
    ['gpt2', 124_439_808],
    ['gpt2-medium', 354_823_168],
    ['gpt2-large', 774_030_080],
    ['gpt2-xl', 1_557_611_200],
    ['gpt3', 174_604_259_328],
  ] as const)('%s has %i parameters', (name, parameters) => {
    expect(onMeta(() => count(gpt(name)))).toBe(parameters);
  });

  it('gives the same logits with a cache, in pieces', () => {
    const model = new GPT(small, { generator: new Generator(1) }).eval();
    const tokens = ids([[1, 5, 2, 9, 3, 3]]);
    const whole = numbers(model.forward(tokens).select(1, 5).contiguous());
    noGrad(() => {
      const cache = model.newCache(6);
      model.forward(tokens.narrow(1, 0, 3).contiguous(), { cache });
      model.forward(tokens.narrow(1, 3, 2).contiguous(), { cache });
      const last = model.forward(tokens.narrow(1, 5, 1).contiguous(), { cache, last: true });
      expect(distance(numbers(last), whole)).toBeLessThan(1e-5);
      expect(() => model.forward(tokens, { cache })).toThrow('GPT: expected at most 6 tokens, got 12');
    });
  });

  it('generates the same text for the same seed, and stops', async () => {
    const model = new GPT(small, { generator: new Generator(2) }).eval();
    const text = async (seed: number, options: object): Promise<number[]> => {
      const tokens: number[] = [];
      for await (const token of model.generate([1, 2], { ...options, generator: new Generator(seed) }))
        tokens.push(token);
      return tokens;
    };
    const options = { temperature: 1, topK: 8, topP: 0.9 };
    expect(await text(5, options)).toEqual(await text(5, options));
    const greedy = await text(1, {});
    expect(greedy.length).toBe(14);
    expect(await text(1, { topK: 1, temperature: 2, maxTokens: 5 })).toEqual(greedy.slice(0, 5));
    const stop = greedy[2]!;
    expect(await text(1, { stop: [stop] })).toEqual(greedy.slice(0, greedy.indexOf(stop)));
    await expect(model.generate([]).next()).rejects.toThrow('generate: expected at least one token to start with');
  });

  it('draws by probability', () => {
    const logits = [Math.log(0.5), Math.log(0.1), Math.log(0.4)];
    expect([0, 0.49, 0.51, 0.89, 0.91].map((u) => drawToken(logits, { u }))).toEqual([0, 0, 2, 2, 1]);
    expect([0.5, 0.6].map((u) => drawToken(logits, { u, topK: 2 }))).toEqual([0, 2]);
    expect(drawToken(logits, { u: 0.99, topP: 0.5 })).toBe(0);
  });
});

describe('recurrent models', () => {
  it('have the shapes of their texts', () => {
    for (const kind of ['rnn', 'lstm', 'gru'] as const) {
      const model = new CharRNN(kind, 7, 3, 5);
      const [logits, state] = model.forward(
        ids([
          [1, 2],
          [3, 4],
          [5, 6],
        ]),
      );
      expect(logits.shape).toEqual([3, 2, 7]);
      expect(model.forward(ids([[1, 2]]), state)[0].shape).toEqual([1, 2, 7]);
    }
    const [source, target] = [
      ids([
        [1, 2],
        [3, 4],
        [0, 1],
      ]),
      ids([
        [1, 2],
        [3, 4],
      ]),
    ];
    expect(new Seq2Seq(5, 6, 4).forward(source, target).shape).toEqual([2, 2, 6]);
    const [logits, weights] = new AttentionSeq2Seq(5, 6, 4).forward(source, target);
    expect(logits.shape).toEqual([2, 2, 6]);
    expect(numbers(weights.sum(1)).every((sum) => Math.abs(sum - 1) < 1e-6)).toBe(true);
  });
});
