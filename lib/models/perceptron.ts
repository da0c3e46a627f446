import { noGrad } from '../autograd/graph.js';
import { checkInteger, checkNumber } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { Module } from '../nn/module.js';
import { Parameter } from '../nn/parameter.js';
import { fromTypedArray, where, zeros } from '../ops/create.js';
import { checkFloat, checkTensor } from '../ops/apply.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { Breather } from '../train/scalars.js';

/** How {@link Perceptron.fit} learns. */
export interface PerceptronFitOptions {
  /** η; default 1. */
  readonly rate?: number;
  /** Passes over the data at most; default 1000. */
  readonly maxEpochs?: number;
}

/** What {@link Perceptron.fit} resolves with. */
export interface PerceptronFit {
  /** Whether the last pass made no mistake: the data are separated. */
  readonly converged: boolean;
  readonly epochs: number;
  /** Updates made; at most {@link mistakeBound} on separable data, from weights 0. */
  readonly mistakes: number;
}

/**
 * Rosenblatt's perceptron: ŷ = sgn(wᵀx + b) in {−1, 1}, with sgn(0) = 1; x (N, inputs) to ŷ (N). It starts at 0 and is trained
 * by {@link fit}, not by gradients. State dict: `weight` (inputs), `bias` (). Rosenblatt, "The perceptron" (1958).
 */
export class Perceptron extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(readonly inputs: number) {
    super();
    checkInteger('Perceptron', 'inputs', inputs, { min: 1 });
    this.weight = new Parameter(zeros([inputs], { dtype: 'float64' }), { requiresGrad: false });
    this.bias = new Parameter(zeros([], { dtype: 'float64' }), { requiresGrad: false });
  }

  forward(x: Tensor): Tensor {
    const sums = this.#check('Perceptron', x).to('float64').matmul(this.weight).add(this.bias);
    return where(sums.ge(0), 1, -1);
  }

  /**
   * The perceptron's rule, one row after the other: w += η (y − ŷ) x and b += η (y − ŷ), until a whole pass changes nothing.
   * @param x rows, (N, inputs)
   * @param y classes −1 and 1, (N)
   */
  async fit(x: Tensor, y: Tensor, options: PerceptronFitOptions = {}): Promise<PerceptronFit> {
    const fn = 'Perceptron.fit';
    const { rate = 1, maxEpochs = 1000 } = options;
    checkNumber(fn, 'rate', rate, { min: Number.MIN_VALUE });
    checkInteger(fn, 'maxEpochs', maxEpochs, { min: 1 });
    const { rows, signs } = await separable(fn, this.#check(fn, x), y);
    const d = this.inputs;
    const w = Float64Array.from(await this.weight.data());
    let b = await this.bias.item();
    const breather = new Breather();
    let mistakes = 0;
    let epochs = 0;
    let converged = false;
    while (!converged && epochs < maxEpochs) {
      converged = true;
      for (let i = 0; i < signs.length; i++) {
        let sum = b;
        for (let j = 0; j < d; j++) sum += w[j]! * rows[i * d + j]!;
        const step = rate * (signs[i]! - (sum >= 0 ? 1 : -1));
        if (step === 0) continue;
        for (let j = 0; j < d; j++) w[j] = w[j]! + step * rows[i * d + j]!;
        b += step;
        mistakes++;
        converged = false;
      }
      epochs++;
      await breather.breathe();
    }
    noGrad(() => {
      this.weight.copy_(fromTypedArray(w, [d]));
      this.bias.fill_(b);
    });
    return { converged, epochs, mistakes };
  }

  #check(fn: string, x: Tensor): Tensor {
    checkFloat(fn, 'x', x);
    if (x.ndim === 2 && x.shape[1] === this.inputs) return x;
    throw new ShapeError(`${fn}: expected x of shape [N, ${this.inputs}], got ${formatShape(x.shape)}`);
  }
}

/**
 * Novikoff's bound (R/γ)² on a perceptron's mistakes, for the separating plane wᵀx + b = 0: R is the largest norm of a row with
 * a 1 appended, γ the smallest margin y (wᵀx + b) / ‖(w, b)‖. Infinity when the plane does not separate.
 * @param x rows, (N, d)
 * @param y classes −1 and 1, (N)
 */
export async function mistakeBound(x: Tensor, y: Tensor, weight: readonly number[], bias: number): Promise<number> {
  const fn = 'mistakeBound';
  const { rows, signs } = await separable(fn, checkFloat(fn, 'x', x), y);
  const d = weight.length;
  if (x.shape[1] !== d) throw new ShapeError(`${fn}: expected ${x.shape[1]} weights, got ${d}`);
  const length = Math.hypot(...weight, bias);
  let radius = 0;
  let margin = Infinity;
  for (let i = 0; i < signs.length; i++) {
    let sum = bias;
    let square = 1;
    for (let j = 0; j < d; j++) {
      const v = rows[i * d + j]!;
      sum += weight[j]! * v;
      square += v * v;
    }
    radius = Math.max(radius, square);
    margin = Math.min(margin, (signs[i]! * sum) / length);
  }
  return margin > 0 ? radius / (margin * margin) : Infinity;
}

async function separable(fn: string, x: Tensor, y: Tensor): Promise<{ rows: Float64Array; signs: Float64Array }> {
  checkTensor(fn, 'y', y);
  if (x.ndim !== 2 || y.ndim !== 1 || y.shape[0] !== x.shape[0]) {
    throw new ShapeError(
      `${fn}: expected x of shape [N, d] and y of shape [N], got ${formatShape(x.shape)} and ${formatShape(y.shape)}`,
    );
  }
  const [rows, signs] = await Promise.all([x.data(), y.data()]);
  const bad = signs.findIndex((sign: number) => sign !== 1 && sign !== -1);
  if (bad >= 0) throw new ValueError(`${fn}: expected classes -1 and 1 in y, got ${signs[bad]} at ${bad}`);
  return { rows: Float64Array.from(rows), signs: Float64Array.from(signs) };
}
