import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';
import { additiveScores } from '../../lib/ops/attention.js';
import { recurrent, type Cell } from '../../lib/ops/recurrent.js';
import { spread, type Case } from './case.js';

const attended = (name: string, options: m.AttentionOptions = {}): Case => ({
  name: `scaledDotProductAttention ${name}`,
  inputs: () => [spread([2, 3, 4]), spread([2, 5, 4], 1), spread([2, 5, 3], 2)],
  fn: (q, k, v) => m.scaledDotProductAttention(q, k, v, options),
});

const cell = (kind: Cell, gates: number, reverse = false): Case => ({
  name: `recurrent ${kind}${reverse ? ' backwards' : ''}`,
  inputs: () => [
    spread([3, 2, 2]),
    spread([2, 3], 1),
    spread([gates * 3, 2], 2),
    spread([gates * 3, 3], 3),
    spread([gates * 3], 4),
    spread([gates * 3], 5),
  ],
  fn: (x, h0, weightIh, weightHh, biasIh, biasHh) => {
    const c0 = kind === 'lstm' ? h0.mul(0.5) : null;
    const { y, hn, cn } = recurrent({ x, h0, c0, weightIh, weightHh, biasIh, biasHh }, kind, { reverse });
    const ends: Tensor[] = cn === null ? [hn] : [hn, cn.mul(2)];
    return m.cat([y, m.stack(ends)]);
  },
});

/** Attention and recurrent cells. */
export const sequenceCases: Case[] = [
  { name: 'additiveScores', inputs: () => [spread([3, 4]), spread([5, 3, 4], 1), spread([4], 2)], fn: additiveScores },
  attended('plain'),
  attended('causal', { causal: true, scale: 0.7 }),
  attended('masked', { mask: m.tensor([true, false, true, true, false]) }),
  {
    name: 'scaledDotProductAttention with a bias',
    inputs: () => [spread([3, 4]), spread([5, 4], 1), spread([5, 3], 2), spread([3, 5], 3)],
    fn: (q, k, v, mask) => m.scaledDotProductAttention(q, k, v, { mask }),
  },
  {
    name: 'attentionWeights',
    inputs: () => [spread([3, 4]), spread([5, 4], 1)],
    fn: (q, k) => m.attentionWeights(q, k, { causal: true }),
  },
  cell('tanh', 1),
  cell('relu', 1, true),
  cell('lstm', 4),
  cell('gru', 3, true),
];
