import { describe, expect, it } from 'vitest';
import { ReLU } from '../../lib/nn/activation.js';
import { Sequential } from '../../lib/nn/container.js';
import { Dropout } from '../../lib/nn/dropout.js';
import { Linear } from '../../lib/nn/linear.js';
import { Module } from '../../lib/nn/module.js';
import { Parameter } from '../../lib/nn/parameter.js';
import { summary } from '../../lib/nn/summary.js';
import { MLP } from '../../lib/models/mlp.js';
import { ShapeError, ValueError } from '../../lib/errors.js';
import { ones } from '../../lib/ops/create.js';
import type { Tensor } from '../../lib/tensor.js';
import { liveHandles } from './values.js';

describe('summary', () => {
  it('writes an aligned table', () => {
    expect(String(summary(new MLP([784, 200, 200, 10]), [1, 784]))).toBe(
      [
        'Layer            Output shape  Parameters',
        '─────────────────────────────────────────',
        'MLP              [1, 10]                –',
        '  fc.0 (Linear)  [1, 200]         157,000',
        '  fc.1 (Linear)  [1, 200]          40,200',
        '  fc.2 (Linear)  [1, 10]            2,010',
        '─────────────────────────────────────────',
        'Parameters: 199,210, trainable: 199,210',
        'Size: 0.80 MB',
      ].join('\n'),
    );
  });

  it('nests, counts shared parameters once and leaves frozen ones out of the trainable', () => {
    const shared = new Linear(3, 3);
    const model = new Sequential({ first: shared, again: new Sequential(shared, new ReLU(), new Linear(3, 1)) });
    shared.requiresGrad_(false);
    const result = summary(model, [2, 3]);
    expect(result.totalParameters).toBe(16);
    expect(result.trainableParameters).toBe(4);
    expect(result.bytes).toBe(64);
    expect(result.layers.map(({ name, label, depth }) => [name, label, depth])).toEqual([
      ['', '', 0],
      ['first', 'first', 1],
      ['again', 'again', 1],
      ['again.1', '1', 2],
      ['again.2', '2', 2],
    ]);
    expect(result.layers.map((layer) => layer.parameters)).toEqual([0, 12, 0, 0, 4]);
  });

  it('leaves modes, hooks, buffers and memory as they were', async () => {
    class Counting extends Module {
      calls = this.registerBuffer('calls', ones([1]));
      weight = new Parameter(ones([2]));
      drop = new Dropout();
      forward(x: Tensor, y: Tensor): { z: Tensor; pair: Tensor[] } {
        if (this.training) this.calls.add_(1);
        return { z: this.drop.forward(x).mul(this.weight), pair: [y, y.add(1)] };
      }
    }
    const model = new Counting();
    model.drop.eval();
    const before = await liveHandles();
    const result = summary(model, [[3, 2], [4]], { dtype: ['float32', 'int32'] });
    expect(await liveHandles()).toBe(before);
    expect(result.layers[0]!.outputShapes).toEqual([[3, 2], [4], [4]]);
    expect(model.calls.itemSync()).toBe(1);
    expect(model.training).toBe(true);
    expect(model.drop.training).toBe(false);
    expect(result.bytes).toBe(12);
  });

  it('restores the model after an error and refuses bad arguments', () => {
    const model = new MLP([4, 2]);
    expect(() => summary(model, [1, 3])).toThrow(ShapeError);
    expect(model.training).toBe(true);
    expect(() => summary({} as never, [1])).toThrow(ValueError);
    expect(() => summary(model, 3 as never)).toThrow(ValueError);
    expect(() => summary(model, [1, -3])).toThrow(ShapeError);
    expect(() => summary(model, [1, 4], { dtype: ['float32', 'int32'] })).toThrow('expected 1 dtypes');
  });
});
