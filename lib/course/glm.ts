import { GLM, type GLMFamily } from '../models/glm.js';
import { noGrad } from '../autograd/graph.js';
import { bernoulli, multinomial, rand, randn } from '../ops/random.js';
import { tensor } from '../ops/create.js';
import type { Tensor } from '../tensor.js';
import { plot, sheet } from './chart.js';
import { numbersOf, short, spaced } from './common.js';
import type { Finding, Setting } from './experiment.js';

const families: readonly (readonly [family: GLMFamily, title: string])[] = [
  ['gaussian', 'Gaussian, identity'],
  ['bernoulli', 'Bernoulli, logit'],
  ['poisson', 'Poisson, log'],
  ['categorical', 'Categorical, softmax'],
];

/** The four families with their canonical links, fitted by Newton's method (IRLS) and by gradient ascent to the same maximum. */
export async function run(setting: Setting): Promise<Finding> {
  const generator = setting.generator();
  const n = 200;
  const x = rand([n, 1], { dtype: 'float64', generator }).mul(6).sub(3);
  const xs = await numbersOf(x);
  const draw = async (family: GLMFamily): Promise<Tensor> => {
    const eta = x.squeeze(1);
    switch (family) {
      case 'gaussian':
        return eta
          .mul(0.7)
          .add(0.5)
          .add(randn([n], { dtype: 'float64', generator }));
      case 'bernoulli':
        return bernoulli(eta.mul(1.5).sub(0.5).sigmoid(), { generator });
      case 'poisson': {
        // Events in a time of 1 whose waits are exponential.
        const waits = await numbersOf(rand([n, 60], { dtype: 'float64', generator }));
        const counts = xs.map((v, i) => {
          const rate = Math.exp(0.6 * v + 0.3);
          let [time, k] = [0, -1];
          while (time < 1 && k < 59) time -= Math.log(1 - waits[60 * i + ++k]!) / rate;
          return k;
        });
        return tensor(counts, { dtype: 'float64' });
      }
      case 'categorical': {
        const logits = tensor(
          xs.map((v) => [1.5 * v, 1 - 0.5 * v * 0, -1.2 * v]),
          { dtype: 'float64' },
        );
        return multinomial(logits.softmax(1), 1, { generator }).squeeze(1).to('int32');
      }
    }
  };
  const at = spaced(-3, 3, 121);
  const grid = tensor(
    at.map((v) => [v]),
    { dtype: 'float64' },
  );
  const figures: Record<string, unknown> = {};
  const panels = [];
  for (const [family, title] of families) {
    setting.check();
    const y = await draw(family);
    const model = new GLM(1, family, 3);
    const newton = await model.fit(x, y);
    const coefficients = [...(await numbersOf(model.weight)), ...(await numbersOf(model.bias))];
    const other = new GLM(1, family, 3);
    const gradient = await other.fit(x, y, { method: 'gradient' });
    const again = [...(await numbersOf(other.weight)), ...(await numbersOf(other.bias))];
    figures[family] = {
      coefficients: coefficients.map((v) => short(v, 8)),
      log_likelihood: short(newton.logLikelihood, 8),
      deviance: short(newton.deviance, 8),
      iterations: { newton: newton.iterations, gradient: gradient.iterations },
      difference: short(Math.max(...coefficients.map((v, i) => Math.abs(v - again[i]!)))),
    };
    const means = await numbersOf(noGrad(() => model.forward(grid)));
    const ys = await numbersOf(y);
    const curves =
      family === 'categorical'
        ? [0, 1, 2].map((k) => ({ name: `p(class ${k})`, x: at, y: at.map((_, i) => means[3 * i + k]!) }))
        : [{ name: 'mean', x: at, y: means }];
    const shown = family === 'categorical' ? [] : [{ name: 'data', x: xs, y: ys, as: 'points' as const }];
    panels.push(plot([...curves, ...shown], { title, x: 'x', width: 300, height: 220 }));
  }
  const subtitle = 'log-likelihoods with gradient (y − μ)x; Newton’s method and gradient ascent agree';
  return { figures, picture: sheet('Generalised linear models', subtitle, panels, 2) };
}
