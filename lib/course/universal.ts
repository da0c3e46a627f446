import { noGrad } from '../autograd/graph.js';
import { ShallowNetwork } from '../models/shallow.js';
import { eye, ones, tensor } from '../ops/create.js';
import { solve } from '../ops/linalg.js';
import { mseLoss } from '../ops/loss_pairs.js';
import { cat } from '../ops/views.js';
import { relu } from '../ops/activation.js';
import { Adam } from '../optim/adam.js';
import { CosineAnnealingLR } from '../optim/schedulers.js';
import { plot, sheet } from './chart.js';
import { minimise, numbersOf, short, spaced } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** A function of one number that no few pieces follow. */
const target = (x: number): number => Math.sin(3 * x) + 0.5 * Math.sin(11 * x) + 0.3 * Math.abs(x);

const [LOW, HIGH] = [-2, 2];

/** A network with its joints spread evenly and its output layer solved for by least squares. */
function solved(width: number, x: readonly number[], y: readonly number[]): ShallowNetwork {
  const model = new ShallowNetwork(1, width);
  const bends = spaced(LOW, HIGH, width + 1).slice(0, width);
  const column = (v: readonly number[]) =>
    tensor(
      v.map((item) => [item]),
      { dtype: 'float64' },
    );
  const hidden = relu(column(x).sub(tensor([bends], { dtype: 'float64' })));
  const design = cat([hidden, ones([x.length, 1], { dtype: 'float64' })], 1);
  const normal = design
    .t()
    .matmul(design)
    .add(eye(width + 1, undefined, { dtype: 'float64' }).mul(1e-9));
  const weights = solve(normal, design.t().matmul(column(y)));
  noGrad(() => {
    model.hidden.weight.fill_(1);
    model.hidden.bias!.copy_(tensor(bends.map((v) => -v)));
    model.output.weight.copy_(weights.slice(0, 0, width).t());
    model.output.bias!.copy_(weights.select(0, width));
  });
  return model;
}

/** One hidden layer of D ReLU units that follows a function the better the more units it has. */
export async function run(setting: Setting): Promise<Finding> {
  const widths = setting.full ? [2, 5, 10, 20, 50, 100, 200] : [2, 5, 10, 20, 50, 100];
  const steps = setting.full ? 20_000 : 800;
  const at = spaced(LOW, HIGH, 256);
  const wanted = at.map(target);
  const [x, y] = [at, wanted].map((v) => tensor(v.map((item) => [item]))) as [
    ReturnType<typeof tensor>,
    ReturnType<typeof tensor>,
  ];
  const errorOf = (fit: readonly number[]): number =>
    Math.sqrt(fit.reduce((sum, v, k) => sum + (v - wanted[k]!) ** 2, 0) / fit.length);
  const exact: number[] = [];
  const trained: number[] = [];
  const panels = [];
  for (const [i, width] of widths.entries()) {
    const best = solved(width, at, wanted);
    const fit = await numbersOf(noGrad(() => best.forward(x)));
    exact.push(errorOf(fit));
    const curves = [
      { name: 'function', x: at, y: wanted, dashed: true },
      { name: 'network', x: at, y: fit },
    ];
    panels.push(plot(curves, { title: `D = ${width}: ${exact[i]!.toPrecision(2)}`, width: 250, height: 170 }));

    const model = new ShallowNetwork(1, width, 1, { generator: setting.generator(i) });
    const optimizer = new Adam(model.parameters(), { lr: 0.02 });
    const schedule = new CosineAnnealingLR(optimizer, { tMax: steps });
    const loss = () => mseLoss(model.forward(x), y);
    await minimise(setting, optimizer, steps, loss, () => schedule.step());
    trained.push(errorOf(await numbersOf(noGrad(() => model.forward(x)))));
    setting.say(`${width} units: error ${exact[i]!.toPrecision(3)} solved, ${trained[i]!.toPrecision(3)} trained`);
  }
  const errors = [
    { name: 'joints spread, outputs solved', x: widths, y: exact, as: 'both' as const },
    { name: `trained from random weights, ${steps} steps`, x: widths, y: trained, as: 'both' as const },
  ];
  const axes = { x: 'D', logX: true, logY: true, width: 250, height: 170 };
  panels.push(plot(errors, { title: 'Root mean square error', ...axes }));
  const byWidth = (v: readonly number[]) => Object.fromEntries(widths.map((w, i) => [w, short(v[i]!, 4)]));
  return {
    figures: { root_mean_square_error: { solved: byWidth(exact), trained: byWidth(trained) }, steps },
    picture: sheet('Universal approximation', 'one hidden layer of D units fitted to a function of one number', panels),
  };
}
