import { noGrad } from '../autograd/graph.js';
import { collapse, MLP } from '../models/mlp.js';
import { randn } from '../ops/random.js';
import { plot, sheet } from './chart.js';
import { numbersOf, short } from './common.js';
import type { Finding, Setting } from './experiment.js';

/** Without a nonlinearity W_d … W₁ = W̃: deep linear networks against the one layer that they are, and against the same net with ReLU. */
export async function run(setting: Setting): Promise<Finding> {
  const depths = [2, 3, 5, 10, 20];
  const linear: number[] = [];
  const bent: number[] = [];
  for (const depth of depths) {
    const sizes = [8, ...new Array<number>(depth - 1).fill(16), 4];
    const difference = async (activation: 'linear' | 'relu'): Promise<number> => {
      const model = new MLP(sizes, { activation, generator: setting.generator(depth) });
      // Weights large enough that the signal does not die on the way.
      noGrad(() => model.fc.forEach(({ weight }) => weight.mul_(1.8)));
      const x = randn([256, 8], { generator: setting.generator(1) });
      const [deep, one] = await Promise.all(
        noGrad(() => [model.forward(x), collapse(model.fc).forward(x)]).map(numbersOf),
      );
      const norm = (v: readonly number[]): number => Math.hypot(...v);
      return norm(deep!.map((v, i) => v - one![i]!)) / norm(one!);
    };
    linear.push(await difference('linear'));
    bent.push(await difference('relu'));
  }
  const curves = [
    { name: 'linear network', x: depths, y: linear, as: 'both' as const },
    { name: 'the same with ReLU', x: depths, y: bent, as: 'both' as const },
  ];
  return {
    figures: Object.fromEntries(
      depths.map((d, i) => [`${d}_layers`, { linear: short(linear[i]!, 3), relu: short(bent[i]!, 3) }]),
    ),
    picture: sheet('Linear collapse', '‖deep − one layer‖ / ‖one layer‖ in float32', [
      plot(curves, { title: 'Relative difference', x: 'layers', logY: true }),
    ]),
  };
}
