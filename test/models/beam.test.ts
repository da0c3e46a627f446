import { describe, expect, it } from 'vitest';
import {
  AttentionSeq2Seq,
  beamSearch,
  copyTask,
  Generator,
  greedyDecode,
  IndexOutOfRangeError,
  logSoftmax,
  meta,
  noGrad,
  Seq2Seq,
  ShapeError,
  tensor,
  TransformerSeq2Seq,
  ValueError,
  type StepModel,
} from '../../lib/index.js';
import { distance, liveHandles, numbers } from '../nn/values.js';

const [start, stop, vocabulary] = [0, 1, 4];
const sized = { dModel: 8, nhead: 2, layers: 1, dimFeedforward: 12 };
const ids = (values: number[][]) => tensor(values, { dtype: 'int32' });
const generator = (): Generator => new Generator(3);

/** Models that write, a source of three tokens for each, and all logits of a target. */
const plain = new Seq2Seq(5, vocabulary, 6, { generator: generator() });
const attending = new AttentionSeq2Seq(5, vocabulary, 6, { generator: generator() });
const transformer = new TransformerSeq2Seq(5, vocabulary, { ...sized, generator: generator() }).eval();
const column = ids([[1], [4], [2]]);
const cases = {
  Seq2Seq: [plain, column, (y: number[]) => plain.forward(column, ids(y.map((t) => [t]))).select(1, 0)],
  AttentionSeq2Seq: [
    attending,
    column,
    (y: number[]) => attending.forward(column, ids(y.map((t) => [t])))[0].select(1, 0),
  ],
  TransformerSeq2Seq: [
    transformer,
    ids([[1, 4, 2]]),
    (y: number[]) => transformer.forward(ids([[1, 4, 2]]), ids([y])).select(0, 0),
  ],
} as const;
type Name = keyof typeof cases;
const names = Object.keys(cases) as Name[];

/** Every target of at most `longest` tokens with its score, the best first. */
function enumerate(name: Name, longest: number, alpha: number): { tokens: number[]; score: number }[] {
  const list: { tokens: number[]; score: number }[] = [];
  const visit = (tokens: number[], logProbability: number): void => {
    const score = (length: number): number => logProbability / ((5 + length) / 6) ** alpha;
    if (tokens.length === longest) {
      list.push({ tokens, score: score(longest) });
      return;
    }
    const all = noGrad(() => cases[name][2]([start, ...tokens]));
    const row = numbers(logSoftmax(all.select(0, tokens.length).contiguous(), 0));
    for (const [token, p] of row.entries()) {
      if (token !== stop) visit([...tokens, token], logProbability + p);
      else list.push({ tokens, score: (logProbability + p) / ((6 + tokens.length) / 6) ** alpha });
    }
  };
  visit([], 0);
  return list.sort((a, b) => b.score - a.score);
}

describe.each(names)('%s', (name) => {
  const [model, source] = cases[name] as unknown as [StepModel<unknown>, ReturnType<typeof ids>];
  it.each([0, 0.6, 2, -1])('finds the best of all targets with as many beams, length penalty %d', async (alpha) => {
    const options = { start, stop, maxTokens: 3, beams: 40, nBest: 6, lengthPenalty: alpha };
    const found = await beamSearch(model, source, options);
    const wanted = enumerate(name, 3, alpha).slice(0, 6);
    expect(found.map(({ tokens }) => tokens)).toEqual(wanted.map(({ tokens }) => tokens));
    const scores = found.map(({ score }) => score);
    expect(
      distance(
        scores,
        wanted.map(({ score }) => score),
      ),
    ).toBeLessThan(1e-5);
  });
  it('with one beam follows the likeliest token, as greedyDecode does for many sources', async () => {
    const options = { start, stop, maxTokens: 7 };
    const made: number[] = [];
    for (; made.length < 7;) {
      const all = noGrad(() => cases[name][2]([start, ...made]));
      const token = all.select(0, made.length).argmax().itemSync();
      if (token === stop) break;
      made.push(token);
    }
    const [greedy] = await greedyDecode(model, source, options);
    expect(greedy).toEqual(made);
    const others =
      name === 'TransformerSeq2Seq'
        ? ids([
            [3, 3, 0],
            [1, 4, 2],
          ])
        : ids([
            [3, 1],
            [3, 4],
            [0, 2],
          ]);
    const many = await greedyDecode(model, others, options);
    expect(many).toHaveLength(2);
    expect(many[1]).toEqual(made);
    if (made.length === 7) {
      const [best] = await beamSearch(model, source, { ...options, beams: 1, lengthPenalty: 0 });
      expect([best!.tokens, best!.finished]).toEqual([made, false]);
    }
  });
  it('leaves nothing behind, and ends with a signal', async () => {
    const before = await liveHandles();
    await beamSearch(model, source, { start, stop, maxTokens: 5 });
    await greedyDecode(model, source, { start, stop, maxTokens: 5 });
    expect(await liveHandles()).toBe(before);
    const options = { start, stop, signal: AbortSignal.abort(new Error('enough')) };
    await expect(beamSearch(model, source, options)).rejects.toThrow('enough');
    await expect(greedyDecode(model, source, options)).rejects.toThrow('enough');
  });
  it('refuses what cannot be', async () => {
    const two = name === 'TransformerSeq2Seq' ? ids([[1], [2]]) : ids([[1, 2]]);
    await expect(beamSearch(model, two, { start, stop })).rejects.toThrow('beamSearch: expected one source, got 2');
    const empty = tensor([], { dtype: 'int32' }).reshape([0, 0]);
    await expect(greedyDecode(model, empty, { start, stop })).rejects.toThrow(ShapeError);
    await expect(beamSearch(model, source, { start, stop, beams: 2, nBest: 3 })).rejects.toThrow(ValueError);
    await expect(greedyDecode(model, source, { start: 9, stop })).rejects.toThrow(IndexOutOfRangeError);
  });
});

describe('lengths', () => {
  it('make padding of a source count for nothing', async () => {
    const padded = ids([
      [1, 3],
      [4, 2],
      [2, 4],
      [3, 0],
    ]);
    const options = { start, stop, maxTokens: 4 };
    for (const model of [plain, attending] as StepModel<unknown>[]) {
      const both = await greedyDecode(model, padded, { ...options, lengths: [3, 2] });
      const alone = [await greedyDecode(model, column, options), await greedyDecode(model, ids([[3], [2]]), options)];
      expect(both).toEqual(alone.flat());
    }
    const target = ids([
      [0, 0],
      [2, 3],
    ]);
    const [logits, weights] = attending.forward(padded, target, { lengths: [3, 2] });
    const [first] = attending.forward(column, ids([[0], [2]]));
    expect(distance(numbers(logits.select(1, 0).contiguous()), numbers(first.select(1, 0).contiguous()))).toBeLessThan(
      1e-6,
    );
    expect(numbers(weights.select(2, 1).narrow(1, 2, 2).contiguous())).toEqual([0, 0, 0, 0]);
    expect(() => plain.forward(padded, target, { lengths: [3, 5] })).toThrow(
      'lengths[1] to be an integer in [1, 4], got 5',
    );
  });
  it('of a Transformer are where the padding token begins', () => {
    const model = new TransformerSeq2Seq(6, 6, { ...sized, paddingIdx: 5, generator: generator() }).eval();
    const short = model.forward(ids([[1, 2]]), ids([[0, 3]]));
    const long = model.forward(ids([[1, 2, 5, 5]]), ids([[0, 3, 5]])).narrow(1, 0, 2);
    expect(distance(numbers(long.contiguous()), numbers(short))).toBeLessThan(1e-5);
    // Nothing but padding: defined, and no NaN.
    expect(numbers(model.forward(ids([[5, 5]]), ids([[5, 5]]))).every(Number.isFinite)).toBe(true);
  });
});

describe('TransformerSeq2Seq', () => {
  it.each([false, true])('gives step by step the logits of whole targets, norms first: %s', (normFirst) => {
    const sizes = { ...sized, layers: 2, normFirst, paddingIdx: 5, generator: generator() };
    const model = new TransformerSeq2Seq(6, 6, sizes).eval();
    const source = ids([
      [1, 4, 2, 3],
      [2, 5, 5, 5],
    ]);
    const target = ids([
      [0, 3, 1, 2, 4],
      [0, 2, 5, 5, 1],
    ]);
    const swapped = ids([[1, 0]]).select(0, 0);
    noGrad(() => {
      const want = model.forward(source, target);
      let state = model.start(source);
      for (let t = 0; t < 5; t++) {
        // Halfway the rows change places, as a search's do.
        const turned = t >= 3;
        if (t === 3) state = model.rows(state, swapped);
        const column = target.select(1, t);
        const [logits, next] = model.step(turned ? column.indexSelect(0, swapped) : column, state);
        const own = turned ? logits.indexSelect(0, swapped) : logits;
        expect(distance(numbers(own), numbers(want.select(1, t).contiguous()))).toBeLessThan(1e-5);
        state = next;
      }
    });
  });
  it('shows where it looks, never at padding', () => {
    const model = new TransformerSeq2Seq(6, 6, { ...sized, layers: 2, paddingIdx: 5, generator: generator() }).eval();
    const [source, target] = [ids([[1, 4, 2, 5]]), ids([[0, 3]])];
    noGrad(() => {
      const weights = model.attention(source, target);
      expect(weights.shape).toEqual([1, 2, 4]);
      expect(distance(numbers(weights.sum(2)), [1, 1])).toBeLessThan(1e-6);
      expect(numbers(weights.select(2, 3).contiguous())).toEqual([0, 0]);
      // By hand for one layer and its heads.
      const { encoder, decoder } = model.transformer;
      const embedded = (tokens: typeof source, table: typeof model.src_emb) =>
        model.positions.forward(table.forward(tokens).mul(Math.sqrt(8)));
      const padding = source.eq(5);
      const memory = encoder.forward(embedded(source, model.src_emb), { keyPaddingMask: padding });
      let x = embedded(target, model.tgt_emb);
      const seen = [...decoder.layers].map((layer) => {
        const own = layer.norm1.forward(x.add(layer.self_attn.forward(x, x, x, { causal: true })[0]));
        const options = { keyPaddingMask: padding, needWeights: true };
        const [, w] = layer.multihead_attn.forward(own, memory, memory, options);
        x = layer.forward(x, memory, { causal: true, memoryKeyPaddingMask: padding });
        return w!;
      });
      const mean = seen[0]!.add(seen[1]!).div(2);
      expect(distance(numbers(weights), numbers(mean))).toBeLessThan(1e-6);
    });
  });
  it('has the sizes of its texts', () => {
    const count = (layers: number, words: number): number =>
      meta(() => new TransformerSeq2Seq(words, words, { layers }).parameters().reduce((n, p) => n + p.numel, 0));
    expect(count(6, 11)).toBe(44_140_544 + 2 * 11 * 512 + 11 * 513);
    expect(count(copyTask.layers, copyTask.vocabulary)).toBe(14_731_787);
  });
  it('refuses texts that are empty or longer than its positions', () => {
    const model = new TransformerSeq2Seq(5, 5, { ...sized, maxLength: 3 });
    expect(() => model.forward(ids([[1, 2, 3, 4]]), ids([[1]]))).toThrow('expected at most 3 positions, got 4');
    expect(() => model.forward(tensor([[]], { dtype: 'int32' }), ids([[1]]))).toThrow('T ≥ 1, got [1, 0]');
  });
});
