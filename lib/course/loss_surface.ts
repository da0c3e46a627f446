import { tensor } from '../ops/create.js';
import { randn } from '../ops/random.js';
import { field, plot, sheet } from './chart.js';
import { numbersOf, short, spaced } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** Gradient descent on the sum of squared errors of φ₀ + φ₁x, against the closed form. */
export async function run(setting: Setting): Promise<Finding> {
  const xs = spaced(0, 2, 20);
  const noise = await numbersOf(randn([20], { generator: setting.generator() }));
  const ys = xs.map((v, i) => 0.5 + 0.8 * v + 0.15 * noise[i]!);
  const [x, y] = [tensor(xs, { dtype: 'float64' }), tensor(ys, { dtype: 'float64' })];
  let phi = tensor([-0.5, 1.8], { dtype: 'float64', requiresGrad: true });
  const rate = 0.01;
  const path: number[][] = [];
  for (let step = 0; step <= 500; step++) {
    const loss = phi
      .select(0, 0)
      .add(x.mul(phi.select(0, 1)))
      .sub(y)
      .square()
      .sum();
    path.push([...(await numbersOf(phi)), await loss.item()]);
    loss.backward();
    phi = phi.detach().sub(phi.grad!.mul(rate)).requiresGrad_();
  }
  const mean = (v: readonly number[]): number => v.reduce((sum, item) => sum + item, 0) / v.length;
  const [mx, my] = [mean(xs), mean(ys)];
  const slope = mean(xs.map((v, i) => (v - mx) * (ys[i]! - my))) / mean(xs.map((v) => (v - mx) ** 2));
  const exact = [my - slope * mx, slope];
  const sse = (p0: number, p1: number): number => xs.reduce((sum, v, i) => sum + (p0 + p1 * v - ys[i]!) ** 2, 0);
  const size = 120;
  const [low0, high0, low1, high1] = [-1, 2, -0.5, 2.5];
  const surface = field(
    {
      width: size,
      height: size,
      // The root spreads the valley's colours.
      at: (i, j) =>
        -Math.sqrt(sse(low0 + ((high0 - low0) * i) / (size - 1), high1 - ((high1 - low1) * j) / (size - 1))),
    },
    [
      { name: 'steps', x: path.map((p) => p[0]!), y: path.map((p) => p[1]!), as: 'line' },
      { name: 'least squares', x: [exact[0]!], y: [exact[1]!], as: 'points' },
    ],
    { title: 'The loss and the way down', x: 'φ₀', y: 'φ₁', domainX: [low0, high0], domainY: [low1, high1] },
  );
  const last = path.at(-1)!;
  const lines = plot(
    [
      { name: 'data', x: xs, y: ys, as: 'points' },
      ...[0, 5, 20, 500].map((step) => ({
        name: `after ${step} steps`,
        x: [0, 2],
        y: [0, 2].map((v) => path[step]![0]! + path[step]![1]! * v),
      })),
    ],
    { title: 'The line as it learns', x: 'x', y: 'y' },
  );
  const curve = plot([{ name: 'SSE', x: path.map((_, i) => i), y: path.map((p) => p[2]!) }], {
    title: 'Sum of squared errors',
    x: 'step',
    logY: true,
  });
  return {
    figures: {
      descended: last.slice(0, 2).map((v) => short(v, 9)),
      closed_form: exact.map((v) => short(v, 9)),
      sse: short(last[2]!),
    },
    picture: sheet('Linear regression by gradient descent', 'φ₀ + φ₁x, sum of squared errors', [surface, lines, curve]),
  };
}
