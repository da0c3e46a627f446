import { noGrad } from '../autograd/graph.js';
import { MLP } from '../models/mlp.js';
import { tensor } from '../ops/create.js';
import { mseLoss } from '../ops/loss_pairs.js';
import { rand } from '../ops/random.js';
import { Adam } from '../optim/adam.js';
import { CosineAnnealingLR } from '../optim/schedulers.js';
import { plot, sheet } from './chart.js';
import { countOf, minimise, numbersOf, short, spaced } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** The rate of an enzyme, V[S] / (K + [S]). */
const rate = (v: number, k: number, s: number): number => (v * s) / (k + s);

/** Michaelis and Menten's rate learnt from (V, K, [S]) by one layer and by two: the feature must be made before it can be weighed. */
export async function run(setting: Setting): Promise<Finding> {
  const steps = setting.full ? 20_000 : 1500;
  const examples = async (stream: number): Promise<{ rows: number[][]; y: number[] }> => {
    const u = await numbersOf(rand([600, 3], { dtype: 'float64', generator: setting.generator(stream) }));
    const rows = Array.from({ length: 600 }, (_, i) => [
      0.5 + 1.5 * u[3 * i]!,
      0.1 + 0.9 * u[3 * i + 1]!,
      3 * u[3 * i + 2]!,
    ]);
    return { rows, y: rows.map(([v, k, s]) => rate(v!, k!, s!)) };
  };
  const [train, test] = [await examples(1), await examples(2)];
  const [x, y] = [tensor(train.rows), tensor(train.y.map((v) => [v]))];
  const mean = test.y.reduce((sum, v) => sum + v, 0) / test.y.length;
  const spread = test.y.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  const s = spaced(0, 3, 121);
  const curves = [{ name: 'V[S]/(K + [S])', x: s, y: s.map((v) => rate(1.5, 0.3, v)), dashed: true }];
  const figures: Record<string, unknown> = {};
  const panels = [];
  for (const [name, sizes, stream] of [
    ['one layer', [3, 1], 3],
    ['two layers', [3, 16, 1], 4],
  ] as const) {
    const model = new MLP(sizes, { activation: 'tanh', generator: setting.generator(stream) });
    const optimizer = new Adam(model.parameters(), { lr: 0.02 });
    const schedule = new CosineAnnealingLR(optimizer, { tMax: steps });
    await minimise(
      setting,
      optimizer,
      steps,
      () => mseLoss(model.forward(x), y),
      () => schedule.step(),
    );
    const predict = (rows: number[][]): Promise<number[]> => numbersOf(noGrad(() => model.forward(tensor(rows))));
    const got = await predict(test.rows);
    const missed = got.reduce((sum, v, i) => sum + (v - test.y[i]!) ** 2, 0);
    const explained = 1 - missed / spread;
    figures[name.replace(' ', '_')] = {
      parameters: countOf(model),
      explained_variance: short(explained),
      root_mean_square_error: short(Math.sqrt(missed / got.length)),
    };
    curves.push({ name, x: s, y: await predict(s.map((v) => [1.5, 0.3, v])), dashed: false });
    const points = [{ name, x: test.y, y: got, as: 'points' as const }];
    panels.push(plot(points, { title: `${name}: R² = ${explained.toFixed(4)}`, x: 'true rate', y: 'learnt' }));
  }
  panels.unshift(plot(curves, { title: 'V = 1.5, K = 0.3', x: '[S]', y: 'rate' }));
  return {
    figures,
    picture: sheet('Michaelis–Menten', 'the rate of an enzyme from V, K and [S], on held-out examples', panels),
  };
}
