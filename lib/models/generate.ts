import { setImmediate } from 'node:timers/promises';
import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { checkBoolean, checkInteger, checkNumber, show } from '../check.js';
import { ValueError } from '../errors.js';
import { tensor } from '../ops/create.js';
import { rand } from '../ops/random.js';
import { defaultGenerator, type Generator } from '../random.js';
import type { Tensor } from '../tensor.js';

/** Keys and values of the tokens seen so far, one pair a layer, (B, heads, capacity, width / heads). */
export interface KVCache {
  readonly layers: readonly { readonly k: Tensor; readonly v: Tensor }[];
  readonly capacity: number;
  /** Tokens in it. */
  length: number;
}

/** Options of a call of a decoder. */
export interface DecoderCallOptions {
  /** Keys and values of earlier tokens, made by `newCache`; those of these tokens are added. Without gradients only. */
  readonly cache?: KVCache | null;
  /** Logits of the last token only. */
  readonly last?: boolean;
}

/** A decoder that can generate: tokens (B, T) of int32 to logits (B, T, vocabulary), with a cache of keys and values. */
export interface CausalModel {
  readonly config: { readonly vocabulary: number; readonly context: number };
  newCache(capacity?: number): KVCache;
  forward(tokens: Tensor, options?: DecoderCallOptions): Tensor;
}

/** Options of {@link generateTokens}. */
export interface GenerateOptions {
  /** How many tokens to add; to the end of the context when left out, without end when `slide` is true. */
  readonly maxTokens?: number;
  /** 0, the default, takes the likeliest token; above 0 the logits are divided by it and a token is drawn. */
  readonly temperature?: number;
  /** Draw among the k likeliest only. */
  readonly topK?: number;
  /** Draw among the likeliest that together reach probability p only (Holtzman et al., 2020). */
  readonly topP?: number;
  /** Tokens that end the text; they are not returned. Or a condition on all tokens made so far, whose last one is returned. */
  readonly stop?: readonly number[] | ((made: readonly number[]) => boolean);
  /** What to do at the end of the context: go on with the last half of it as the text so far (true), or end there; false. */
  readonly slide?: boolean;
  /** Ends the text: the next token rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  readonly generator?: Generator;
}

/** Longest stretch without a turn of the event loop, in milliseconds. */
const STRETCH = 4;

/**
 * A function to be awaited between steps: small models answer at once, within microtasks, and after a while of them it gives the event
 * loop its turn.
 */
export function loopTurns(): () => Promise<void> {
  let turned = performance.now();
  return async () => {
    if (performance.now() - turned < STRETCH) return;
    await setImmediate();
    turned = performance.now();
  };
}

/**
 * Continues `prompt` token by token; the event loop is free in between. Leaving the loop, an error and a signal all free the
 * cache. Drawing is reproducible by the generator: the same state gives the same text.
 * @throws ValueError for no prompt, tokens outside the vocabulary, and lengths beyond the context unless `slide` is true
 */
export async function* generateTokens(
  model: CausalModel,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<number, void, undefined> {
  const { vocabulary, context } = model.config;
  const settings = checked(vocabulary, context, prompt, options);
  const { count, slide, ends, signal } = settings;
  signal?.throwIfAborted();
  let cache = model.newCache(slide ? context : prompt.length + count);
  try {
    const text = slide ? [...prompt] : null;
    const made: number[] = [];
    let next = prompt.slice(-context);
    const turn = loopTurns();
    for (let n = 0; n < count; n++) {
      if (cache.length + next.length > cache.capacity) {
        free(cache);
        cache = model.newCache(context);
        next = text!.slice(-Math.ceil(context / 2));
      }
      const token = await nextToken(model, next, cache, settings);
      await turn();
      signal?.throwIfAborted();
      if (ends instanceof Set && ends.has(token)) return;
      yield token;
      signal?.throwIfAborted();
      text?.push(token);
      if (text !== null && text.length > 2 * context) text.splice(0, text.length - context);
      if (typeof ends === 'function') {
        made.push(token);
        if (ends(made)) return;
      }
      next = [token];
    }
  } finally {
    free(cache);
  }
}

interface Settings {
  readonly count: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly slide: boolean;
  readonly ends: ReadonlySet<number> | ((made: readonly number[]) => boolean);
  readonly signal: AbortSignal | undefined;
  readonly generator: Generator;
}

function checked(vocabulary: number, context: number, prompt: readonly number[], options: GenerateOptions): Settings {
  const fn = 'generate';
  const { temperature = 0, topK = vocabulary, topP = 1, stop = [], slide = false, signal } = options;
  const { generator = defaultGenerator } = options;
  checkNumber(fn, 'temperature', temperature, { min: 0 });
  checkInteger(fn, 'topK', topK, { min: 1 });
  checkNumber(fn, 'topP', topP, { min: 0, max: 1 });
  checkBoolean(fn, 'slide', slide);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new ValueError(`${fn}: expected signal to be an AbortSignal, got ${show(signal)}`);
  }
  if (typeof stop !== 'function') checkTokens(fn, 'stop', stop, vocabulary);
  checkTokens(fn, 'prompt', prompt, vocabulary);
  if (prompt.length === 0) throw new ValueError(`${fn}: expected at least one token to start with`);
  if (prompt.length > context && !slide) {
    throw new ValueError(`${fn}: expected a prompt of at most ${context} tokens, the context, got ${prompt.length}`);
  }
  const room = slide ? Infinity : context - prompt.length;
  const count = options.maxTokens === undefined ? room : checkInteger(fn, 'maxTokens', options.maxTokens, { min: 0 });
  if (count > room) {
    throw new ValueError(
      `${fn}: expected maxTokens of at most ${room} after ${prompt.length} of a context of ${context}, got ${count}; ` +
        'slide: true goes on beyond it',
    );
  }
  const ends = typeof stop === 'function' ? stop : new Set(stop);
  return { count, temperature, topK, topP, slide, ends, signal, generator };
}

/** Throws unless `tokens` is an array of numbers in [0, vocabulary). */
export function checkTokens(fn: string, name: string, tokens: readonly number[], vocabulary: number): void {
  if (!Array.isArray(tokens)) throw new ValueError(`${fn}: expected ${name} to be an array, got ${show(tokens)}`);
  tokens.forEach((token, i) => checkInteger(fn, `${name}[${i}]`, token, { min: 0, max: vocabulary - 1 }));
}

function free(cache: KVCache): void {
  for (const { k, v } of cache.layers) for (const stored of [k, v]) stored.dispose();
}

async function nextToken(
  model: CausalModel,
  tokens: readonly number[],
  cache: KVCache,
  { temperature, topK, topP, generator }: Settings,
): Promise<number> {
  const last = (): Tensor => model.forward(tensor([[...tokens]], { dtype: 'int32' }), { cache, last: true });
  if (temperature === 0) return scope(() => noGrad(() => last().argmax())).item();
  const [logits, u] = await Promise.all([scope(() => noGrad(last)).data(), rand([], { generator }).item()]);
  return drawToken(logits, { temperature, topK, topP, u });
}

/** Options of {@link drawToken}. */
export interface DrawOptions {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  /** A number in [0, 1) that chooses. */
  readonly u: number;
}

/**
 * A token drawn from logits by the number u in [0, 1): among the `topK` likeliest, and of these the fewest that reach `topP`. Tokens
 * stand by falling probability; only as many are sorted as are looked at.
 * @throws ValueError when a logit is NaN or infinite, but for −∞, which is never drawn
 */
export function drawToken(
  logits: ArrayLike<number>,
  { temperature = 1, topK = Infinity, topP = 1, u }: DrawOptions,
): number {
  const n = logits.length;
  let most = -Infinity;
  for (let i = 0; i < n; i++) {
    if (!(logits[i]! < Infinity)) throw new ValueError(`drawToken: expected finite logits, got ${logits[i]} at ${i}`);
    most = Math.max(most, logits[i]!);
  }
  if (most === -Infinity) throw new ValueError('drawToken: expected a finite logit, got none');
  const weight = (i: number): number => Math.exp((logits[i]! - most) / temperature);
  const placeOf = fallingOrder(logits, most);
  let count = Math.min(topK, n);
  let mass = 0;
  if (count < n) for (let rank = 0; rank < count; rank++) mass += weight(placeOf(rank));
  else for (let i = 0; i < n; i++) mass += weight(i);
  if (topP < 1) {
    const [limit, wanted] = [count, topP * mass];
    for (count = mass = 0; count < limit && (count === 0 || mass < wanted);) mass += weight(placeOf(count++));
  }
  let left = u * mass;
  let token = placeOf(0);
  for (let rank = 0; rank < count && left >= 0; rank++) {
    const w = weight(placeOf(rank));
    if (w > 0) token = placeOf(rank);
    left -= w;
  }
  return token;
}

/** Buckets of the distance to the largest logit, 1/32 wide; the last holds the rest. */
const BUCKETS = 1024;

/** From ranks to places of the logits, the largest first, equal ones in their order; sorts the buckets that are asked for. */
function fallingOrder(logits: ArrayLike<number>, most: number): (rank: number) => number {
  const bucketOf = (i: number): number => Math.min(BUCKETS - 1, Math.floor((most - logits[i]!) * 32));
  const starts = new Int32Array(BUCKETS + 1);
  for (let i = 0; i < logits.length; i++) starts[bucketOf(i) + 1]!++;
  for (let b = 0; b < BUCKETS; b++) starts[b + 1]! += starts[b]!;
  const places = new Int32Array(logits.length);
  const next = starts.slice();
  for (let i = 0; i < logits.length; i++) places[next[bucketOf(i)]!++] = i;
  let [bucket, sorted] = [0, 0];
  return (rank) => {
    for (; sorted <= rank; sorted = starts[++bucket]!) {
      const members = places.subarray(sorted, starts[bucket + 1]);
      if (members.length > 1) members.sort((p, q) => logits[q]! - logits[p]! || p - q);
    }
    return places[rank]!;
  };
}
