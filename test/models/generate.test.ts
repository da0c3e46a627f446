import { describe, expect, it } from 'vitest';
import {
  Decoder,
  drawToken,
  Generator,
  GPT,
  memory,
  noGrad,
  tensor,
  ValueError,
  type GenerateOptions,
} from '../../lib/index.js';
import { distance, liveHandles, numbers, values } from '../nn/values.js';

const small = { vocabulary: 11, context: 16, layers: 2, heads: 2, width: 8 };
const model = new GPT(small, { generator: new Generator(2) });
const text = async (options: GenerateOptions, prompt: readonly number[] = [1, 2]): Promise<number[]> => {
  const tokens: number[] = [];
  for await (const token of model.generate(prompt, options)) tokens.push(token);
  return tokens;
};

describe('drawToken', () => {
  /** The same by a full sort. */
  const plain = (logits: number[], temperature: number, topK: number, topP: number, u: number): number => {
    const order = logits.map((_, i) => i).sort((a, b) => logits[b]! - logits[a]! || a - b);
    const most = logits[order[0]!]!;
    const weights = order.slice(0, topK).map((i) => Math.exp((logits[i]! - most) / temperature));
    const all = weights.reduce((a, b) => a + b, 0);
    let [kept, mass] = [0, 0];
    while (kept < weights.length && (kept === 0 || mass < topP * all)) mass += weights[kept++]!;
    let left = u * mass;
    for (let i = 0; i < kept; i++) {
      left -= weights[i]!;
      if (left < 0) return order[i]!;
    }
    return order[kept - 1]!;
  };

  it('chooses as a full sort does', () => {
    for (const [spread, offset] of [
      [4, 0],
      [400, -1e5],
      [1e-3, 7],
    ] as const) {
      const logits = values(500, 3, -1, 1).map((x) => x * spread + offset);
      logits[7] = logits[11] = Math.max(...logits);
      for (const temperature of [0.3, 1, 5]) {
        for (const topK of [1, 3, 40, 500, Infinity]) {
          for (const topP of [0, 0.4, 0.9, 1]) {
            for (const u of [0, 0.13, 0.5, 0.87, 0.999]) {
              expect(drawToken(logits, { temperature, topK, topP, u })).toBe(plain(logits, temperature, topK, topP, u));
            }
          }
        }
      }
    }
  });
  it('never draws what is ruled out, and refuses NaN', () => {
    expect(drawToken([-Infinity, 0, -Infinity], { u: 0.9999999 })).toBe(1);
    expect(() => drawToken([0, NaN], { u: 0 })).toThrow('drawToken: expected finite logits, got NaN at 1');
    expect(() => drawToken([0, Infinity], { u: 0 })).toThrow('got Infinity at 1');
    expect(() => drawToken([-Infinity], { u: 0 })).toThrow('expected a finite logit, got none');
  });
});

describe('Decoder', () => {
  it('gives the same logits with a cache, in pieces, and generates', async () => {
    const decoder = new Decoder({ ...small, heads: 4, kvHeads: 2 }, { generator: new Generator(4) });
    const tokens = tensor([[1, 5, 2, 9, 3, 3]], { dtype: 'int32' });
    const whole = numbers(decoder.forward(tokens).select(1, 5).contiguous());
    noGrad(() => {
      const cache = decoder.newCache(6);
      for (const [from, count] of [
        [0, 3],
        [3, 2],
      ] as const) {
        decoder.forward(tokens.narrow(1, from, count).contiguous(), { cache });
      }
      const last = decoder.forward(tokens.narrow(1, 5, 1).contiguous(), { cache, last: true });
      expect(distance(numbers(last), whole)).toBeLessThan(1e-5);
      expect(() => decoder.forward(tokens, { cache })).toThrow('Decoder: expected at most 6 tokens, got 12');
    });
    const made: number[] = [];
    for await (const token of decoder.generate([1, 2], { maxTokens: 20, slide: true })) made.push(token);
    expect(made).toHaveLength(20);
    expect(() => new Decoder({ ...small, kvHeads: 3 })).toThrow('heads 2 and kvHeads 3');
  });
});

describe('generate', () => {
  it('is what running over the whole text gives', async () => {
    const made = await text({});
    expect(made.length).toBe(14);
    noGrad(() => {
      made.forEach((token, i) => {
        const logits = model.forward(tensor([[1, 2, ...made.slice(0, i)]], { dtype: 'int32' }), { last: true });
        expect(logits.argmax().itemSync()).toBe(token);
      });
    });
  });
  it('goes on beyond the context when told to, with its last half', async () => {
    const made = await text({ slide: true, maxTokens: 40 });
    expect(made.slice(0, 14)).toEqual(await text({}));
    // The cache holds 16 tokens, the last of which makes token 17; then 8 are read again, and so on.
    const all = [1, 2, ...made];
    for (const [from, to] of [
      [9, 17],
      [9, 25],
      [18, 26],
      [18, 34],
    ] as const) {
      const logits = noGrad(() => model.forward(tensor([all.slice(from, to)], { dtype: 'int32' }), { last: true }));
      expect(logits.argmax().itemSync()).toBe(all[to]);
    }
    const long = Array.from({ length: 40 }, (_, i) => i % 11);
    expect(await text({ slide: true, maxTokens: 3 }, long)).toHaveLength(3);
  });
  it('stops at tokens and on conditions', async () => {
    const made = await text({});
    expect(await text({ stop: [made[3]!] })).toEqual(made.slice(0, made.indexOf(made[3]!)));
    expect(await text({ stop: (tokens) => tokens.length === 4 })).toEqual(made.slice(0, 4));
    expect(await text({ maxTokens: 0 })).toEqual([]);
  });
  it('ends with a signal, and frees its cache however it is left', async () => {
    const before = await liveHandles();
    const controller = new AbortController();
    const seen: number[] = [];
    const run = async (): Promise<void> => {
      for await (const token of model.generate([1], { signal: controller.signal, slide: true })) {
        seen.push(token);
        if (seen.length === 5) controller.abort();
      }
    };
    await expect(run()).rejects.toHaveProperty('name', 'AbortError');
    expect(seen.length).toBe(5);
    await expect(text({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    for await (const token of model.generate([1])) {
      expect(token).toBeGreaterThanOrEqual(0);
      break;
    }
    await expect(
      text({
        stop: () => {
          throw new Error('no');
        },
      }),
    ).rejects.toThrow('no');
    expect(await liveHandles()).toBe(before);
    expect(memory().handles).toBe(before);
  });
  it('leaves the event loop free', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await text({ slide: true, maxTokens: 120 });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });
  it('refuses what cannot be, and says which', async () => {
    const long = Array.from({ length: 17 }, () => 1);
    for (const [options, prompt, message] of [
      [{}, [], 'generate: expected at least one token to start with'],
      [{}, [1, 11], 'generate: expected prompt[1] to be an integer in [0, 10], got 11'],
      [{}, [-1], 'generate: expected prompt[0] to be an integer in [0, 10], got -1'],
      [{}, long, 'generate: expected a prompt of at most 16 tokens, the context, got 17'],
      [{ maxTokens: 15 }, [1, 2], 'generate: expected maxTokens of at most 14 after 2 of a context of 16, got 15'],
      [{ temperature: -1 }, [1], 'expected temperature to be a number of at least 0, got -1'],
      [{ topK: 0 }, [1], 'expected topK to be an integer of at least 1, got 0'],
      [{ topP: 2 }, [1], 'expected topP to be a number in [0, 1], got 2'],
      [{ stop: [99] }, [1], 'expected stop[0] to be an integer in [0, 10], got 99'],
      [{ signal: {} as AbortSignal }, [1], 'expected signal to be an AbortSignal, got an object'],
    ] as const) {
      const attempt = text(options, prompt);
      await expect(attempt).rejects.toThrow(message);
      await expect(attempt).rejects.toThrow(ValueError);
    }
    expect(numbers(model.wte.weight).every(Number.isFinite)).toBe(true);
  });
});
