import { noGrad } from '../autograd/graph.js';
import { generateMnist1d } from '../data/mnist1d.js';
import { MLP } from '../models/mlp.js';
import { kaimingNormal_, zeros_ } from '../nn/init.js';
import { fromTypedArray } from '../ops/create.js';
import { crossEntropy } from '../ops/loss.js';
import { randint } from '../ops/random.js';
import { SGD } from '../optim/sgd.js';
import { plot, sheet, type Series } from './chart.js';
import { countOf, short } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** Hidden layers and their units, about 15,200 parameters each. */
const widths = [298, 100, 75, 63];

/**
 * Networks of 1 to 4 hidden layers and as many parameters learn random labels of MNIST-1D by full-batch gradient descent: deeper ones in
 * fewer epochs. In full as published: 4000 examples, rate 0.0025; else 400 of them at rate 0.05, where the order is the same.
 */
export async function run(setting: Setting): Promise<Finding> {
  const { full } = setting;
  const [examples, lr, epochs] = full ? [4000, 0.0025, 40_000] : [400, 0.05, 1500];
  const { x: raw } = generateMnist1d();
  const x = fromTypedArray(Float32Array.from(raw.subarray(0, 40 * examples)), [examples, 40]);
  const y = randint(0, 10, [examples], { generator: setting.generator() });
  const every = full ? 200 : 20;
  const errors: Series[] = [];
  const losses: Series[] = [];
  const figures: Record<string, unknown> = { examples, learning_rate: lr, epochs };
  for (const [i, width] of widths.entries()) {
    const layers = i + 1;
    const generator = setting.generator(layers);
    const model = new MLP([40, ...new Array<number>(layers).fill(width), 10], { generator });
    for (const { weight, bias } of model.fc) {
      kaimingNormal_(weight, { nonlinearity: 'relu', generator });
      zeros_(bias!);
    }
    const optimizer = new SGD(model.parameters(), { lr });
    const curve = { at: [] as number[], error: [] as number[], loss: [] as number[] };
    for (let epoch = 0; epoch <= epochs; epoch++) {
      const logits = model.forward(x);
      const loss = crossEntropy(logits, y);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      if (epoch % every !== 0) continue;
      setting.check();
      const wrong = noGrad(() => logits.argmax(1).ne(y).to('float32').mean());
      curve.at.push(epoch);
      curve.error.push((await wrong.item()) * 100);
      curve.loss.push(await loss.item());
      if (curve.error.at(-1) === 0) break;
    }
    const name = `${layers} layer${layers === 1 ? '' : 's'} of ${width}`;
    errors.push({ name, x: curve.at, y: curve.error });
    losses.push({ name, x: curve.at, y: curve.loss });
    const fitted = curve.at[curve.error.findIndex((v) => v < 1)];
    figures[`${layers}_layers`] = {
      hidden_units: width,
      parameters: countOf(model),
      epochs_to_1_percent_error: fitted ?? null,
      final_error_percent: short(curve.error.at(-1)!, 4),
    };
    setting.say(`${name}: ${curve.error.at(-1)!.toFixed(1)} % wrong after ${curve.at.at(-1)} epochs`);
  }
  return {
    figures,
    picture: sheet(
      'Depth efficiency',
      `random labels for ${examples} examples of MNIST-1D, full-batch gradient descent`,
      [plot(errors, { title: 'Training error, %', x: 'epoch' }), plot(losses, { title: 'Training loss', x: 'epoch' })],
    ),
  };
}
