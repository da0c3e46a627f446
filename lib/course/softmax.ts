import { grad } from '../autograd/backward.js';
import { tensor } from '../ops/create.js';
import { softmax } from '../ops/softmax.js';
import { picture, plot, sheet } from './chart.js';
import { numbersOf, short, spaced } from './common.js';
import type { Finding } from './experiment.js';

/** The Jacobian φ_k δ_jk − φ_j φ_k of softmax by autograd, and K − 1 logits for K classes. */
export async function run(): Promise<Finding> {
  const values = [1.5, 0.2, -0.7, 0.9];
  const k = values.length;
  const logits = tensor(values, { dtype: 'float64', requiresGrad: true });
  const phi = softmax(logits, 0);
  const p = await numbersOf(phi);
  const jacobian: number[][] = [];
  for (let i = 0; i < k; i++) {
    const [row] = grad(phi.select(0, i), [logits], { retainGraph: true });
    jacobian.push(await numbersOf(row!));
  }
  const formula = p.map((a, i) => p.map((b, j) => (i === j ? a : 0) - a * b));
  const off = Math.max(...jacobian.flatMap((row, i) => row.map((v, j) => Math.abs(v - formula[i]![j]!))));
  // Subtracting one logit from all leaves the probabilities as they are, so one of them can be held at 0.
  const fewer = await numbersOf(
    softmax(
      tensor(
        values.map((v) => v - values[k - 1]!),
        { dtype: 'float64' },
      ),
      0,
    ),
  );
  const at = spaced(-6, 6, 200);
  const two = await numbersOf(
    softmax(
      tensor(
        at.map((z) => [z, 0]),
        { dtype: 'float64' },
      ),
      1,
    ).select(1, 0),
  );
  return {
    figures: {
      probabilities: p.map((v) => short(v, 9)),
      jacobian: jacobian.map((row) => row.map((v) => short(v, 9))),
      largest_difference_to_formula: off,
      largest_difference_with_last_logit_0: Math.max(...p.map((v, i) => Math.abs(v - fewer[i]!))),
      largest_difference_of_two_classes_to_logistic: Math.max(
        ...at.map((z, i) => Math.abs(two[i]! - 1 / (1 + Math.exp(-z)))),
      ),
    },
    picture: sheet('Softmax', 'its Jacobian; with two classes and one logit it is the logistic function', [
      picture({ width: k, height: k, at: (x, y) => jacobian[y]![x]! }, 'Jacobian (orange above 0, blue below)', {
        scale: 60,
        colours: 'signed',
      }),
      plot([{ name: 'softmax of (z, 0)', x: at, y: two }], { title: 'Two classes', x: 'z' }),
    ]),
  };
}
