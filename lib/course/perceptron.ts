import { mistakeBound, Perceptron } from '../models/perceptron.js';
import { randn } from '../ops/random.js';
import { tensor } from '../ops/create.js';
import { plot, sheet } from './chart.js';
import { numbersOf, short } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** The rule w += η(y − ŷ)x on separable points: its mistakes against Novikoff's bound (R/γ)². */
export async function run(setting: Setting): Promise<Finding> {
  const generator = setting.generator();
  const points = await numbersOf(randn([400, 2], { generator }));
  // Points near the line 2x₁ − x₂ + 0.3 = 0 are left out: a margin of 0.15.
  const [a, b, c] = [2, -1, 0.3];
  const rows: number[][] = [];
  const classes: number[] = [];
  for (let i = 0; i < points.length && rows.length < 200; i += 2) {
    const [x, y] = [points[i]!, points[i + 1]!];
    const distance = (a * x + b * y + c) / Math.hypot(a, b);
    if (Math.abs(distance) < 0.15) continue;
    rows.push([x, y]);
    classes.push(Math.sign(distance));
  }
  const x = tensor(rows, { dtype: 'float64' });
  const y = tensor(classes, { dtype: 'float64' });
  const model = new Perceptron(2);
  const fit = await model.fit(x, y);
  const weight = await numbersOf(model.weight);
  const bias = await model.bias.item();
  const bound = await mistakeBound(x, y, [a, b], c);
  const of = (label: number) => rows.filter((_, i) => classes[i] === label);
  const line = (w: readonly number[], w0: number) => ({
    x: [-3, 3],
    y: [-3, 3].map((v) => -(w0 + w[0]! * v) / w[1]!),
  });
  const cloud = (name: string, label: number) => ({
    name,
    x: of(label).map((p) => p[0]!),
    y: of(label).map((p) => p[1]!),
    as: 'points' as const,
  });
  const panel = plot(
    [
      cloud('class −1', -1),
      cloud('class 1', 1),
      { name: 'learnt', ...line(weight, bias) },
      { name: 'true', ...line([a, b], c), dashed: true },
    ],
    {
      title: `${fit.mistakes} updates, bound ${bound.toFixed(0)}`,
      domainX: [-3, 3],
      domainY: [-3, 3],
      x: 'x₁',
      y: 'x₂',
    },
  );
  return {
    figures: {
      examples: rows.length,
      ...fit,
      bound: short(bound),
      weight: weight.map((w) => short(w)),
      bias: short(bias),
    },
    picture: sheet('Perceptron', 'w += η(y − ŷ)x until a pass makes no mistake', [panel]),
  };
}
