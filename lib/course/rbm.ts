import { noGrad } from '../autograd/graph.js';
import { TensorDataset } from '../data/dataset.js';
import { DataLoader } from '../data/loader.js';
import { padImages } from '../data/augment.js';
import { RBM } from '../models/rbm.js';
import { Linear } from '../nn/linear.js';
import { crossEntropy } from '../ops/loss.js';
import { avgPool2d } from '../ops/pool.js';
import { randint } from '../ops/random.js';
import { cat } from '../ops/views.js';
import { Adam } from '../optim/adam.js';
import { CosineAnnealingLR } from '../optim/schedulers.js';
import { SGD } from '../optim/sgd.js';
import type { Generator } from '../random.js';
import type { Tensor } from '../tensor.js';
import { picture, plot, sheet, tiles } from './chart.js';
import { minimise, numbersOf, short } from './common.js';
import { digits, type Digits } from './digits.js';
import type { Finding, Setting } from './experiment.js';

const SIDE = 14;
const UNITS = 100;
const CLASSES = 10;

/** Pictures of side 28 at half the resolution. */
export const halved = (x: Tensor): Tensor => avgPool2d(x.reshape([-1, 1, 2 * SIDE, 2 * SIDE]), 2).flatten(1);

/** Every digit as it is and moved by `by` pixels up, down, left and right: five times as many. */
export function nudged({ x, y }: Digits, by: number): Digits {
  const around = padImages(x.reshape([-1, 1, SIDE, SIDE]), by);
  const places = [
    [by, by],
    [0, by],
    [2 * by, by],
    [by, 0],
    [by, 2 * by],
  ] as const;
  const moved = places.map(([top, left]) => around.narrow(2, top, SIDE).narrow(3, left, SIDE).flatten(1));
  return {
    x: cat(moved, 0),
    y: cat(
      places.map(() => y),
      0,
    ),
  };
}

/** Softmax regression: the share of `test` that it gets right, and its weights, (10, features). */
async function classify(setting: Setting, train: Digits, test: Digits, generator: Generator) {
  const model = new Linear(train.x.shape[1]!, CLASSES, { generator });
  const optimizer = new Adam(model.parameters(), { lr: 0.01 });
  const steps = 1500;
  const schedule = new CosineAnnealingLR(optimizer, { tMax: steps });
  const batch = (): Tensor => randint(0, train.x.shape[0]!, [200], { generator });
  const loss = (): Tensor => {
    const rows = batch();
    return crossEntropy(model.forward(train.x.indexSelect(0, rows)), train.y.indexSelect(0, rows));
  };
  await minimise(setting, optimizer, steps, loss, () => schedule.step());
  const right = noGrad(() => model.forward(test.x).argmax(1).eq(test.y).to('float32').mean());
  return { accuracy: await right.item(), weight: await numbersOf(model.weight) };
}

/** Unsupervised training by CD-1; gives the machine and the reconstruction error of each epoch. */
async function learn(setting: Setting, x: Tensor, epochs: number, generator: Generator) {
  const rbm = new RBM(x.shape[1]!, UNITS, { generator });
  // Each pixel's bias at the logit of how often it is on (Hinton, "A practical guide to training RBMs", 2010).
  const on = x.mean(0).clamp(0.005, 0.995);
  noGrad(() => rbm.v_bias.copy_(on.log().sub(on.neg().add(1).log())));
  const optimizer = new SGD(rbm.parameters(), { lr: 0.05, momentum: 0.9 });
  const loader = new DataLoader(new TensorDataset(x), { batchSize: 50, shuffle: true, dropLast: true, generator });
  const errors: number[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    setting.check();
    for (const [v] of loader) {
      optimizer.zeroGrad();
      rbm.contrastiveDivergence(v, { generator }).backward();
      optimizer.step();
    }
    const some = x.slice(0, 0, 1000);
    const missed = noGrad(() => rbm.reconstruct(rbm.forward(some)).sub(some).square().sum(1).mean());
    errors.push(await missed.item());
  }
  return { rbm, errors };
}

/** The same classifier, trained as long, on pixels and on the machine's hidden units. Digits are of side 14. */
export async function compare(
  setting: Setting,
  train: Digits,
  test: Digits,
  { by, epochs }: { by: number; epochs: number },
) {
  const [seen, held] = [nudged(train, by), nudged(test, by)];
  const pixels = await classify(setting, seen, held, setting.generator(1));
  const { rbm, errors } = await learn(setting, seen.x, epochs, setting.generator(2));
  const features = ({ x, y }: Digits): Digits => ({ x: noGrad(() => rbm.forward(x)), y });
  const hidden = await classify(setting, features(seen), features(held), setting.generator(1));
  return { pixels, hidden, rbm, errors };
}

/**
 * Features of a restricted Boltzmann machine: softmax regression on 100 hidden units against softmax regression on pixels, digits moved
 * about. Half the resolution of MNIST, 2000 digits to learn from and 2000 others to be judged by (in full: 5000 and 10,000), each
 * at five places; no digit is on both sides.
 */
export async function run(setting: Setting): Promise<Finding> {
  const { full } = setting;
  const [train, test] = await Promise.all([
    digits(setting, 'train', full ? 5000 : 2000),
    digits(setting, 'test', full ? 10_000 : 2000),
  ]);
  const half = ({ x, y }: Digits): Digits => ({ x: halved(x), y });
  const figures: Record<string, unknown> = { training_digits: train.y.numel, test_digits: test.y.numel };
  const panels = [];
  for (const by of [1, 2]) {
    const epochs = full ? 40 : 20;
    const { pixels, hidden, rbm, errors } = await compare(setting, half(train), half(test), { by, epochs });
    const gain = hidden.accuracy - pixels.accuracy;
    figures[`moved_by_${by}`] = {
      accuracy_on_pixels: short(pixels.accuracy, 5),
      accuracy_on_hidden_units: short(hidden.accuracy, 5),
      points_gained: short(100 * gain, 4),
    };
    setting.say(
      `moved by ${by}: ${(100 * pixels.accuracy).toFixed(2)} % on pixels, ${(100 * hidden.accuracy).toFixed(2)} % on hidden units`,
    );
    if (by === 1) continue;
    const weight = await numbersOf(rbm.weight);
    const size = SIDE * SIDE;
    const filters = Array.from({ length: UNITS }, (_, i) => weight.slice(i * size, (i + 1) * size));
    const dreams = await numbersOf(
      rbm.gibbs(nudged(half(train), by).x.slice(0, 0, 50), { steps: 1000, generator: setting.generator(3) }),
    );
    const samples = Array.from({ length: 50 }, (_, i) => dreams.slice(i * size, (i + 1) * size));
    panels.push(
      picture(tiles(filters, SIDE, 10), 'Weights of the hidden units', { colours: 'signed', scale: 2 }),
      picture(tiles(samples, SIDE, 10), 'After 1000 rounds of Gibbs sampling', { scale: 2 }),
      plot([{ name: 'error', x: errors.map((_, i) => i + 1), y: errors, as: 'both' }], {
        title: 'Squared error of reconstructions',
        x: 'epoch',
        width: 260,
      }),
    );
  }
  const subtitle = `${UNITS} hidden units, digits of ${SIDE} × ${SIDE} moved by two pixels`;
  return { figures, picture: sheet('Restricted Boltzmann machine', subtitle, panels) };
}
