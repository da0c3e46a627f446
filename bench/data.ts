import { fromTypedArray, noGrad, type Module, type Tensor } from 'myelin';
import { intValues, uniValues } from './values.js';

/** float32 values in [low, high) by the name's sequence. */
export const uni = (name: string, shape: readonly number[], low: number, high: number): Tensor =>
  fromTypedArray(uniValues(name, shape, low, high), shape);

/** int32 values in [0, k) by the name's sequence. */
export const ints = (name: string, shape: readonly number[], k: number): Tensor =>
  fromTypedArray(intValues(name, shape, k), shape);

/**
 * Sets every parameter from its name's sequence in ±bound: √(3 / fan-in) for matrices and convolutions, 1/√hidden for recurrent
 * weights, 0.1 for embeddings. Gains of norms are 1, biases 0.
 */
export function initialise<M extends Module>(model: M): M {
  const parameters = new Map(model.namedParameters());
  noGrad(() => {
    for (const [name, parameter] of parameters) {
      const { shape } = parameter;
      if (shape.length < 2) {
        parameter.fill_(name.endsWith('weight') ? 1 : 0);
        continue;
      }
      const recurrent = parameters.get(name.replace('weight_ih', 'weight_hh'));
      const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
      let bound = Math.sqrt(3 / fanIn);
      if (/(emb|wte|wpe)\.weight$/.test(name)) bound = 0.1;
      else if (/weight_[ih]h/.test(name)) bound = 1 / Math.sqrt(recurrent?.shape[1] ?? fanIn);
      parameter.copy_(uni(name, shape, -bound, bound));
    }
  });
  return model;
}
