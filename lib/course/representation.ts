import { noGrad } from '../autograd/graph.js';
import { MLP } from '../models/mlp.js';
import { relu } from '../ops/activation.js';
import { tensor } from '../ops/create.js';
import { svd } from '../ops/linalg.js';
import { binaryCrossEntropyWithLogits } from '../ops/loss_pairs.js';
import { rand } from '../ops/random.js';
import { tanh } from '../ops/unary.js';
import { Adam } from '../optim/adam.js';
import type { Tensor } from '../tensor.js';
import { plot, sheet, type Series } from './chart.js';
import { minimise, numbersOf, short, spaced } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** Lines of a square grid of points, each a series. */
function grid(): number[][][] {
  const at = spaced(-1, 1, 11);
  const fine = spaced(-1, 1, 41);
  return [...at.map((x) => fine.map((y) => [x, y])), ...at.map((y) => fine.map((x) => [x, y]))];
}

/** Where `map` takes the grid. */
async function warped(title: string, map: (x: Tensor) => Tensor): Promise<ReturnType<typeof plot>> {
  const series: Series[] = [];
  for (const line of grid()) {
    const to = await numbersOf(noGrad(() => map(tensor(line, { dtype: 'float64' }))));
    const x = line.map((_, i) => to[2 * i]!);
    const y = line.map((_, i) => to[2 * i + 1]!);
    series.push({ name: series.length < 11 ? 'x₁ constant' : 'x₂ constant', x, y });
  }
  return plot(series, { title, width: 200, height: 200 });
}

/** A linear map as U S Vᵀ, what ReLU and tanh do to a stretched grid, and how a 2-2-1 network warps the plane until classes part. */
export async function run(setting: Setting): Promise<Finding> {
  const theta = tensor(
    [
      [0.19, 1.84],
      [-0.97, -0.93],
    ],
    { dtype: 'float64' },
  );
  const { u, s, vh } = svd(theta);
  const rebuilt = await numbersOf(u.mul(s).matmul(vh).sub(theta).abs().max());
  const [a, b] = (await numbersOf(s)) as [number, number];
  const stretch = tensor(
    [
      [a, 0],
      [0, b],
    ],
    { dtype: 'float64' },
  );
  const panels = [
    await warped('x', (x) => x),
    await warped('Vᵀx: turned', (x) => x.matmul(vh.t())),
    await warped('S Vᵀx: stretched', (x) => x.matmul(vh.t()).mul(s)),
    await warped('U S Vᵀx = Θx: turned again', (x) => x.matmul(theta.t())),
    await warped('ReLU(Sx)', (x) => relu(x.matmul(stretch))),
    await warped('tanh(Sx)', (x) => tanh(x.matmul(stretch))),
    await warped('tanh(5 Sx)', (x) => tanh(x.matmul(stretch).mul(5))),
  ];

  // Two classes that no line parts: inside and outside of the wedge where both margins are above 0.
  const draws = await numbersOf(rand([400, 2], { generator: setting.generator() }));
  const rows: number[][] = [];
  const classes: number[] = [];
  for (let i = 0; i < 400; i++) {
    const [x, y] = [2 * draws[2 * i]! - 1, 2 * draws[2 * i + 1]! - 1];
    const margin = Math.min(y + x, y - x) + 0.3;
    if (Math.abs(margin) < 0.06) continue;
    rows.push([x, y]);
    classes.push(margin > 0 ? 1 : 0);
  }
  const [x, y] = [
    tensor(rows),
    tensor(
      classes.map((v) => [v]),
      { dtype: 'float32' },
    ),
  ];
  const model = new MLP([2, 2, 1], { activation: 'tanh', generator: setting.generator(1) });
  const optimizer = new Adam(model.parameters(), { lr: 0.05 });
  const stages = [0, 50, 1000];
  let done = 0;
  const accuracy: Record<string, number> = {};
  for (const stage of stages) {
    await minimise(setting, optimizer, stage - done, () => binaryCrossEntropyWithLogits(model.forward(x), y));
    done = stage;
    const [hidden, logits] = noGrad(() => {
      const h = tanh(model.fc[0]!.forward(x));
      return [h, model.fc[1]!.forward(h)];
    });
    const places = await numbersOf(hidden);
    const out = await numbersOf(logits);
    const share = out.filter((v, i) => v > 0 === (classes[i] === 1)).length / out.length;
    accuracy[`after_${stage}_steps`] = short(share, 4);
    const of = (label: number): Series => {
      const chosen = classes.flatMap((v, i) => (v === label ? [i] : []));
      return {
        name: `class ${label}`,
        x: chosen.map((i) => places[2 * i]!),
        y: chosen.map((i) => places[2 * i + 1]!),
        as: 'points',
      };
    };
    const title = `2-2-1 after ${stage} steps: ${(100 * share).toFixed(1)} %`;
    panels.push(
      plot([of(0), of(1)], {
        title,
        x: 'h₁',
        y: 'h₂',
        width: 200,
        height: 200,
        domainX: [-1.05, 1.05],
        domainY: [-1.05, 1.05],
      }),
    );
  }
  return {
    figures: {
      singular_values: [short(a), short(b)],
      largest_difference_of_usv_to_theta: rebuilt[0],
      accuracy_of_2_2_1: accuracy,
    },
    picture: sheet(
      'Representations',
      'Θ = U S Vᵀ; nonlinearities after it; the hidden units of a 2-2-1 network as it learns',
      panels,
      4,
    ),
  };
}
