import { noGrad } from '../autograd/graph.js';
import { DataLoader } from '../data/loader.js';
import { mnist1d } from '../data/mnist1d.js';
import { createModel } from '../models/registry.js';
import { crossEntropy } from '../ops/loss.js';
import { Adam } from '../optim/adam.js';
import { plot, sheet, type Series } from './chart.js';
import { countOf, short } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** Published test accuracies in percent. */
const published: Readonly<Record<string, number>> = {
  'mnist1d-linear': 31.5,
  'mnist1d-mlp': 64.8,
  'mnist1d-cnn': 92.3,
  'mnist1d-gru': 90.4,
};

/** The four networks of MNIST-1D, Adam at 0.01 and batches of 100 in order; in full 6000 steps, else 2000. */
export async function run(setting: Setting): Promise<Finding> {
  const epochs = setting.full ? 150 : 50;
  const train = new DataLoader(mnist1d({ split: 'train' }), { batchSize: 100 });
  const [x, y] = [...new DataLoader(mnist1d({ split: 'test' }), { batchSize: 1000 })][0]!;
  const figures: Record<string, unknown> = { steps: 40 * epochs };
  const curves: Series[] = [];
  for (const [i, name] of Object.keys(published).entries()) {
    const model = createModel(name, { generator: setting.generator(i) });
    const optimizer = new Adam(model.parameters(), { lr: 0.01 });
    const curve = { name: name.slice(8), x: [] as number[], y: [] as number[] };
    for (let epoch = 1; epoch <= epochs; epoch++) {
      setting.check();
      for (const [batch, labels] of train) {
        const loss = crossEntropy(model.forward(batch), labels);
        optimizer.zeroGrad();
        loss.backward();
        optimizer.step();
      }
      const right = noGrad(() => model.forward(x).argmax(1).eq(y).to('float32').mean());
      curve.x.push(40 * epoch);
      curve.y.push((await right.item()) * 100);
    }
    curves.push(curve);
    figures[name] = {
      parameters: countOf(model),
      test_accuracy: short(curve.y.at(-1)!, 4),
      published: published[name],
    };
    setting.say(`${name}: ${curve.y.at(-1)!.toFixed(1)} %`);
  }
  const panel = plot(curves, { title: 'Test accuracy, %', x: 'step', width: 460, height: 300 });
  return { figures, picture: sheet('MNIST-1D', 'linear, perceptron, convolutional and recurrent network', [panel]) };
}
