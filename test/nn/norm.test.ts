import { describe, expect, it } from 'vitest';
import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

const numbers = (x: Tensor): number[] => Array.from(x.dataSync());

describe('batch norm layers', () => {
  it('have the state of PyTorch', () => {
    expect(Object.keys(new m.BatchNorm2d(3).stateDict())).toEqual([
      'weight',
      'bias',
      'running_mean',
      'running_var',
      'num_batches_tracked',
    ]);
    expect(Object.keys(new m.BatchNorm1d(3, { affine: false }).stateDict())).toEqual([
      'running_mean',
      'running_var',
      'num_batches_tracked',
    ]);
    expect(Object.keys(new m.BatchNorm1d(3, { trackRunningStats: false }).stateDict())).toEqual(['weight', 'bias']);
    expect(Object.keys(new m.InstanceNorm2d(3).stateDict())).toEqual([]);
    expect(new m.BatchNorm2d(3).parameters()).toHaveLength(2);
  });

  it('move their statistics in training and go by them in evaluation', () => {
    const layer = new m.BatchNorm1d(2, { momentum: 0.25, dtype: 'float64' });
    const x = m.tensor(
      [
        [1, 2],
        [3, 2],
        [5, 8],
      ],
      { dtype: 'float64' },
    );
    const y = layer.forward(x);
    expect(numbers(y.mean(0)).every((v) => Math.abs(v) < 1e-12)).toBe(true);
    // Means 3 and 4, unbiased variances 4 and 12.
    expect(numbers(layer.running_mean!)).toEqual([0.75, 1]);
    expect(numbers(layer.running_var!)).toEqual([0.75 + 1, 0.75 + 3]);
    expect(layer.num_batches_tracked!.itemSync()).toBe(1);
    layer.eval();
    const z = numbers(layer.forward(x));
    expect(z[0]!).toBeCloseTo((1 - 0.75) / Math.sqrt(1.75 + 1e-5), 12);
    expect(layer.num_batches_tracked!.itemSync()).toBe(1);
    layer.resetRunningStats();
    expect(numbers(layer.running_var!)).toEqual([1, 1]);
  });

  it('average over all batches without a momentum', () => {
    const layer = new m.BatchNorm1d(1, { momentum: null, dtype: 'float64' });
    for (const values of [
      [0, 2],
      [4, 6],
      [2, 10],
    ])
      layer.forward(m.tensor(values, { dtype: 'float64' }).reshape([2, 1]));
    expect(layer.running_mean!.itemSync()).toBeCloseTo((1 + 5 + 6) / 3, 12);
    expect(layer.running_var!.itemSync()).toBeCloseTo((2 + 2 + 32) / 3, 12);
    expect(layer.num_batches_tracked!.itemSync()).toBe(3);
  });

  it('go by the batch in evaluation when they track nothing', () => {
    const layer = new m.BatchNorm1d(1, { trackRunningStats: false }).eval();
    expect(numbers(layer.forward(m.tensor([[1], [3]]))).map(Math.round)).toEqual([-1, 1]);
  });

  it('load what they save', () => {
    const layer = new m.BatchNorm2d(2);
    layer.forward(m.rand([3, 2, 4, 4]));
    const other = new m.BatchNorm2d(2);
    other.loadStateDict(layer.stateDict());
    expect(numbers(other.running_mean!)).toEqual(numbers(layer.running_mean!));
    expect(other.num_batches_tracked!.itemSync()).toBe(1);
  });

  it('leak no handles over steps', async () => {
    const net = new m.Sequential(new m.BatchNorm2d(3), new m.MaxPool2d(2), new m.LocalResponseNorm(3));
    const step = (): void =>
      m.scope(() => {
        net
          .forward(m.rand([2, 3, 4, 4]))
          .sum()
          .backward();
      });
    step();
    await m.synchronize();
    const before = m.memory().handles;
    for (let i = 0; i < 5; i++) step();
    await m.synchronize();
    expect(m.memory().handles).toBeLessThanOrEqual(before);
  });
});

describe('instance norm layers', () => {
  it('average the statistics of their samples', () => {
    const layer = new m.InstanceNorm1d(1, { trackRunningStats: true, momentum: 0.5, dtype: 'float64' });
    layer.forward(m.tensor([[[0, 2]], [[4, 8]]], { dtype: 'float64' }));
    // Means 1 and 6, unbiased variances 2 and 8.
    expect(layer.running_mean!.itemSync()).toBeCloseTo(0.5 * 3.5, 12);
    expect(layer.running_var!.itemSync()).toBeCloseTo(0.5 + 0.5 * 5, 12);
  });

  it('take a sample without a batch', () => {
    const y = new m.InstanceNorm2d(3).forward(m.rand([3, 4, 5]));
    expect(y.shape).toEqual([3, 4, 5]);
  });
});

describe('layers with options', () => {
  const x = m.linspace(0, 31, 32).reshape([1, 2, 4, 4]);

  it.each([
    [new m.MaxPool2d(2), [1, 2, 2, 2], 'MaxPool2d(2)'],
    [new m.MaxPool2d(3, { stride: 1, padding: 1 }), [1, 2, 4, 4], 'MaxPool2d(3, stride=1, padding=1)'],
    [new m.AvgPool2d([2, 1]), [1, 2, 2, 4], 'AvgPool2d([2, 1])'],
    [new m.AdaptiveAvgPool2d(1), [1, 2, 1, 1], 'AdaptiveAvgPool2d(1)'],
    [new m.AdaptiveMaxPool2d([3, null]), [1, 2, 3, 4], 'AdaptiveMaxPool2d([3, null])'],
    [new m.ZeroPad2d(1), [1, 2, 6, 6], 'ZeroPad2d([1, 1, 1, 1], value=0)'],
    [new m.ReflectionPad2d([1, 2, 0, 3]), [1, 2, 7, 7], 'ReflectionPad2d([1, 2, 0, 3])'],
    [new m.CircularPad2d(2), [1, 2, 8, 8], 'CircularPad2d([2, 2, 2, 2])'],
    [new m.Upsample({ scaleFactor: 2, mode: 'bilinear' }), [1, 2, 8, 8], 'Upsample(scaleFactor=2, mode="bilinear")'],
    [new m.PixelUnshuffle(2), [1, 8, 2, 2], 'PixelUnshuffle(downscaleFactor=2)'],
    [new m.Unfold(2, { stride: 2 }), [1, 8, 4], 'Unfold()'],
    [new m.Unflatten(1, [2, -1]), [1, 2, 1, 4, 4], 'Unflatten(dim=1, unflattenedSize=[2, -1])'],
    [new m.LocalResponseNorm(5), [1, 2, 4, 4], 'LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1)'],
    [new m.GroupNorm(2, 2), [1, 2, 4, 4], 'GroupNorm(2, 2, eps=0.00001, affine=true)'],
    [new m.LayerNorm([4, 4]), [1, 2, 4, 4], 'LayerNorm([4, 4], eps=0.00001, elementwiseAffine=true)'],
    [new m.RMSNorm(4), [1, 2, 4, 4], 'RMSNorm([4], eps=null, elementwiseAffine=true)'],
  ] as [m.UnaryModule, number[], string][])('%s', (layer, shape, text) => {
    expect(layer.forward(x).shape).toEqual(shape);
    expect(layer.toString()).toBe(text);
  });

  it('undo one another', () => {
    const shuffled = new m.PixelShuffle(2).forward(new m.PixelUnshuffle(2).forward(x));
    expect(numbers(shuffled)).toEqual(numbers(x));
    const folded = new m.Fold(4, 2, { stride: 2 }).forward(new m.Unfold(2, { stride: 2 }).forward(x));
    expect(numbers(folded)).toEqual(numbers(x));
  });
});
