import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { checkInteger, checkNumber } from '../check.js';
import { ShapeError } from '../errors.js';
import { checkTensor } from '../ops/apply.js';
import { add } from '../ops/binary.js';
import { full, tensor } from '../ops/create.js';
import { logSoftmax } from '../ops/softmax.js';
import { topk } from '../ops/sort.js';
import { reshape, unsqueeze } from '../ops/views.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { loopTurns } from './generate.js';

/** A model that writes a target token by token: what {@link greedyDecode} and {@link beamSearch} need. */
export interface StepModel<State> {
  /** Which dimension of a source counts its rows. */
  readonly batchDim: 0 | 1;
  /** What is known before the first token: a source as the model's `forward` takes it, its rows' lengths where they differ. */
  start(source: Tensor, lengths?: readonly number[] | null): State;
  /** One more token for each of B rows, (B) of int32: the logits (B, vocabulary) of the next and what is known then. */
  step(tokens: Tensor, state: State): [logits: Tensor, state: State];
  /** What is known of the rows at `index` (N); the state of a single row can be repeated. */
  rows(state: State, index: Tensor): State;
}

/** Options of {@link greedyDecode}. */
export interface DecodeOptions {
  /** The token that stands before the first. */
  readonly start: number;
  /** The token that ends a target; it is not returned. */
  readonly stop: number;
  /** Longest target; 100. */
  readonly maxTokens?: number;
  /** Tokens of each source, where they differ. */
  readonly lengths?: readonly number[] | null;
  /** Ends the search: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const int32 = (values: number[]): Tensor => tensor(values, { dtype: 'int32' });

const quiet = <T>(fn: () => T): T => scope(() => noGrad(fn));

interface Checked {
  readonly start: number;
  readonly stop: number;
  readonly maxTokens: number;
  readonly lengths: readonly number[] | null;
}

function checked(fn: string, { batchDim }: StepModel<unknown>, source: Tensor, options: DecodeOptions): Checked {
  if (checkTensor(fn, 'source', source).ndim !== 2 || source.numel === 0) {
    const wanted = batchDim === 0 ? '[B, S]' : '[S, B]';
    throw new ShapeError(`${fn}: expected source of shape ${wanted}, not empty, got ${formatShape(source.shape)}`);
  }
  const { start, stop, maxTokens = 100, lengths = null } = options;
  checkInteger(fn, 'start', start, { min: 0 });
  checkInteger(fn, 'stop', stop, { min: 0 });
  checkInteger(fn, 'maxTokens', maxTokens, { min: 1 });
  return { start, stop, maxTokens, lengths };
}

/**
 * The targets that taking the likeliest token at every step gives, one for each row of the source; without the stop token. The event
 * loop is free in between.
 * @example const [words] = await greedyDecode(model, source, { start: 1, stop: 2 });
 */
export async function greedyDecode<State>(
  model: StepModel<State>,
  source: Tensor,
  options: DecodeOptions,
): Promise<number[][]> {
  const { start, stop, maxTokens, lengths } = checked('greedyDecode', model, source, options);
  const count = source.shape[model.batchDim]!;
  const targets: number[][] = Array.from({ length: count }, () => []);
  const done = new Set<number>();
  const turn = loopTurns();
  let state = quiet(() => model.start(source, lengths));
  let tokens = full([count], start, { dtype: 'int32' });
  for (let n = 0; n < maxTokens && done.size < count; n++) {
    options.signal?.throwIfAborted();
    [tokens, state] = quiet((): [Tensor, State] => {
      const [logits, next] = model.step(tokens, state);
      return [logits.argmax(1), next];
    });
    const drawn = await tokens.data();
    targets.forEach((target, i) => {
      if (drawn[i] === stop) done.add(i);
      else if (!done.has(i)) target.push(drawn[i]!);
    });
    await turn();
  }
  return targets;
}

/** Options of {@link beamSearch}. */
export interface BeamSearchOptions extends DecodeOptions {
  /** Targets that are followed at once; 4. */
  readonly beams?: number;
  /**
   * A target of n tokens, its stop token among them, scores log p / ((5 + n) / 6)^lengthPenalty: 0 is the probability alone,
   * larger values favour longer targets; 0.6. Wu et al., "Google's neural machine translation system" (2016).
   */
  readonly lengthPenalty?: number;
  /** How many targets to return, at most `beams`; 1. */
  readonly nBest?: number;
}

/** A target that {@link beamSearch} found. */
export interface Hypothesis {
  /** Without start and stop. */
  readonly tokens: readonly number[];
  /** Natural logarithm of its probability, its stop token's included. */
  readonly logProbability: number;
  /** That with the length penalty; hypotheses stand by falling score. */
  readonly score: number;
  /** Whether it ended with the stop token, and not at `maxTokens`. */
  readonly finished: boolean;
}

/**
 * The likeliest targets of one source, found by following the `beams` best beginnings at once (Graves, "Sequence transduction with
 * recurrent neural networks", 2012). Ends when no beginning can become better than the `nBest` found. The event loop is free in between.
 */
export async function beamSearch<State>(
  model: StepModel<State>,
  source: Tensor,
  options: BeamSearchOptions,
): Promise<Hypothesis[]> {
  const fn = 'beamSearch';
  const { start, stop, maxTokens, lengths } = checked(fn, model, source, options);
  const { beams = 4, lengthPenalty = 0.6, nBest = 1, signal } = options;
  if (source.shape[model.batchDim] !== 1) {
    throw new ShapeError(`${fn}: expected one source, got ${source.shape[model.batchDim]}`);
  }
  checkInteger(fn, 'beams', beams, { min: 1 });
  checkInteger(fn, 'nBest', nBest, { min: 1, max: beams });
  checkNumber(fn, 'lengthPenalty', lengthPenalty);
  const scoreOf = (logProbability: number, length: number): number =>
    logProbability / Math.pow((5 + length) / 6, lengthPenalty);
  const found: Hypothesis[] = [];
  const keepTarget = (tokens: readonly number[], logProbability: number, finished: boolean): void => {
    const score = scoreOf(logProbability, tokens.length + (finished ? 1 : 0));
    found.push({ tokens, logProbability, score, finished });
    found.sort((a, b) => b.score - a.score);
  };
  const turn = loopTurns();
  let live = [{ tokens: [] as readonly number[], logProbability: 0, row: 0 }];
  let state = quiet(() => model.start(source, lengths));
  for (let n = 1; n <= maxTokens; n++) {
    signal?.throwIfAborted();
    const last = int32(live.map(({ tokens }) => tokens.at(-1) ?? start));
    const [values, indices, next, vocabulary] = quiet((): [Tensor, Tensor, State, number] => {
      const [logits, after] = model.step(last, state);
      const before = tensor(live.map(({ logProbability }) => logProbability));
      const totals = reshape(add(logSoftmax(logits, 1), unsqueeze(before, 1)), [-1]);
      // Half of them may end here.
      const best = topk(totals, Math.min(2 * beams, totals.numel));
      return [best.values, best.indices, after, logits.shape[1]!];
    });
    const [probabilities, places] = await Promise.all([values.data(), indices.data()]);
    const before = live;
    live = [];
    for (const [rank, place] of places.entries()) {
      const logProbability = probabilities[rank]!;
      const row = Math.floor(place / vocabulary);
      const token = place % vocabulary;
      if (!(logProbability > -Infinity) || live.length === beams) break;
      const { tokens } = before[row]!;
      if (token !== stop) live.push({ tokens: [...tokens, token], logProbability, row });
      else if (rank < beams) keepTarget(tokens, logProbability, true);
    }
    const worst = found[nBest - 1]?.score ?? -Infinity;
    const reachable = live.map(({ logProbability }) =>
      Math.max(...[n + 1, maxTokens].map((length) => scoreOf(logProbability, length))),
    );
    if (Math.max(...reachable) <= worst) live = [];
    if (live.length === 0) break;
    state = quiet(() => model.rows(next, int32(live.map(({ row }) => row))));
    await turn();
  }
  for (const { tokens, logProbability } of live) keepTarget(tokens, logProbability, false);
  return found.slice(0, nBest);
}
