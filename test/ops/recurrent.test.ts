import { describe, expect, it } from 'vitest';
import { grad, gradcheck, gradgradcheck, noGrad, recurrent, tensor, type Cell, type Tensor } from '../../lib/index.js';
import { composedRecurrent, gatesOf, type RecurrentInputs } from '../../lib/ops/recurrent.js';
import { distance, floats, numbers, values } from '../nn/values.js';

interface Sizes {
  steps: number;
  batch: number;
  input: number;
  hidden: number;
}

const cells: Cell[] = ['tanh', 'relu', 'lstm', 'gru'];

/** Inputs of a layer, all of which require gradients; `parts` leaves some out. */
function make(
  cell: Cell,
  { steps, batch, input, hidden }: Sizes,
  dtype: 'float32' | 'float64',
  parts = 'hcb',
): RecurrentInputs {
  const rows = gatesOf(cell) * hidden;
  let seed = 1;
  const of = (...shape: number[]): Tensor => {
    const count = shape.reduce((a, b) => a * b, 1);
    return floats(values(count, 13 * seed++, -0.9, 0.9), shape, dtype).requiresGrad_();
  };
  return {
    x: of(steps, batch, input),
    h0: parts.includes('h') ? of(batch, hidden) : null,
    c0: parts.includes('c') && cell === 'lstm' ? of(batch, hidden) : null,
    weightIh: of(rows, input),
    weightHh: of(rows, hidden),
    biasIh: parts.includes('b') ? of(rows) : null,
    biasHh: parts.includes('b') ? of(rows) : null,
  };
}

const present = (inputs: RecurrentInputs): Tensor[] => Object.values(inputs).filter((x) => x !== null) as Tensor[];

interface Options {
  reverse?: boolean;
  lengths?: Tensor | null;
}

/** Outputs and the gradients of a sum that weighs every element of every output differently. */
function outcome(
  inputs: RecurrentInputs,
  cell: Cell,
  fused: boolean,
  { reverse = false, lengths = null }: Options,
): number[][] {
  const { y, hn, cn } = (fused ? recurrent : composedRecurrent)(inputs, cell, { reverse, lengths });
  const outputs = cn === null ? [y, hn] : [y, hn, cn];
  const weights = outputs.map((o, i) => floats(values(o.numel, 7 + i, -1, 1), [...o.shape], 'float64').to(o.dtype));
  const grads = grad(outputs, present(inputs), { gradOutputs: weights });
  return [...outputs, ...grads].map(numbers);
}

describe.each(cells)('recurrent: %s', (cell) => {
  const sizes: [string, Sizes, string, Options][] = [
    ['odd sizes', { steps: 5, batch: 3, input: 4, hidden: 7 }, 'hcb', {}],
    ['reverse', { steps: 4, batch: 2, input: 3, hidden: 5 }, 'hcb', { reverse: true }],
    ['without states and biases', { steps: 3, batch: 2, input: 3, hidden: 9 }, '', {}],
    ['one step', { steps: 1, batch: 4, input: 3, hidden: 6 }, 'hcb', {}],
    ['one step from zeros', { steps: 1, batch: 2, input: 3, hidden: 4 }, 'b', {}],
    ['many rows', { steps: 3, batch: 101, input: 2, hidden: 17 }, 'hcb', {}],
    ['many units', { steps: 3, batch: 50, input: 8, hidden: 130 }, 'hcb', {}],
    [
      'lengths',
      { steps: 5, batch: 4, input: 3, hidden: 6 },
      'hcb',
      { lengths: tensor([5, 1, 3, 4], { dtype: 'int32' }) },
    ],
    [
      'lengths in reverse',
      { steps: 4, batch: 3, input: 3, hidden: 6 },
      'hc',
      { lengths: tensor([1, 4, 2], { dtype: 'int32' }), reverse: true },
    ],
  ];
  it.each(sizes)('%s: outputs and gradients equal those of its parts', (_, size, parts, options) => {
    for (const [dtype, tolerance] of [
      ['float64', 1e-11],
      ['float32', 2e-4],
    ] as const) {
      const inputs = make(cell, size, dtype, parts);
      const got = outcome(inputs, cell, true, options);
      const want = outcome(make(cell, size, 'float64', parts), cell, false, options);
      got.forEach((g, i) => expect(distance(g, want[i]!)).toBeLessThan(tolerance));
    }
  });

  const few: Sizes = { steps: 3, batch: 2, input: 2, hidden: 3 };
  const all = (make_: RecurrentInputs): [(...list: Tensor[]) => Tensor, Tensor[]] => {
    const names = Object.entries(make_).flatMap(([name, x]) => (x === null ? [] : [name]));
    const fn = (...list: Tensor[]): Tensor => {
      const inputs = { ...make_, ...Object.fromEntries(names.map((name, i) => [name, list[i]!])) };
      const { y, hn, cn } = recurrent(inputs, cell);
      const ends = cn === null ? hn.mul(2) : hn.mul(2).add(cn);
      return y.square().sum().add(ends.square().sum());
    };
    return [fn, present(make_)];
  };
  it('has the gradients of central differences', () => {
    expect(gradcheck(...all(make(cell, few, 'float64')))).toBe(true);
  });
  it('has the second derivatives of central differences', () => {
    expect(gradgradcheck(...all(make(cell, { ...few, steps: 2 }, 'float64')))).toBe(true);
  });
});

describe('recurrent', () => {
  const size: Sizes = { steps: 3, batch: 2, input: 2, hidden: 3 };
  it('gives gradients through the last states alone', () => {
    for (const cell of cells) {
      const inputs = make(cell, size, 'float64');
      const { y, hn } = recurrent(inputs, cell);
      const [a] = grad(hn.square().sum(), inputs.x, { retainGraph: true });
      const [b] = grad(y.select(0, 2).square().sum(), inputs.x);
      expect(distance(numbers(a), numbers(b))).toBeLessThan(1e-13);
    }
  });
  it('keeps nothing when nothing is recorded', () => {
    const inputs = make('lstm', size, 'float32');
    expect(noGrad(() => recurrent(inputs, 'lstm')).y.requiresGrad).toBe(false);
  });
  it('refuses what does not fit, at the call', () => {
    const inputs = make('lstm', size, 'float32');
    const call = (change: Partial<RecurrentInputs>) => () => recurrent({ ...inputs, ...change }, 'lstm');
    expect(call({ x: inputs.x.select(0, 0) })).toThrow('recurrent: expected input of shape [T, B, I], got [2, 2]');
    expect(call({ x: inputs.x.slice(0, 0, 0) })).toThrow(
      'recurrent: expected at least one step, got input of shape [0, 2, 2]',
    );
    expect(call({ h0: inputs.weightIh })).toThrow('recurrent: expected h0 of shape [2, 3], got [12, 2]');
    expect(call({ weightIh: inputs.weightHh })).toThrow('recurrent: expected weightIh of shape [12, 2], got [12, 3]');
    expect(call({ biasHh: inputs.biasHh!.to('float64') })).toThrow('recurrent: expected input and biasHh of one dtype');
  });
});
