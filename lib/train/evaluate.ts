import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { ValueError } from '../errors.js';
import { show } from '../check.js';
import { checkSource, weightOf, walk } from './fit.js';
import type { Tensor } from '../tensor.js';
import { Meter } from './meter.js';
import { Breather } from './scalars.js';
import type { AnyModel, BatchSource, Callable } from './types.js';

/** What {@link evaluate} resolves with: the mean of every score, and the rows (or the sum of the batches' weights) it is taken over. */
export interface Evaluation {
  readonly rows: number;
  readonly scores: Readonly<Record<string, number>>;
}

/** Options of {@link evaluate}. */
export interface EvaluateOptions<I, O> {
  /** From a batch's input to the output; the model's own `forward` when left out. */
  readonly forward?: ((input: I) => O) | undefined;
}

/**
 * Means of `scores` over all rows of a loader, with the model in evaluation mode and without gradients. The model's mode is
 * afterwards what it was.
 *
 * @example const { scores } = await evaluate(model, test, { loss: crossEntropy, accuracy });
 */
export async function evaluate<I = Tensor, O = Tensor>(
  model: AnyModel,
  loader: BatchSource<I>,
  scores: Readonly<Record<string, (output: O, target: Tensor) => Tensor>>,
  { forward = (input) => (model as unknown as Callable<I, O>).forward(input) }: EvaluateOptions<I, O> = {},
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
    await walk(loader, async (batch) => {
      const [input, target] = batch;
      const values = noGrad(() =>
        scope(() => {
          const output = forward(input);
          return functions.map((score) => score(output, target));
        }),
      );
      await meter.add(values, weightOf(batch));
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
