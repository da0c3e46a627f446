import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ValueError } from '../../lib/errors.js';
import { MLP } from '../../lib/models/mlp.js';
import { Mnist1dLinear, Mnist1dMLP } from '../../lib/models/mnist1d.js';
import { createModel, modelEntry, modelNames } from '../../lib/models/registry.js';
import { CrossEntropyLoss } from '../../lib/nn/loss.js';
import { SGD } from '../../lib/optim/sgd.js';
import { ones, tensor } from '../../lib/ops/create.js';
import { Generator } from '../../lib/random.js';
import { distance, fillParameters, floats, numbers, values } from '../nn/values.js';

interface Run {
  logits: number[];
  gradientNorms: Record<string, number>;
  losses: number[];
}

const { runs } = JSON.parse(readFileSync(new URL('../golden/nn.json', import.meta.url), 'utf8')) as {
  runs: Record<string, Run>;
};

describe('models', () => {
  it.each([
    ['mlp', 199_210],
    ['logistic', 7_850],
    ['mnist1d-linear', 410],
    ['mnist1d-mlp', 15_210],
  ])('%s has %i parameters', (name, count) => {
    const model = createModel(name);
    expect(model.parameters().reduce((sum, p) => sum + p.numel, 0)).toBe(count);
    const { inputShape, classes } = modelEntry(name);
    expect(model.forward(ones([3, ...inputShape])).shape).toEqual([3, classes]);
  });

  it('name their tensors as the literature does', () => {
    expect(Object.keys(new MLP([4, 3, 2]).stateDict())).toEqual([
      'fc.0.weight',
      'fc.0.bias',
      'fc.1.weight',
      'fc.1.bias',
    ]);
    expect(Object.keys(new Mnist1dLinear().stateDict())).toEqual(['linear.weight', 'linear.bias']);
    expect(Object.keys(new Mnist1dMLP({ hidden: 7 }).stateDict())[2]).toBe('linear2.weight');
  });

  it('flatten images, and repeat with a generator', () => {
    expect(new MLP([12, 2]).forward(ones([5, 3, 4])).shape).toEqual([5, 2]);
    const draw = (): number[] => numbers(createModel('mnist1d-mlp', { generator: new Generator(1) }).parameters()[4]!);
    expect(draw()).toEqual(draw());
  });

  it('are found by name', () => {
    expect(modelNames.slice(0, 4)).toEqual(['mlp', 'logistic', 'mnist1d-linear', 'mnist1d-mlp']);
    expect(() => createModel('toString')).toThrow(ValueError);
    expect(() => createModel('mpl')).toThrow('expected one of mlp, logistic, mnist1d-linear');
    expect(() => new MLP([3])).toThrow(ValueError);
    expect(() => new MLP([3, 0])).toThrow(ValueError);
    for (const [name, title] of [
      ['mnist1d-cnn', 'Mnist1dCNN'],
      ['mnist1d-gru', 'Mnist1dGRU'],
    ] as const) {
      expect(() => createModel(name).forward(ones([2, 41]))).toThrow(
        `${title}: expected x of shape [N, 40], got [2, 41]`,
      );
    }
  });

  it.each(Object.keys(runs))('%s trains as in PyTorch', async (name) => {
    const expected = runs[name]!;
    const model = createModel(name);
    fillParameters(model);
    const { inputShape } = modelEntry(name);
    const x = floats(values(8 * inputShape[0]!, 3, -1, 1), [8, ...inputShape], 'float32');
    const y = tensor(
      Array.from({ length: 8 }, (_, i) => (i * 3) % 10),
      { dtype: 'int32' },
    );
    const lossOf = new CrossEntropyLoss();
    const optimizer = new SGD(model.parameters(), { lr: 0.1 });
    const losses: number[] = [];
    for (let step = 0; step < expected.losses.length; step++) {
      const logits = model.forward(x);
      const loss = lossOf.forward(logits, y);
      optimizer.zeroGrad();
      loss.backward();
      if (step === 0) {
        expect(distance(numbers(logits).slice(0, 10), expected.logits)).toBeLessThan(1e-5);
        const norms = model
          .namedParameters()
          .map(([, p]) => Math.sqrt(numbers(p.grad!).reduce((sum, x) => sum + x * x, 0)));
        const wanted = Object.values(expected.gradientNorms);
        norms.forEach((norm, i) => expect(Math.abs(norm / wanted[i]! - 1)).toBeLessThan(5e-6));
      }
      optimizer.step();
      losses.push(await loss.item());
    }
    expect(distance(losses, expected.losses)).toBeLessThan(2e-5);
  });
});
