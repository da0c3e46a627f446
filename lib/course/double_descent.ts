import { noGrad } from '../autograd/graph.js';
import { DataLoader } from '../data/loader.js';
import { TensorDataset } from '../data/dataset.js';
import { generateMnist1d } from '../data/mnist1d.js';
import { MLP } from '../models/mlp.js';
import { kaimingNormal_, zeros_ } from '../nn/init.js';
import { fromTypedArray, where } from '../ops/create.js';
import { crossEntropy } from '../ops/loss.js';
import { rand, randint } from '../ops/random.js';
import { SGD } from '../optim/sgd.js';
import { plot, sheet } from './chart.js';
import { countOf, short } from './common.js';
import type { Finding, Setting } from './experiment.js';

const TRAIN = 4000;
const TEST = 12_000;
/** Test errors in percent that were published for some widths. */
const published: Readonly<Record<number, number>> = { 9: 48.97, 47: 54.05, 61: 54.02, 300: 45.47 };

/**
 * Double descent: 40-h-h-10 on MNIST-1D with 15 % of the labels wrong. The test error falls, rises where the network can just fit the
 * training set, and falls again. In full as published: 500 epochs; else 40.
 */
export async function run(setting: Setting): Promise<Finding> {
  const { full } = setting;
  const widths = full ? [3, 5, 9, 15, 25, 35, 47, 61, 80, 120, 200, 300] : [9, 25, 47, 61, 120, 300];
  const epochs = full ? 500 : 40;
  const { x: raw, y: digits } = generateMnist1d({ examples: TRAIN + TEST });
  const x = fromTypedArray(Float32Array.from(raw), [TRAIN + TEST, 40]);
  const clean = fromTypedArray(Int32Array.from(digits), [TRAIN + TEST]);
  const generator = setting.generator();
  const wrong = rand([TRAIN], { generator }).lt(0.15);
  const shift = randint(1, 10, [TRAIN], { generator });
  const other = clean.slice(0, 0, TRAIN).add(shift).remainder(10).to('int32');
  const noisy = where(wrong, other, clean.slice(0, 0, TRAIN)).to('int32');
  const [trainX, testX] = [x.slice(0, 0, TRAIN).contiguous(), x.slice(0, TRAIN, TRAIN + TEST).contiguous()];
  const testY = clean.slice(0, TRAIN, TRAIN + TEST).contiguous();
  const errors: { train: number[]; test: number[] } = { train: [], test: [] };
  const figures: Record<string, unknown> = { epochs };
  for (const width of widths) {
    const own = setting.generator(width);
    const model = new MLP([40, width, width, 10], { generator: own });
    for (const { weight, bias } of model.fc) {
      kaimingNormal_(weight, { nonlinearity: 'relu', generator: own });
      zeros_(bias!);
    }
    const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
    const loader = new DataLoader(new TensorDataset(trainX, noisy), { batchSize: 100, shuffle: true, generator: own });
    for (let epoch = 0; epoch < epochs; epoch++) {
      setting.check();
      for (const [batch, labels] of loader) {
        const loss = crossEntropy(model.forward(batch), labels);
        optimizer.zeroGrad();
        loss.backward();
        optimizer.step();
      }
      await model.fc[0]!.bias!.data();
    }
    const share = noGrad(() => [
      model.forward(trainX).argmax(1).ne(noisy).to('float32').mean(),
      model.forward(testX).argmax(1).ne(testY).to('float32').mean(),
    ]);
    const [train, test] = await Promise.all(share.map((t) => t.item()));
    errors.train.push(train! * 100);
    errors.test.push(test! * 100);
    figures[`h_${width}`] = {
      parameters: countOf(model),
      train_error: short(train! * 100, 4),
      test_error: short(test! * 100, 4),
      ...(published[width] === undefined ? {} : { published: published[width] }),
    };
    setting.say(`h = ${width}: train ${(train! * 100).toFixed(2)} %, test ${(test! * 100).toFixed(2)} %`);
  }
  const known = Object.keys(published).map(Number);
  return {
    figures,
    picture: sheet('Double descent', `40-h-h-10 on MNIST-1D, 15 % of the labels wrong, ${epochs} epochs`, [
      plot(
        [
          { name: 'test', x: widths, y: errors.test, as: 'both' },
          { name: 'train', x: widths, y: errors.train, as: 'both' },
          { name: 'published, 500 epochs', x: known, y: known.map((h) => published[h]!), as: 'points' },
        ],
        { title: 'Error, %', x: 'hidden units h', logX: true, width: 460, height: 300 },
      ),
    ]),
  };
}
