import { noGrad } from '../autograd/graph.js';
import { TensorDataset } from '../data/dataset.js';
import { DataLoader } from '../data/loader.js';
import { MLP } from '../models/mlp.js';
import { crossEntropy } from '../ops/loss.js';
import { Adam } from '../optim/adam.js';
import { picture, sheet, tiles } from './chart.js';
import { numbersOf, short } from './common.js';
import { digits, type Digits } from './digits.js';
import type { Finding, Setting } from './experiment.js';

/** What hidden units of 784-200-200-10 look for in digits, beside the weights of logistic regression. In full all 60,000 and 6 epochs. */
export async function run(setting: Setting): Promise<Finding> {
  const { full } = setting;
  const [train, test] = await Promise.all([digits(setting, 'train', full ? 60_000 : 12_000), digits(setting, 'test')]);
  return compare(setting, train, test, full ? 6 : 3);
}

/** Both networks trained on `train` and judged by `test`. */
export async function compare(setting: Setting, train: Digits, test: Digits, epochs: number): Promise<Finding> {
  const learn = async (model: MLP, stream: number): Promise<number> => {
    const optimizer = new Adam(model.parameters(), { lr: 1e-3 });
    const data = new TensorDataset(train.x, train.y);
    const loader = new DataLoader(data, { batchSize: 64, shuffle: true, generator: setting.generator(stream) });
    for (let epoch = 0; epoch < epochs; epoch++) {
      for (const [x, y] of loader) {
        const loss = crossEntropy(model.forward(x), y);
        optimizer.zeroGrad();
        loss.backward();
        optimizer.step();
      }
      await model.fc[0]!.bias!.data();
      setting.check();
    }
    return noGrad(() => model.forward(test.x).argmax(1).eq(test.y).to('float32').mean()).item();
  };
  const logistic = new MLP([784, 10], { generator: setting.generator(1) });
  const deep = new MLP([784, 200, 200, 10], { generator: setting.generator(2) });
  const accuracy = { logistic: short(await learn(logistic, 3), 4), mlp: short(await learn(deep, 4), 4) };
  setting.say(
    `logistic ${(100 * accuracy.logistic).toFixed(2)} %, 784-200-200-10 ${(100 * accuracy.mlp).toFixed(2)} %`,
  );
  const rows = async (model: MLP, count: number): Promise<number[][]> => {
    const weights = await numbersOf(model.fc[0]!.weight);
    return Array.from({ length: count }, (_, i) => {
      const row = weights.slice(784 * i, 784 * (i + 1));
      // Each picture on a scale of its own.
      const far = row.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      return row.map((v) => v / far);
    });
  };
  return {
    figures: { training_digits: train.y.numel, epochs, test_accuracy: accuracy },
    picture: sheet(
      'Weights',
      `after ${epochs} epochs of ${train.y.numel} digits of MNIST; orange above 0, blue below`,
      [
        picture(
          tiles(await rows(logistic, 10), 28, 2),
          `Logistic regression: ${(100 * accuracy.logistic).toFixed(1)} %`,
          { colours: 'signed', scale: 2 },
        ),
        picture(
          tiles(await rows(deep, 50), 28, 10),
          `Hidden units of 784-200-200-10: ${(100 * accuracy.mlp).toFixed(1)} %`,
          { colours: 'signed', scale: 2 },
        ),
      ],
    ),
  };
}
