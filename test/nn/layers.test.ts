import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as activation from '../../lib/nn/activation.js';
import { clipGradNorm, clipGradValue } from '../../lib/nn/clip.js';
import { Dropout } from '../../lib/nn/dropout.js';
import { CrossEntropyLoss, MSELoss } from '../../lib/nn/loss.js';
import type { UnaryModule } from '../../lib/nn/module.js';
import { Parameter } from '../../lib/nn/parameter.js';
import { ShapeError, ValueError } from '../../lib/errors.js';
import { ones, tensor, zeros } from '../../lib/ops/create.js';
import { Generator } from '../../lib/random.js';
import { distance, floats, numbers, values } from './values.js';

interface Golden {
  points: number[];
  activations: Record<string, { y: number[]; dx: number[] }>;
  losses: Record<string, number | number[]>;
  clip: Record<string, { total: number; grads: number[][] }>;
}

const golden = JSON.parse(readFileSync(new URL('../golden/nn.json', import.meta.url), 'utf8')) as Golden;

const activations: Record<string, UnaryModule> = {
  ReLU: new activation.ReLU(),
  LeakyReLU: new activation.LeakyReLU(),
  'LeakyReLU 0.2': new activation.LeakyReLU(0.2),
  ELU: new activation.ELU(),
  'ELU 0.5': new activation.ELU(0.5),
  GELU: new activation.GELU(),
  'GELU tanh': new activation.GELU({ approximate: 'tanh' }),
  SiLU: new activation.SiLU(),
  Sigmoid: new activation.Sigmoid(),
  Tanh: new activation.Tanh(),
  Softplus: new activation.Softplus(),
  'Softplus 2': new activation.Softplus({ beta: 2, threshold: 5 }),
  Softmax: new activation.Softmax(),
  LogSoftmax: new activation.LogSoftmax(),
};

describe('activations', () => {
  it.each(Object.keys(golden.activations))('%s', (name) => {
    const module = activations[name]!;
    const n = golden.points.length;
    for (const [dtype, tolerance] of [
      ['float64', 1e-13],
      ['float32', 2e-6],
    ] as const) {
      const x = floats(golden.points, [n], dtype);
      x.requiresGrad = true;
      const y = module.forward(x);
      y.backward(
        floats(
          Array.from({ length: n }, (_, i) => i + 1),
          [n],
          dtype,
        ),
      );
      expect(distance(numbers(y), golden.activations[name]!.y)).toBeLessThan(tolerance);
      expect(distance(numbers(x.grad!), golden.activations[name]!.dx)).toBeLessThan(tolerance);
    }
  });

  it('refuse bad options', () => {
    expect(() => new activation.LeakyReLU(NaN)).toThrow(ValueError);
    expect(() => new activation.ELU('1' as never)).toThrow(ValueError);
    expect(() => new activation.GELU({ approximate: 'exact' as never })).toThrow('expected approximate to be one of');
    expect(() => new activation.Softmax(1.5)).toThrow(ValueError);
  });
});

describe('losses', () => {
  const logits = floats(values(20, 1, -2, 2), [4, 5]);
  const target = tensor([1, 4, 0, 2], { dtype: 'int32' });
  const weight = floats([0.5, 1, 2, 0.1, 1.5], [5]);
  const flipped = floats(
    [3, 2, 1, 0].flatMap((row) => values(20, 1, -2, 2).slice(row * 5, row * 5 + 5)),
    [4, 5],
  );

  it.each([
    ['mean', () => new CrossEntropyLoss()],
    ['sum', () => new CrossEntropyLoss({ reduction: 'sum' })],
    ['none', () => new CrossEntropyLoss({ reduction: 'none' })],
    ['weight', () => new CrossEntropyLoss({ weight })],
    ['ignoreIndex', () => new CrossEntropyLoss({ ignoreIndex: 4 })],
    ['labelSmoothing', () => new CrossEntropyLoss({ labelSmoothing: 0.1 })],
  ] as const)('cross-entropy: %s', (name, make) => {
    const loss = numbers(make().forward(logits, target));
    expect(distance(loss, [golden.losses[name]!].flat())).toBeLessThan(1e-13);
  });

  it('mean squared error', () => {
    expect(new MSELoss().forward(logits, flipped).itemSync()).toBeCloseTo(golden.losses['mse'] as number, 12);
    const sum = new MSELoss({ reduction: 'sum' }).forward(logits, flipped);
    expect(sum.itemSync()).toBeCloseTo(golden.losses['mseSum'] as number, 11);
    expect(new MSELoss({ reduction: 'none' }).forward(logits, flipped).shape).toEqual([4, 5]);
  });

  it('keeps the class weight in the state dict, and refuses bad options', () => {
    expect(Object.keys(new CrossEntropyLoss({ weight }).stateDict())).toEqual(['weight']);
    expect(() => new CrossEntropyLoss({ weight: ones([2, 2]) })).toThrow(ShapeError);
    expect(() => new CrossEntropyLoss({ weight: [1] as never })).toThrow(ValueError);
    expect(() => new CrossEntropyLoss({ reduction: 'average' as never })).toThrow(ValueError);
    expect(() => new CrossEntropyLoss({ labelSmoothing: 2 })).toThrow(ValueError);
    expect(() => new MSELoss({ reduction: 3 as never })).toThrow(ValueError);
  });
});

describe('dropout', () => {
  it('drops a share p and scales the rest in training, and does nothing in evaluation', () => {
    const layer = new Dropout(0.25, { generator: new Generator(1) });
    const x = ones([10_000]);
    const y = numbers(layer.forward(x));
    const zerosSeen = y.filter((v) => v === 0).length;
    expect(zerosSeen / 10_000).toBeCloseTo(0.25, 1);
    expect(y.every((v) => v === 0 || Math.abs(v - 4 / 3) < 1e-6)).toBe(true);
    layer.eval();
    expect(layer.forward(x)).toBe(x);
    expect(() => new Dropout(1.5)).toThrow(ValueError);
  });
});

describe('gradient clipping', () => {
  const make = (dtype: 'float32' | 'float64'): Parameter[] =>
    [6, 5, 1].map((n, i) => {
      const p = new Parameter(zeros([n], { dtype }));
      p.grad = floats(values(n, i + 1), [n], dtype);
      return p;
    });

  it.each([
    ['2.0', 2],
    ['inf', Infinity],
    ['3.0', 3],
  ])('norm %s', (name, normType) => {
    const expected = golden.clip[name]!;
    for (const [dtype, tolerance] of [
      ['float64', 1e-12],
      ['float32', 1e-6],
    ] as const) {
      const params = make(dtype);
      const total = clipGradNorm(params, 0.5, { normType });
      expect(distance([total.itemSync()], [expected.total])).toBeLessThan(tolerance);
      params.forEach((p, i) => expect(distance(numbers(p.grad!), expected.grads[i]!)).toBeLessThan(tolerance));
    }
  });

  it('mixes dtypes, skips parameters without gradient, leaves small gradients alone', () => {
    const [a] = make('float64');
    const [, b, c] = make('float32');
    const none = new Parameter(zeros([3]));
    const total = clipGradNorm([a!, none, b!, c!], 0.5);
    expect(total.itemSync()).toBeCloseTo(golden.clip['2.0']!.total, 6);
    expect(distance(numbers(b!.grad!), golden.clip['2.0']!.grads[1]!)).toBeLessThan(1e-6);
    const before = numbers(a!.grad!);
    clipGradNorm(a!, 100);
    expect(numbers(a!.grad!)).toEqual(before);
    expect(none.grad).toBe(null);
    expect(clipGradNorm([none], 1).itemSync()).toBe(0);
  });

  it('clamps values', () => {
    const params = make('float32');
    clipGradValue(params, 0.1);
    expect(Math.max(...params.flatMap((p) => numbers(p.grad!)).map(Math.abs))).toBeCloseTo(0.1, 7);
  });

  it('refuses bad arguments', () => {
    expect(() => clipGradNorm([], -1)).toThrow(ValueError);
    expect(() => clipGradNorm([], NaN)).toThrow(ValueError);
    expect(() => clipGradNorm([], 1, { normType: 0 })).toThrow(ValueError);
    expect(() => clipGradNorm([3] as never, 1)).toThrow('expected tensors, got 3');
    expect(() => clipGradValue(null as never, 1)).toThrow(ValueError);
  });
});
