import { noGrad } from '../autograd/graph.js';
import { playground, playgroundNames } from '../data/playground.js';
import { DataLoader } from '../data/loader.js';
import { MLP } from '../models/mlp.js';
import { planeGrid } from '../models/regions.js';
import { constant_, uniform_ } from '../nn/init.js';
import { mseLoss } from '../ops/loss_pairs.js';
import { tanh } from '../ops/unary.js';
import { SGD } from '../optim/sgd.js';
import type { Tensor } from '../tensor.js';
import { field, sheet } from './chart.js';
import { numbersOf, short } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** TensorFlow Playground's network: hidden layers [4, 2] of tanh, half of 500 points, rate 0.03, batches of 10, half squared errors. */
export async function run(setting: Setting): Promise<Finding> {
  const epochs = setting.full ? 1000 : 150;
  const figures: Record<string, unknown> = { epochs };
  const panels = [];
  for (const [i, name] of playgroundNames.entries()) {
    const generator = setting.generator(i);
    const data = await playground(name, { generator });
    const order = Array.from({ length: 500 }, (_, k) => k);
    const train = data.subset(order.filter((k) => k % 2 === 0));
    const test = data.subset(order.filter((k) => k % 2 === 1));
    const model = new MLP([2, 4, 2, 1], { activation: 'tanh' });
    for (const { weight, bias } of model.fc) {
      uniform_(weight, -0.5, 0.5, generator);
      constant_(bias!, 0.1);
    }
    const output = (x: Tensor): Tensor => tanh(model.forward(x));
    const optimizer = new SGD(model.parameters(), { lr: 0.03 });
    const loader = new DataLoader(train, { batchSize: 10, shuffle: true, generator });
    for (let epoch = 0; epoch < epochs; epoch++) {
      setting.check();
      for (const [x, y] of loader) {
        const loss = mseLoss(output(x), y).div(2);
        optimizer.zeroGrad();
        loss.backward();
        optimizer.step();
      }
      if (epoch % 10 === 0) await model.fc[0]!.bias!.data();
    }
    const whole = (part: typeof train): [Tensor, Tensor] => [...new DataLoader(part, { batchSize: 250 })][0]!;
    const score = async (part: typeof train) => {
      const [x, y] = whole(part);
      const out = await numbersOf(noGrad(() => output(x)));
      const want = await numbersOf(y);
      return {
        loss: short(out.reduce((sum, v, k) => sum + (v - want[k]!) ** 2 / 2, 0) / out.length),
        accuracy: out.filter((v, k) => v * want[k]! > 0).length / out.length,
      };
    };
    figures[name] = { train: await score(train), test: await score(test) };
    const side = 120;
    const surface = await numbersOf(noGrad(() => output(planeGrid([-6, 6], [-6, 6], side))));
    const [points, classes] = await Promise.all(whole(test).map(numbersOf));
    const of = (label: number) => {
      const rows = classes!.flatMap((v, k) => (v === label ? [k] : []));
      return {
        name: `class ${label}`,
        x: rows.map((k) => points![2 * k]!),
        y: rows.map((k) => points![2 * k + 1]!),
        as: 'points' as const,
      };
    };
    const { test: held } = figures[name] as { test: { accuracy: number } };
    panels.push(
      field({ width: side, height: side, at: (x, y) => surface[y * side + x]! }, [of(-1), of(1)], {
        title: `${name}: ${(100 * held.accuracy).toFixed(1)} % of held-out points`,
        colours: 'signed',
        range: [-1.5, 1.5],
        domainX: [-6, 6],
        domainY: [-6, 6],
      }),
    );
    setting.say(`${name}: ${(100 * held.accuracy).toFixed(1)} %`);
  }
  return {
    figures,
    picture: sheet('Playground', `2-4-2-1 of tanh after ${epochs} epochs, on the held-out half`, panels, 2),
  };
}
