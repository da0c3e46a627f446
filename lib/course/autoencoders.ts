import { noGrad } from '../autograd/graph.js';
import { TensorDataset } from '../data/dataset.js';
import { DataLoader } from '../data/loader.js';
import { Autoencoder, DenoisingAutoencoder, LinearAutoencoder, SparseAutoencoder } from '../models/autoencoder.js';
import { PCA } from '../models/pca.js';
import { mseLoss } from '../ops/loss_pairs.js';
import { Adam } from '../optim/adam.js';
import { CosineAnnealingLR } from '../optim/schedulers.js';
import type { Tensor } from '../tensor.js';
import { picture, plot, sheet, tiles } from './chart.js';
import { numbersOf, short } from './common.js';
import { digits, type Digits } from './digits.js';
import type { Finding, Setting } from './experiment.js';

/** Squared error an image of MNIST's test digits that so many principal components leave. */
const known: Readonly<Record<number, number>> = { 2: 43.645, 16: 21.058, 30: 13.866, 32: 13.193, 64: 7.093 };

/** PCA, and linear, deep, denoising and sparse autoencoders of digits: errors and reconstructions. In full all 60,000 and 20 epochs. */
export async function run(setting: Setting): Promise<Finding> {
  const { full } = setting;
  const [train, test] = await Promise.all([digits(setting, 'train', full ? 60_000 : 12_000), digits(setting, 'test')]);
  return compare(setting, train, test, full ? 20 : 10);
}

/** All of them fitted to `train` and judged by what they leave of `test`. */
export async function compare(setting: Setting, { x }: Digits, { x: test }: Digits, epochs: number): Promise<Finding> {
  const errorOf = (reconstruct: (x: Tensor) => Tensor): Promise<number> =>
    noGrad(() => reconstruct(test).sub(test).square().sum(1).mean()).item();
  const components: Record<string, unknown> = {};
  const pca: number[] = [];
  const counts = Object.keys(known).map(Number);
  const all = await new PCA(784, Math.max(...counts)).fit(x);
  for (const k of counts) {
    const basis = all.components.slice(0, 0, k).to('float32');
    const mean = all.mean.to('float32');
    pca.push(await errorOf((v) => v.sub(mean).matmul(basis.t()).matmul(basis).add(mean)));
    components[`k_${k}`] = { error: short(pca.at(-1)!, 5), with_60000_digits: known[k] };
  }
  const shown = test.slice(0, 0, 12);
  const noisy = new DenoisingAutoencoder([784, 4], { level: 0.3, generator: setting.generator(9) }).train();
  const corrupted = noGrad(() => noisy.corruption.forward(shown));
  const makers = {
    'linear 784-30-784': (generator) => new LinearAutoencoder(784, 30, { generator }),
    'deep 784-256-32-256-784': (generator) => new Autoencoder([784, 256, 32], { output: 'sigmoid', generator }),
    'denoising 784-256-32': (generator) => new DenoisingAutoencoder([784, 256, 32], { output: 'sigmoid', generator }),
    'sparse 784-256': (generator) => new SparseAutoencoder([784, 256], { output: 'sigmoid', weight: 1e-4, generator }),
  } satisfies Record<string, (generator: ReturnType<Setting['generator']>) => Autoencoder>;
  const pixels = async (t: Tensor): Promise<number[][]> => {
    const values = await numbersOf(t);
    return Array.from({ length: 12 }, (_, i) => values.slice(784 * i, 784 * (i + 1)));
  };
  const grid = [...(await pixels(shown))];
  const errors: Record<string, number> = {};
  for (const [i, [name, make]] of Object.entries(makers).entries()) {
    const generator = setting.generator(i + 1);
    const model = make(generator);
    const optimizer = new Adam(model.parameters(), { lr: 2e-3 });
    const loader = new DataLoader(new TensorDataset(x), { batchSize: 128, shuffle: true, generator });
    const schedule = new CosineAnnealingLR(optimizer, { tMax: epochs * loader.length });
    for (let epoch = 0; epoch < epochs; epoch++) {
      for (const [v] of loader) {
        const error = mseLoss(model.forward(v), v);
        const loss = model instanceof SparseAutoencoder ? error.add(model.penalty!) : error;
        optimizer.zeroGrad();
        loss.backward();
        optimizer.step();
        schedule.step();
      }
      await model.parameters()[1]!.data();
      setting.check();
    }
    model.eval();
    errors[name] = short(await errorOf((v) => model.forward(v)), 5);
    setting.say(`${name}: squared error ${errors[name]} an image`);
    const denoises = model instanceof DenoisingAutoencoder;
    if (denoises) grid.push(...(await pixels(corrupted)));
    grid.push(...(await pixels(noGrad(() => model.forward(denoises ? corrupted : shown)))));
  }
  const title = 'Digits; linear, deep; masked digits, what the denoising one makes of them; sparse';
  return {
    figures: { training_digits: x.shape[0], epochs, principal_components: components, squared_error: errors },
    picture: sheet('Autoencoders', `after ${epochs} epochs of ${x.shape[0]} digits of MNIST`, [
      picture(tiles(grid, 28, 12), title, { scale: 2, range: [0, 1] }),
      plot(
        [
          { name: 'PCA', x: counts, y: pca, as: 'both' },
          { name: 'PCA of 60,000', x: counts, y: counts.map((k) => known[k]!), as: 'points' },
          { name: 'linear autoencoder', x: [30], y: [errors['linear 784-30-784']!], as: 'points' },
          { name: 'deep autoencoder', x: [32], y: [errors['deep 784-256-32-256-784']!], as: 'points' },
        ],
        { title: 'Squared error an image', x: 'numbers in the code' },
      ),
    ]),
  };
}
