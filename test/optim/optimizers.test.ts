import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { noGrad } from '../../lib/autograd/graph.js';
import { scope } from '../../lib/autograd/scope.js';
import { DisposedError, DTypeError, ShapeError, StateDictError, ValueError } from '../../lib/errors.js';
import { clipGradNorm } from '../../lib/nn/clip.js';
import { Linear } from '../../lib/nn/linear.js';
import { Parameter } from '../../lib/nn/parameter.js';
import { full, ones, zeros } from '../../lib/ops/create.js';
import { Adagrad } from '../../lib/optim/adagrad.js';
import { Adam, AdamW } from '../../lib/optim/adam.js';
import type { Optimizer, OptimizerStateDict } from '../../lib/optim/optimizer.js';
import { RMSprop } from '../../lib/optim/rmsprop.js';
import { SGD } from '../../lib/optim/sgd.js';
import type { Tensor } from '../../lib/tensor.js';
import { distance, floats, liveHandles, numbers, values } from '../nn/values.js';

interface Golden {
  seen: number[];
  optimizers: { name: string; options: Record<string, unknown>; params: number[][][] }[];
}

const golden = JSON.parse(readFileSync(new URL('../golden/optim.json', import.meta.url), 'utf8')) as Golden;

type Dtype = 'float32' | 'float64';

const camel = (key: string): string => key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

function make(name: string, options: Record<string, unknown>, params: Tensor[]): Optimizer {
  const named = Object.fromEntries(Object.entries(options).map(([key, value]) => [camel(key), value]));
  const classes = { SGD, Adam, AdamW, RMSprop, Adagrad };
  return new classes[name as keyof typeof classes](params, named);
}

const parameters = (dtype: Dtype): Parameter[] => [
  new Parameter(floats(values(6, 1), [3, 2], dtype)),
  new Parameter(floats(values(5, 2), [5], dtype)),
];

/** The gradients of the golden script: the second parameter has none in every fourth step. */
function setGradients(params: readonly Tensor[], step: number): void {
  params.forEach((p, i) => {
    const skip = i === 1 && step % 4 === 0;
    p.grad = skip ? null : floats(values(p.numel, 10 * step + i, -1, 1), p.shape, p.dtype);
  });
}

const cases = golden.optimizers.map((entry) => [`${entry.name} ${JSON.stringify(entry.options)}`, entry] as const);

describe('optimizers against PyTorch', () => {
  it.each(cases)('%s', (_, { name, options, params: expected }) => {
    for (const [dtype, tolerance] of [
      ['float64', 1e-12],
      ['float32', 3e-6],
    ] as const) {
      const params = parameters(dtype);
      const optimizer = make(name, options, params);
      for (let step = 1; step <= golden.seen.at(-1)!; step++) {
        setGradients(params, step);
        optimizer.step();
        const at = golden.seen.indexOf(step);
        if (at < 0) continue;
        params.forEach((p, i) => expect(distance(numbers(p), expected[at]![i]!)).toBeLessThan(tolerance));
      }
    }
  });

  it.each(cases)('%s continues bit for bit from its state', (_, { name, options }) => {
    const first = parameters('float32');
    const optimizer = make(name, options, first);
    for (let step = 1; step <= 6; step++) {
      setGradients(first, step);
      optimizer.step();
    }
    const second = first.map((p) => new Parameter(p.detach().clone()));
    const other = make(name, {}, second);
    other.loadStateDict(optimizer.stateDict());
    expect(other.paramGroups[0]!.lr).toBe(optimizer.paramGroups[0]!.lr);
    for (let step = 7; step <= 12; step++) {
      for (const [params, each] of [
        [first, optimizer],
        [second, other],
      ] as const) {
        setGradients(params, step);
        each.step();
      }
    }
    second.forEach((p, i) => expect(numbers(p)).toEqual(numbers(first[i]!)));
  });
});

describe('parameter groups', () => {
  it('have their own options, which may change between steps', () => {
    const [a, b] = [new Parameter(zeros([2])), new Parameter(zeros([2]))];
    const optimizer = new SGD([{ params: [a] }, { params: [b], lr: 1 }], { lr: 0.5 });
    a.grad = ones([2]);
    b.grad = ones([2]);
    optimizer.step();
    expect([...numbers(a), ...numbers(b)]).toEqual([-0.5, -0.5, -1, -1]);
    optimizer.paramGroups[0]!.lr = 2;
    optimizer.paramGroups[1]!.momentum = 0.5;
    optimizer.step();
    optimizer.step();
    expect(numbers(a)).toEqual([-4.5, -4.5]);
    expect(numbers(b)).toEqual([-3.5, -3.5]);
  });

  it('can be added', () => {
    const [a, b] = [new Parameter(zeros([1])), new Parameter(zeros([1]))];
    const optimizer = new Adam([a]);
    a.grad = ones([1]);
    b.grad = ones([1]);
    optimizer.step();
    optimizer.addParamGroup({ params: [b], lr: 0.01 });
    optimizer.step();
    expect(numbers(b)[0]).toBeCloseTo(-0.01, 7);
    expect(optimizer.paramGroups[1]!.betas).toEqual([0.9, 0.999]);
    expect(String(optimizer)).toContain('group 1: 1 parameters, lr: 0.01');
  });

  it('may mix dtypes and be long', () => {
    const params = Array.from(
      { length: 500 },
      (_, i) => new Parameter(zeros([i % 3], { dtype: i % 2 === 0 ? 'float32' : 'float64' })),
    );
    const optimizer = new SGD(params, { lr: 1, momentum: 0.9 });
    for (const p of params) p.grad = ones(p.shape, { dtype: p.dtype });
    optimizer.step();
    optimizer.step();
    const expected = (p: Tensor): number[] => Array.from({ length: p.numel }, () => -2.9);
    expect(params.every((p) => distance(numbers(p), expected(p)) < 1e-6)).toBe(true);
  });

  it('take strided gradients', () => {
    const p = new Parameter(zeros([2, 3]));
    const optimizer = new SGD([p], { lr: 1 });
    p.grad = floats([1, 2, 3, 4, 5, 6], [3, 2], 'float32').t();
    optimizer.step();
    optimizer.step();
    expect(numbers(p)).toEqual([-2, -6, -10, -4, -8, -12]);
  });
});

describe('state', () => {
  it('has PyTorch names', () => {
    const p = new Parameter(zeros([2]));
    p.grad = ones([2]);
    const named = (optimizer: Optimizer): string[] => {
      expect(optimizer.stateDict().state).toEqual({});
      optimizer.step();
      return Object.keys(optimizer.stateDict().state[0] ?? {});
    };
    expect(named(new SGD([p]))).toEqual([]);
    expect(named(new SGD([p], { momentum: 0.1 }))).toEqual(['step', 'momentum_buffer']);
    expect(named(new Adam([p], { amsgrad: true }))).toEqual(['step', 'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq']);
    const rmsprop = new RMSprop([p], { momentum: 0.1, centered: true });
    expect(named(rmsprop)).toEqual(['step', 'square_avg', 'momentum_buffer', 'grad_avg']);
    expect(named(new Adagrad([p]))).toEqual(['step', 'sum']);
  });

  it('lists every difference and changes nothing when it does not fit', () => {
    const layer = new Linear(2, 3);
    const optimizer = new Adam(layer.parameters(), { lr: 0.5 });
    layer
      .forward(ones([1, 2]))
      .sum()
      .backward();
    optimizer.step();
    const dict = optimizer.stateDict();
    const broken = {
      state: { 0: { step: -1, exp_avg: zeros([2]), exp_avg_sq: 'x' }, 7: {} },
      paramGroups: [{ ...dict.paramGroups[0]!, lr: 0.1 }],
    } as unknown as OptimizerStateDict;
    expect(() => optimizer.loadStateDict(broken)).toThrow(StateDictError);
    expect(() => optimizer.loadStateDict(broken)).toThrow(
      [
        'loadStateDict: the state does not fit Adam:',
        '  state 0: expected step to be a non-negative integer, got -1',
        '  state 0: expected exp_avg of shape [3, 2], got [2]',
        '  state 0: expected exp_avg_sq to be a Tensor, got "x"',
        '  state 7: expected at most 2 parameters',
      ].join('\n'),
    );
    const missing = { ...dict, state: { 0: { step: 1, exp_avg: zeros([3, 2]) } } };
    expect(() => optimizer.loadStateDict(missing)).toThrow('state 0: exp_avg_sq is missing');
    expect(optimizer.paramGroups[0]!.lr).toBe(0.5);
    for (const bad of [null, {}, { paramGroups: [] }, { paramGroups: [{ params: [0] }], state: {} }, 3]) {
      expect(() => optimizer.loadStateDict(bad as never)).toThrow(StateDictError);
    }
    const negative = { state: {}, paramGroups: [{ params: [0, 1], lr: -1 }] };
    expect(() => optimizer.loadStateDict(negative)).toThrow('group 0: Adam: expected lr to be a number of at least 0');
    optimizer.step();
  });

  it('survives a scope around the step, and needs no memory later', async () => {
    const p = new Parameter(zeros([3]));
    p.grad = ones([3]);
    const optimizer = new Adam([p]);
    scope(() => optimizer.step());
    optimizer.step();
    const before = await liveHandles();
    for (let i = 0; i < 100; i++) optimizer.step();
    expect(await liveHandles()).toBe(before);
    expect(numbers(optimizer.stateDict().state[0]!['exp_avg'] as Tensor)[0]).toBeCloseTo(1, 3);
  });
});

describe('zeroGrad', () => {
  it('clears gradients and accumulates afresh in the same memory', () => {
    const p = new Parameter(ones([3]));
    const optimizer = new SGD([p], { lr: 1 });
    const run = (): void => p.mul(2).sum().backward();
    run();
    run();
    expect(numbers(p.grad!)).toEqual([4, 4, 4]);
    optimizer.zeroGrad();
    expect(p.grad).toBe(null);
    optimizer.step();
    expect(numbers(p)).toEqual([1, 1, 1]);
    run();
    expect(numbers(p.grad!)).toEqual([2, 2, 2]);
    optimizer.step();
    expect(numbers(p)).toEqual([-1, -1, -1]);
  });

  it('leaves a gradient that somebody has looked at as it was', async () => {
    const p = new Parameter(ones([3]));
    const optimizer = new SGD([p], { lr: 1 });
    const seen: Tensor[] = [];
    for (let i = 1; i <= 3; i++) {
      optimizer.zeroGrad();
      p.mul(i).sum().backward();
      optimizer.step();
      seen.push(p.grad!);
    }
    expect(seen.map(numbers)).toEqual([1, 2, 3].map((i) => [i, i, i]));

    const given = full([3], 7);
    p.grad = given;
    optimizer.zeroGrad();
    p.mul(2).sum().backward();
    expect(numbers(given)).toEqual([7, 7, 7]);
    expect(numbers(p.grad)).toEqual([2, 2, 2]);

    // What nobody looks at keeps its memory from step to step.
    const before = await liveHandles();
    for (let i = 0; i < 10; i++) {
      optimizer.zeroGrad();
      p.mul(2).sum().backward();
      optimizer.step();
      clipGradNorm(p, 1);
    }
    expect(await liveHandles()).toBeLessThanOrEqual(before);
  });
});

describe('bad input', () => {
  const p = new Parameter(ones([2]));

  it('is refused by the constructor', () => {
    expect(() => new SGD([p], { lr: -1 })).toThrow('SGD: expected lr to be a number of at least 0, got -1');
    expect(() => new SGD([p], { lr: NaN })).toThrow(ValueError);
    expect(() => new SGD([])).toThrow('SGD: expected at least one parameter, got none');
    expect(() => new SGD([{ params: [] }])).toThrow(ValueError);
    expect(() => new SGD([p, p])).toThrow('SGD: expected each parameter once, got one of shape [2] twice');
    expect(() => new SGD([{ params: [p] }, { params: [p] }])).toThrow(ValueError);
    expect(() => new SGD(p as never)).toThrow('expected tensors such as model.parameters(), got a Parameter');
    expect(() => new SGD(new Linear(1, 1) as never)).toThrow('got a Linear');
    expect(() => new SGD([p], { learningRate: 1 } as never)).toThrow('expected options among lr, momentum');
    expect(() => new SGD([p], 0.1 as never)).toThrow('expected options to be an object, got 0.1');
    expect(() => new SGD([p], { nesterov: true })).toThrow('expected momentum above 0');
    expect(() => new SGD([3] as never)).toThrow(ValueError);
    expect(() => new SGD([p.mul(2)])).toThrow('expected leaf tensors');
    expect(() => new SGD([zeros([1], { dtype: 'int32' })])).toThrow(DTypeError);
    expect(() => new SGD([ones([2, 3]).t()])).toThrow('expected contiguous parameters');
    expect(() => new Adam([p], { betas: [0.9, 1] })).toThrow(ValueError);
    expect(() => new Adam([p], { betas: [0.9] as never })).toThrow('expected betas to be two numbers');
    expect(() => new Adam([p], { eps: -1 })).toThrow(ValueError);
    expect(() => new RMSprop([p], { alpha: 2 })).toThrow(ValueError);
    expect(() => new Adagrad([p], { lrDecay: -1 })).toThrow(ValueError);
  });

  it('is refused by a step', () => {
    const gone = new Parameter(ones([2]));
    const optimizer = new SGD([gone]);
    gone.grad = ones([2]);
    gone.dispose();
    expect(() => optimizer.step()).toThrow(DisposedError);
    expect(() => new SGD([gone])).toThrow(DisposedError);
    const q = new Parameter(ones([2]));
    const second = new SGD([q]);
    q.grad = ones([2]);
    second.step();
    second.paramGroups[0]!.lr = NaN;
    expect(() => second.step()).toThrow('SGD.step: expected lr to be a finite number, got NaN');
    second.paramGroups[0]!.lr = 0.1;
    q.grad.dispose();
    expect(() => second.step()).toThrow(DisposedError);
    expect(() => (q.grad = noGrad(() => ones([3])))).toThrow(ShapeError);
  });
});
