import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { ValueError } from '../errors.js';
import { show } from '../check.js';
import { checkSource, rowsOf, walk } from './fit.js';
import { Meter } from './meter.js';
import type { Metric } from './metrics.js';
import { Breather } from './scalars.js';
import type { BatchSource, TrainableModel } from './types.js';

/** What {@link evaluate} resolves with: the mean of every score, and the rows that they are means over. */
export interface Evaluation {
  readonly rows: number;
  readonly scores: Readonly<Record<string, number>>;
}

/**
 * Means of `scores` over all rows of a loader, with the model in evaluation mode and without gradients. The model's mode is
 * afterwards what it was.
 *
 * @example const { scores } = await evaluate(model, test, { loss: crossEntropy, accuracy });
 */
export async function evaluate(
  model: TrainableModel,
  loader: BatchSource,
  scores: Readonly<Record<string, Metric>>,
): Promise<Evaluation> {
  if (typeof model?.forward !== 'function')
    throw new ValueError(`evaluate: expected model to be a Module, got ${show(model)}`);
  checkSource('evaluate', 'loader', loader);
  const functions = Object.values(scores);
  const meter = new Meter(functions.length);
  const breather = new Breather();
  const { training } = model;
  model.eval();
  try {
    await walk(loader, async ([input, target]) => {
      const values = noGrad(() =>
        scope(() => {
          const output = model.forward(input);
          return functions.map((score) => score(output, target));
        }),
      );
      await meter.add(values, rowsOf(input));
      await breather.breathe();
      return true;
    });
    await meter.flush();
  } finally {
    model.train(training);
  }
  const means = meter.means();
  return {
    rows: meter.state().rows,
    scores: Object.fromEntries(Object.keys(scores).map((name, i) => [name, means[i] ?? NaN])),
  };
}
