import { composedGradients } from '../autograd/compose.js';
import { accumulator, isGradEnabled, type Rule } from '../autograd/graph.js';
import { BOOL } from '../dtype.js';
import { DTypeError, ShapeError } from '../errors.js';
import { checkBoolean, checkNumber } from '../check.js';
import { free, newSavedStorages } from '../native/storage.js';
import { code as opcodeOf, emit } from '../native/stream.js';
import type { Generator } from '../random.js';
import { broadcastShapes, formatShape, numelOf, sameShape, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { checkFloat, checkSameDType, checkTensor, record, recording, result, savedResult } from './apply.js';
import { add, ge, logicalAnd, mul } from './binary.js';
import { contiguous } from './cast.js';
import { arange, where, zeros } from './create.js';
import { gemmNs, matmul } from './matmul.js';
import { drawDropout, dropWith } from './random.js';
import { amax } from './reduce.js';
import { softmax } from './softmax.js';
import { tanh } from './unary.js';
import { expand, narrow, permute, transpose, unsqueeze, viewAs } from './views.js';

const ATTENTION = opcodeOf('attention');
const ATTENTION_BACKWARD = opcodeOf('attention_backward');
const ATTENTION_MASK_BACKWARD = opcodeOf('attention_mask_backward');
const ADDITIVE_SCORES = opcodeOf('additive_scores');
const ADDITIVE_SCORES_BACKWARD = opcodeOf('additive_scores_backward');
const MATMUL = opcodeOf('matmul');

/** Options of {@link scaledDotProductAttention}. */
export interface AttentionOptions {
  /** Broadcasts to (…, Tq, Tk): bool, where true lets a query see a key, or float, added to the scores. */
  mask?: Tensor | null;
  /** Query i sees keys 0 … i only. Default false. */
  causal?: boolean;
  /** Factor of the scores; default 1/√D. */
  scale?: number;
  /** Probability of dropping a weight; default 0. */
  dropout?: number;
  generator?: Generator | undefined;
}

interface Heads {
  /** (N, H, Tq, D), (N, H, Tk, D), (N, H, Tk, Dv), the last dimension contiguous. */
  q: Tensor;
  k: Tensor;
  v: Tensor;
  /** Of 4 dimensions that broadcast to (N, H, Tq, Tk), or null. */
  mask: Tensor | null;
  scale: number;
  causal: boolean;
}

interface Spec {
  scale: number;
  causal: boolean;
  /** What dropout of the weights draws from, and its probability: the parameters of `dropout`. */
  dropout: readonly number[];
  heads: number;
  /** How many of q, k and v each source holds: 1 1 1 in (N,H,T,D); 3, or 1 2, side by side in (N,T,count·H·D). */
  counts: readonly number[];
  masked: boolean;
}

type Sources = readonly (Tensor | null)[];

const attentionRule: Rule = {
  name: 'scaledDotProductAttention',
  backward: (dy, node) => {
    const spec = node.extra as Spec;
    const { counts } = spec;
    const n = counts.length;
    const sources = counts.map((_, i) => node.saved(i));
    const mask = spec.masked ? node.saved(n) : null;
    if (isGradEnabled()) {
      const inputs: Sources = [...sources, mask];
      const compose = (list: Sources): Tensor[] => {
        const heads = split(list.slice(0, n) as Tensor[], list[n] ?? null, spec);
        const out = composed(heads, spec.dropout);
        return [isPacked(spec) ? flat(out) : out];
      };
      return composedGradients(node, inputs, compose, [dy]);
    }
    const { q, k, v } = split(sources, mask, spec);
    const [out, statistics] = [n + 1, n + 2].map((i) => node.saved(spec.masked ? i : i - 1)) as [Tensor, Tensor];
    const [batch, heads, tq, d] = q.shape as [number, number, number, number];
    const rows = isPacked(spec) ? headsOf(dy, 0, 1, heads) : dy;
    const inputs = [q, k, v, wholeMask(mask, q, k), out, statistics, lastContiguous(rows)];
    const lengths = [tq, k.shape[2]!, k.shape[2]!];
    const widths = [d, d, v.shape[3]!];
    let next = 0;
    const grads = counts.map((count) => {
      const at = next;
      next += count;
      return result([batch, lengths[at]!, count, heads, widths[at]!], q.code);
    });
    emit(ATTENTION_BACKWARD, inputs, grads, parametersOf(spec), gemmNs(5 * q.numel * k.shape[2]!));
    const found: Tensor[] = grads.map((g, i) => {
      const [, t, count, h, w] = g.shape as [number, number, number, number, number];
      if (isPacked(spec)) return viewAs(g, sources[i]!.shape);
      return g.asView([batch, h, t, w], [t * count * h * w, w, count * h * w, 1], 0);
    });
    if (!node.needs(n)) return found;
    const dmask = result(mask!.shape, q.code);
    emit(ATTENTION_MASK_BACKWARD, inputs, [dmask], parametersOf(spec), gemmNs(2 * q.numel * k.shape[2]!));
    return [...found, dmask];
  },
};

const parametersOf = ({ scale, causal, dropout }: Spec): number[] => [scale, causal ? 1 : 0, ...dropout];

/** The mask as (N, H, Tq, Tk), without a copy. */
const wholeMask = (mask: Tensor | null, q: Tensor, k: Tensor): Tensor | null =>
  mask === null ? null : expand(mask.detach(), [...q.shape.slice(0, 3), k.shape[2]!]);

const isPacked = ({ counts }: Spec): boolean => counts.length < 3;

/** Part `part` of `count` side by side in x (N, T, count·H·D) as (N, H, T, D). */
function headsOf(x: Tensor, part: number, count: number, heads: number): Tensor {
  const [n, t, width] = x.shape as [number, number, number];
  const size = width / count;
  const own = count === 1 ? x : narrow(x, 2, part * size, size);
  return permute(viewAs(own, [n, t, heads, size / heads]), [0, 2, 1, 3]);
}

/** (N, H, T, D) as (N, T, H·D). */
function flat(x: Tensor): Tensor {
  const [n, h, t, d] = x.shape as [number, number, number, number];
  return viewAs(transpose(x, 1, 2), [n, t, h * d]);
}

function split(sources: readonly Tensor[], mask: Tensor | null, spec: Spec): Heads {
  const { counts, heads, scale, causal } = spec;
  const parts = sources.flatMap((x, i) => {
    const count = counts[i]!;
    return isPacked(spec) ? Array.from({ length: count }, (_, part) => headsOf(x, part, count, heads)) : [x];
  });
  const [q, k, v] = parts as [Tensor, Tensor, Tensor];
  return { q, k, v, mask, scale, causal };
}

/** x itself when its last dimension is contiguous, else a copy. */
const lastContiguous = (x: Tensor): Tensor =>
  x.stridesOrNull === null || x.shape[x.ndim - 1]! <= 1 || x.stridesOrNull[x.ndim - 1] === 1 ? x : contiguous(x);

/** Runs the fused kernel on sources that `split` takes apart; (N,H,Tq,Dv), or (N,Tq,H·Dv) for sources side by side. */
function fused(sources: readonly Tensor[], mask: Tensor | null, spec: Spec): Tensor {
  const { q, k, v } = split(
    sources.map((x) => x.detach()),
    mask,
    spec,
  );
  const [n, h, tq] = q.shape as [number, number, number, number];
  const dv = v.shape[3]!;
  const rows = result([n, tq, h, dv], q.code);
  const [kept] = newSavedStorages(1) as [never];
  const statistics = savedResult(kept, [2, n, h, tq], q.code);
  emit(
    ATTENTION,
    [q, k, v, wholeMask(mask, q, k)],
    [rows, statistics],
    parametersOf(spec),
    gemmNs(2 * q.numel * k.shape[2]!) + 2 * n * h * tq * k.shape[2]!,
  );
  const out = isPacked(spec)
    ? rows.asView([n, tq, h * dv], null, 0)
    : rows.asView([n, h, tq, dv], [tq * h * dv, dv, h * dv, 1], 0);
  const inputs = [...sources, mask];
  if (!recording(inputs)) {
    free(statistics.storage);
    return out;
  }
  const saved = mask === null ? [...sources, rows, statistics] : [...sources, mask, rows, statistics];
  return record(attentionRule, out, inputs, saved, spec);
}

/** The weights (…, Tq, Tk): 0 in rows that see nothing. */
function weights(q: Tensor, k: Tensor, mask: Tensor | null, scale: number, causal: boolean): Tensor {
  const scores = mul(matmul(q, transpose(k, -2, -1)), scale);
  const [tq, tk] = scores.shape.slice(-2) as [number, number];
  let masked = scores;
  let seen: Tensor | null = null;
  if (causal) {
    seen = ge(unsqueeze(arange(0, tq, 1, { dtype: 'int32' }), 1), arange(0, tk, 1, { dtype: 'int32' }));
  }
  if (mask !== null && mask.code === BOOL) seen = seen === null ? mask : logicalAnd(seen, mask);
  else if (mask !== null) masked = add(masked, mask);
  if (seen !== null) masked = where(seen, masked, -Infinity);
  if (tk === 0) return masked;
  if (seen === null && mask === null) return softmax(masked, -1);
  const some = amax(masked.detach(), -1, true).ne(-Infinity);
  return where(some, softmax(where(some, masked, 0), -1), 0);
}

/** The same out of differentiable parts. */
function composed({ q, k, v, mask, scale, causal }: Heads, dropout: readonly number[]): Tensor {
  const p = weights(q, k, mask, scale, causal);
  return matmul(dropout[3]! > 0 ? dropWith(p, dropout) : p, v);
}

/** The parameters of dropout of `n` weights, drawn where it is a matter of chance. */
const drawn = (fn: string, p: number, generator: Generator | undefined, n: number): number[] =>
  p > 0 && p < 1 ? [...drawDropout(fn, generator, n), p] : [0, 0, 0, p];

/** Throws unless the mask broadcasts to `full`. */
function checkMask(fn: string, mask: Tensor | null, q: Tensor, full: Shape): Tensor | null {
  if (mask === null) return null;
  checkTensor(fn, 'mask', mask);
  if (mask.code !== BOOL && mask.code !== q.code) {
    throw new DTypeError(`${fn}: expected mask of dtype bool or ${q.dtype}, got ${mask.dtype}`);
  }
  const lead = full.length - mask.ndim;
  if (lead < 0 || mask.shape.some((size, i) => size !== 1 && size !== full[i + lead])) {
    throw new ShapeError(
      `${fn}: expected a mask that broadcasts to ${formatShape(full)}, got ${formatShape(mask.shape)}`,
    );
  }
  return mask;
}

interface Prepared extends Heads {
  lead: Shape;
}

/** Checks and broadcasts the operands; all get the same leading dimensions. */
function prepare(fn: string, query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions): Prepared {
  const { mask = null, causal = false } = options;
  checkFloat(fn, 'query', query);
  for (const [name, x] of [
    ['key', key],
    ['value', value],
  ] as const) {
    checkFloat(fn, name, x);
    checkSameDType(fn, 'query', query, name, x);
  }
  for (const [name, x] of Object.entries({ query, key, value })) {
    if (x.ndim < 2) throw new ShapeError(`${fn}: expected ${name} of shape [..., T, D], got ${formatShape(x.shape)}`);
  }
  checkBoolean(fn, 'causal', causal);
  const d = query.shape[query.ndim - 1]!;
  const [tk, dk] = key.shape.slice(-2) as [number, number];
  if (dk !== d) throw new ShapeError(`${fn}: expected key of shape [..., T, ${d}], got ${formatShape(key.shape)}`);
  if (value.shape[value.ndim - 2] !== tk) {
    throw new ShapeError(`${fn}: expected value of shape [..., ${tk}, D], got ${formatShape(value.shape)}`);
  }
  const scale = checkNumber(fn, 'scale', options.scale ?? 1 / Math.sqrt(Math.max(d, 1)));
  const lead = [query, key, value]
    .map((x) => x.shape.slice(0, -2))
    .reduce<Shape>((a, b) => broadcastShapes(fn, a, b), []);
  const whole = (x: Tensor): Tensor =>
    sameShape(x.shape.slice(0, -2), lead) ? x : expand(x, [...lead, ...x.shape.slice(-2)]);
  const [q, k, v] = [whole(query), whole(key), whole(value)];
  const full = [...lead, query.shape[query.ndim - 2]!, tk];
  return { q, k, v, mask: checkMask(fn, mask, query, full), scale, causal, lead };
}

/** (…, A, B) as (N, H, A, B). */
function fourDimensional(x: Tensor): Tensor {
  const missing = new Array<number>(Math.max(4 - x.ndim, 0)).fill(1);
  return viewAs(x, [...missing, ...fold(x.shape)]);
}

/** A shape of at most four dimensions, the first ones made one. */
const fold = (shape: Shape): Shape => (shape.length <= 4 ? shape : [numelOf(shape.slice(0, -3)), ...shape.slice(-3)]);

/** A mask that broadcasts to `full` as one of 4 dimensions. */
function foldMask(mask: Tensor, full: Shape): Tensor {
  const repeats = numelOf(mask.shape.slice(0, -3)) === 1;
  return fourDimensional(full.length <= 4 || repeats ? mask : expand(mask, full));
}

/**
 * softmax(scale·q kᵀ + mask) v (Vaswani et al., "Attention is all you need", 2017) with q (…, Tq, D), k (…, Tk, D) and
 * v (…, Tk, Dv); gives (…, Tq, Dv). The matrix of scores is never built (Dao et al., "FlashAttention", 2022), but for derivatives of
 * second order. A query that sees no key gets zeros.
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions = {},
): Tensor {
  const fn = 'scaledDotProductAttention';
  const p = checkNumber(fn, 'dropout', options.dropout ?? 0, { min: 0, max: 1 });
  const heads = prepare(fn, query, key, value, options);
  const { lead, scale, causal } = heads;
  const [q, k, v] = [heads.q, heads.k, heads.v].map((x) => lastContiguous(fourDimensional(x))) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const full = [...lead, q.shape[2]!, k.shape[2]!];
  const mask = heads.mask === null ? null : foldMask(heads.mask, full);
  const dropout = drawn(fn, p, options.generator, numelOf(full));
  const spec: Spec = { scale, causal, dropout, heads: q.shape[1]!, counts: [1, 1, 1], masked: mask !== null };
  const out = fused([q, k, v], mask, spec);
  return viewAs(out, [...lead, ...out.shape.slice(-2)]);
}

/**
 * The weights of {@link scaledDotProductAttention}, softmax(scale·q kᵀ + mask) of shape (…, Tq, Tk), for pictures and for what needs
 * them; 0 in rows that see nothing.
 */
export function attentionWeights(query: Tensor, key: Tensor, options: Omit<AttentionOptions, 'dropout'> = {}): Tensor {
  const { q, k, mask, scale, causal } = prepare('attentionWeights', query, key, key, options);
  return weights(q, k, mask, scale, causal);
}

/**
 * Attention of `heads` heads on projections that lie side by side: one source (N, T, 3·H·D) of q, k and v, or two, q (N, Tq, H·D) and
 * (N, Tk, 2·H·D) of k and v. Gives (N, Tq, H·D). `mask` broadcasts to (N, H, Tq, Tk). @internal
 */
export function packedAttention(
  sources: readonly [Tensor] | readonly [Tensor, Tensor],
  heads: number,
  { mask = null, causal = false, dropout = 0, generator }: Omit<AttentionOptions, 'scale'> = {},
): Tensor {
  const fn = 'attention';
  const width = sources.length === 1 ? sources[0].shape[2]! / 3 : sources[0].shape[2]!;
  const [n, tq] = sources[0].shape as [number, number];
  const full = [n, heads, tq, sources[sources.length - 1]!.shape[1]!];
  const spec: Spec = {
    scale: 1 / Math.sqrt(Math.max(width / heads, 1)),
    causal,
    dropout: drawn(fn, dropout, generator, numelOf(full)),
    heads,
    counts: sources.length === 1 ? [3] : [1, 2],
    masked: mask !== null,
  };
  const checked = checkMask(fn, mask, sources[0], full);
  return fused(sources.map(lastContiguous), checked === null ? null : fourDimensional(checked), spec);
}

const additiveScoresRule: Rule = {
  name: 'additiveScores',
  backward: (dy, node) => {
    const inputs = [0, 1, 2].map((i) => node.saved(i)) as [Tensor, Tensor, Tensor];
    if (isGradEnabled()) {
      const compose = ([query, keys, v]: Sources): Tensor[] => [
        matmul(tanh(add(keys!, query!)), unsqueeze(v!, 1)).squeeze(2),
      ];
      return composedGradients(node, inputs, compose, [dy]);
    }
    const [query, keys, v] = inputs;
    const present = accumulator(node.inputs[1]!);
    const dquery = result(query.shape, query.code);
    const dkeys = present ?? result(keys.shape, keys.code);
    const dv = result(v.shape, v.code);
    emit(
      ADDITIVE_SCORES_BACKWARD,
      [contiguous(dy), query, keys, v],
      [dquery, dkeys, dv],
      [present === null ? 0 : 1],
      2 * keys.numel,
    );
    return [dquery, present === null ? dkeys : null, dv];
  },
};

/**
 * The scores of additive attention (Bahdanau et al., 2015), v · tanh(query + key): query (B, A), keys (S, B, A) and v (A) give (S, B).
 * @internal
 */
export function additiveScores(query: Tensor, keys: Tensor, v: Tensor): Tensor {
  const fn = 'additiveScores';
  checkFloat(fn, 'query', query);
  checkFloat(fn, 'keys', keys);
  checkFloat(fn, 'v', v);
  checkSameDType(fn, 'query', query, 'keys', keys);
  checkSameDType(fn, 'query', query, 'v', v);
  if (keys.ndim !== 3) throw new ShapeError(`${fn}: expected keys of shape [S, B, A], got ${formatShape(keys.shape)}`);
  const [s, b, a] = keys.shape as [number, number, number];
  if (!sameShape(query.shape, [b, a])) {
    throw new ShapeError(`${fn}: expected query of shape [${b}, ${a}], got ${formatShape(query.shape)}`);
  }
  if (!sameShape(v.shape, [a])) throw new ShapeError(`${fn}: expected v of shape [${a}], got ${formatShape(v.shape)}`);
  const inputs = [query, keys, v].map(contiguous);
  const out = result([s, b], query.code);
  emit(ADDITIVE_SCORES, inputs, [out], [], 2 * keys.numel);
  return record(additiveScoresRule, out, inputs, inputs);
}

/** (S, B, M) as a batch of matrices (B, S, M). */
const byRow = (x: Tensor): Tensor => permute(x, [1, 0, 2]);
/** out (B, M, N) = a (B, M, K) · b (B, K, N) + add · out. */
const products = (a: Tensor, b: Tensor, out: Tensor, add: boolean): void =>
  emit(MATMUL, [a, b, null], [out], [0, add ? 1 : 0], gemmNs(a.numel * b.shape[2]!));

const weightedSumRule: Rule = {
  name: 'weightedSum',
  backward: (dy, node) => {
    const weights = node.saved(0);
    const memory = node.saved(1);
    if (isGradEnabled()) {
      const compose = ([w, m]: Sources): Tensor[] => [mul(unsqueeze(w!, 2), m!).sum(0)];
      return composedGradients(node, [weights, memory], compose, [dy]);
    }
    const present = accumulator(node.inputs[1]!);
    const dmemory = present ?? (node.needs(1) ? zeros(memory.shape, { dtype: memory.dtype }) : null);
    if (dmemory !== null) products(byRow(unsqueeze(weights, 2)), unsqueeze(dy, 1), byRow(dmemory), true);
    let dweights: Tensor | null = null;
    if (node.needs(0)) {
      const rows = result([memory.shape[1]!, memory.shape[0]!], memory.code);
      products(byRow(memory), unsqueeze(dy, 2), unsqueeze(rows, 2), false);
      dweights = transpose(rows, 0, 1);
    }
    return [dweights, present === null ? dmemory : null];
  },
};

/** Σ_s weights_s memory_s: weights (S, B) and memory (S, B, M) give (B, M). @internal */
export function weightedSum(weights: Tensor, memory: Tensor): Tensor {
  const fn = 'weightedSum';
  checkFloat(fn, 'weights', weights);
  checkFloat(fn, 'memory', memory);
  checkSameDType(fn, 'weights', weights, 'memory', memory);
  if (memory.ndim !== 3 || !sameShape(weights.shape, memory.shape.slice(0, 2))) {
    throw new ShapeError(
      `${fn}: expected memory of shape [S, B, M] and weights of shape [S, B], got ${formatShape(memory.shape)} and ${formatShape(weights.shape)}`,
    );
  }
  const out = result(memory.shape.slice(1), memory.code);
  products(byRow(unsqueeze(weights.detach(), 2)).transpose(1, 2), byRow(memory.detach()), unsqueeze(out, 1), false);
  return record(weightedSumRule, out, [weights, memory], [weights, memory]);
}
