import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { checkInteger, checkNumber, checkOneOf } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { Module } from '../nn/module.js';
import { Parameter } from '../nn/parameter.js';
import { checkFloat, checkTensor } from '../ops/apply.js';
import { fromTypedArray, ones, zeros } from '../ops/create.js';
import { oneHot } from '../ops/indexing.js';
import { eigh } from '../ops/linalg.js';
import { linear } from '../ops/matmul.js';
import { logSoftmax, softmax } from '../ops/softmax.js';
import { softplus } from '../ops/activation.js';
import { exp, sigmoid } from '../ops/unary.js';
import { cat } from '../ops/views.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';

/** Distributions of y with their canonical links: identity, logit, log, and the logits of K classes. */
export type GLMFamily = 'gaussian' | 'bernoulli' | 'poisson' | 'categorical';

/** One family. `eta` (N, 1), or (N, K − 1) for categorical; `y` (N, 1), or (N, K) with a 1 at the class. */
interface Family {
  /** The inverse link: E[y]. */
  readonly mean: (eta: Tensor) => Tensor;
  /** log p(y | η) summed over rows, without what depends on y alone. */
  readonly fit: (eta: Tensor, y: Tensor) => Tensor;
  /** What depends on y alone in log p, for one element. */
  readonly constant: (y: number) => number;
  /** The largest log p that any mean could give, without {@link constant}, for one element. */
  readonly saturated: (y: number) => number;
  /** Whether y can be drawn from it. */
  readonly allows: (y: number) => boolean;
  readonly allowed: string;
}

/** ln y! for whole y, by sums up to 255 and Stirling's series beyond. */
const logFactorials = ((): Float64Array => {
  const table = new Float64Array(256);
  for (let i = 1; i < 256; i++) table[i] = table[i - 1]! + Math.log(i);
  return table;
})();

function logFactorial(n: number): number {
  if (n < 256) return logFactorials[n]!;
  return (n + 0.5) * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * n) - 1 / (360 * n ** 3);
}

const families: Readonly<Record<GLMFamily, Family>> = {
  gaussian: {
    mean: (eta) => eta,
    fit: (eta, y) => y.mul(eta).sub(eta.square().div(2)).sum(),
    constant: (y) => -(y * y + Math.log(2 * Math.PI)) / 2,
    saturated: (y) => (y * y) / 2,
    allows: Number.isFinite,
    allowed: 'finite numbers',
  },
  bernoulli: {
    mean: sigmoid,
    fit: (eta, y) => y.mul(eta).sub(softplus(eta)).sum(),
    constant: () => 0,
    saturated: () => 0,
    allows: (y) => y === 0 || y === 1,
    allowed: '0 and 1',
  },
  poisson: {
    mean: exp,
    fit: (eta, y) => y.mul(eta).sub(exp(eta)).sum(),
    constant: (y) => -logFactorial(y),
    saturated: (y) => (y === 0 ? 0 : y * Math.log(y) - y),
    allows: (y) => Number.isInteger(y) && y >= 0,
    allowed: 'whole numbers from 0',
  },
  categorical: {
    mean: (eta) => softmax(withLast(eta), 1),
    fit: (eta, y) => y.mul(logSoftmax(withLast(eta), 1)).sum(),
    constant: () => 0,
    saturated: () => 0,
    allows: (y) => y === 0 || y === 1,
    allowed: 'classes',
  },
};

/** K − 1 logits suffice for K classes: that of the last class is 0. */
const withLast = (eta: Tensor): Tensor => cat([eta, zeros([eta.shape[0]!, 1], { dtype: eta.dtype })], 1);

/** How {@link GLM.fit} goes about it. */
export interface GLMFitOptions {
  /** `newton` (the default: iteratively reweighted least squares) or `gradient` (steps along Xᵀ(y − μ)). */
  readonly method?: 'newton' | 'gradient';
  /** It ends when no element of the gradient of the mean log-likelihood exceeds this; 1e-9. */
  readonly tolerance?: number;
  /** 100 for newton, 100,000 for gradient. */
  readonly maxIterations?: number;
}

/** What {@link GLM.fit} resolves with. */
export interface GLMFit {
  readonly converged: boolean;
  readonly iterations: number;
  /** Σ log p(y | x). */
  readonly logLikelihood: number;
  /** Twice what the saturated model's log-likelihood is above it. */
  readonly deviance: number;
}

/**
 * A generalised linear model with its canonical link: η = W x + b, E[y] = g⁻¹(η), so that the gradient of the log-likelihood is
 * (y − μ) x for every family. `forward` gives means: x (N, inputs) to (N), or class probabilities (N, K) for `categorical`. The
 * variance of `gaussian` is 1. Parameters are float64 and start at 0; state dict: `weight` (outputs, inputs), `bias` (outputs),
 * where categorical has K − 1 outputs. Nelder & Wedderburn, "Generalized linear models" (1972).
 *
 * @example
 * const model = new GLM(3, 'poisson');
 * const { deviance } = await model.fit(x, counts);
 */
export class GLM extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly #family: Family;

  /** @param classes K, for `categorical` only */
  constructor(
    readonly inputs: number,
    readonly family: GLMFamily,
    readonly classes = 2,
  ) {
    super();
    checkInteger('GLM', 'inputs', inputs, { min: 1 });
    checkInteger('GLM', 'classes', classes, { min: 2 });
    this.#family = families[checkOneOf('GLM', 'family', family, Object.keys(families) as GLMFamily[])];
    const outputs = family === 'categorical' ? classes - 1 : 1;
    this.weight = new Parameter(zeros([outputs, inputs], { dtype: 'float64' }));
    this.bias = new Parameter(zeros([outputs], { dtype: 'float64' }));
  }

  forward(x: Tensor): Tensor {
    const mean = this.#family.mean(this.#predict('GLM', x));
    return this.family === 'categorical' ? mean : mean.squeeze(1);
  }

  /** The mean of −log p(y | x) over rows without terms of y alone: what gradient training of the parameters minimises. */
  loss(x: Tensor, y: Tensor): Tensor {
    const eta = this.#predict('GLM.loss', x);
    return this.#family.fit(eta, this.#targets('GLM.loss', eta, y)).div(-x.shape[0]!);
  }

  /** Σ log p(y | x) over the rows. */
  async logLikelihood(x: Tensor, y: Tensor): Promise<number> {
    return (await this.#scores('GLM.logLikelihood', x, y)).logLikelihood;
  }

  /** 2 (ℓ of the saturated model − ℓ): Σ(y − μ)² for gaussian. */
  async deviance(x: Tensor, y: Tensor): Promise<number> {
    return (await this.#scores('GLM.deviance', x, y)).deviance;
  }

  /**
   * Maximises the likelihood of y given x, from the present parameters.
   * @param y (N): numbers, 0 and 1, counts, or int32 classes
   * @throws ValueError when y has values that the family cannot give, or columns of x depend on one another (newton)
   */
  async fit(x: Tensor, y: Tensor, options: GLMFitOptions = {}): Promise<GLMFit> {
    const fn = 'GLM.fit';
    const method = checkOneOf(fn, 'method', options.method ?? 'newton', ['newton', 'gradient']);
    const tolerance = checkNumber(fn, 'tolerance', options.tolerance ?? 1e-9, { min: 0 });
    const limit = options.maxIterations ?? (method === 'newton' ? 100 : 100_000);
    checkInteger(fn, 'maxIterations', limit, { min: 1 });
    await this.#scores(fn, x, y);
    const problem = this.#problem(fn, x, y);
    const start = await this.#flat();
    const { at, converged, iterations } = await (method === 'newton' ? newton : ascend)(
      problem,
      start,
      tolerance,
      limit,
    ).finally(() => problem.dispose());
    this.#assign(at);
    return { converged, iterations, ...(await this.#scores(fn, x, y)) };
  }

  #predict(fn: string, x: Tensor): Tensor {
    checkFloat(fn, 'x', x);
    if (x.ndim !== 2 || x.shape[1] !== this.inputs) {
      throw new ShapeError(`${fn}: expected x of shape [N, ${this.inputs}], got ${formatShape(x.shape)}`);
    }
    return linear(x.to('float64'), this.weight, this.bias);
  }

  /** y as the family's functions want it. */
  #targets(fn: string, eta: Tensor, y: Tensor): Tensor {
    checkTensor(fn, 'y', y);
    if (y.ndim !== 1 || y.shape[0] !== eta.shape[0]) {
      throw new ShapeError(`${fn}: expected y of shape [${eta.shape[0]}], got ${formatShape(y.shape)}`);
    }
    return (this.family === 'categorical' ? oneHot(y, this.classes) : y.unsqueeze(1)).to('float64');
  }

  async #scores(fn: string, x: Tensor, y: Tensor): Promise<{ logLikelihood: number; deviance: number }> {
    const { family } = this;
    const { constant, saturated, allows, allowed, fit } = this.#family;
    checkTensor(fn, 'y', y);
    const values = await y.data();
    const wrong = (v: number): boolean =>
      family === 'categorical' ? !(Number.isInteger(v) && v >= 0 && v < this.classes) : !allows(v);
    let alone = 0;
    let best = 0;
    for (let i = 0; i < values.length; i++) {
      const v = values[i]!;
      if (wrong(v)) throw new ValueError(`${fn}: expected y to hold ${allowed} for ${family}, got ${v} at ${i}`);
      alone += constant(v);
      best += saturated(v);
    }
    const value = scope(() =>
      noGrad(() => {
        const eta = this.#predict(fn, x);
        return fit(eta, this.#targets(fn, eta, y));
      }),
    );
    const explained = await value.item();
    value.dispose();
    return { logLikelihood: explained + alone, deviance: 2 * (best - explained) };
  }

  /** The parameters as one vector: for each output its weights, then its bias. */
  async #flat(): Promise<Float64Array> {
    const both = scope(() => noGrad(() => cat([this.weight, this.bias.unsqueeze(1)], 1)));
    return Float64Array.from(await both.data());
  }

  #assign(at: Float64Array): void {
    scope(() =>
      noGrad(() => {
        const both = fromTypedArray(at, [this.weight.shape[0]!, this.inputs + 1]);
        this.weight.copy_(both.slice(1, 0, this.inputs));
        this.bias.copy_(both.select(1, this.inputs));
      }),
    );
  }

  #problem(fn: string, x: Tensor, y: Tensor): Problem {
    const n = x.shape[0]!;
    const width = this.inputs + 1;
    const { mean, fit } = this.#family;
    const outputs = this.weight.shape[0]!;
    const [design, target] = scope(() =>
      noGrad(() => [
        cat([x.to('float64'), ones([n, 1], { dtype: 'float64' })], 1),
        this.#targets(fn, x, y).contiguous().clone(),
      ]),
    );
    const evaluate = <T>(at: Float64Array, fn: (eta: Tensor) => T): T =>
      scope(() => noGrad(() => fn(linear(design, fromTypedArray(at, [outputs, width])))));
    const residual = (eta: Tensor): Tensor => target.sub(mean(eta)).slice(1, 0, outputs);
    return {
      value: async (at) => (await evaluate(at, (eta) => fit(eta, target)).item()) / n,
      gradient: async (at) => read(evaluate(at, (eta) => residual(eta).t().matmul(design).div(n))),
      newtonStep: (at, gradient) =>
        solvePositive(
          evaluate(at, (eta) => this.#curvature(eta, design).div(n)),
          gradient,
        ),
      dispose: () => {
        design.dispose();
        target.dispose();
      },
      dependent: () => new ValueError(`${fn}: expected columns of x that do not depend on one another`),
    };
  }

  /** −∇²ℓ: Xᵀ diag(Var y) X, in blocks Xᵀ diag(μ_k (δ_kj − μ_j)) X for categorical. */
  #curvature(eta: Tensor, design: Tensor): Tensor {
    const mean = this.#family.mean(eta);
    const block = (variance: Tensor): Tensor => design.t().matmul(design.mul(variance));
    switch (this.family) {
      case 'gaussian':
        return design.t().matmul(design);
      case 'bernoulli':
        return block(mean.mul(mean.neg().add(1)));
      case 'poisson':
        return block(mean);
      case 'categorical': {
        const columns = Array.from({ length: eta.shape[1]! }, (_, k) => mean.slice(1, k, k + 1));
        const rows = columns.map((p, k) =>
          cat(
            columns.map((q, j) => block(p.mul(k === j ? q.neg().add(1) : q.neg()))),
            1,
          ),
        );
        return cat(rows, 0);
      }
    }
  }
}

/** The mean log-likelihood as a function of the parameters. */
interface Problem {
  value(at: Float64Array): Promise<number>;
  gradient(at: Float64Array): Promise<Float64Array>;
  /** −(∇²)⁻¹ times the gradient, or null where the matrix of second derivatives is singular. */
  newtonStep(at: Float64Array, gradient: Float64Array): Promise<Float64Array | null>;
  dispose(): void;
  dependent(): Error;
}

interface Optimum {
  readonly at: Float64Array;
  readonly converged: boolean;
  readonly iterations: number;
}

async function read(t: Tensor): Promise<Float64Array> {
  const data = await t.data();
  t.dispose();
  return data as Float64Array;
}

/** The x with A x = b for a symmetric A, which is disposed of, or null unless A is positive definite whatever its units. */
async function solvePositive(a: Tensor, b: Float64Array): Promise<Float64Array | null> {
  const [values, x] = scope(() =>
    noGrad(() => {
      const size = a.diagonal().sqrt();
      const { eigenvalues, eigenvectors } = eigh(a.div(size).div(size.unsqueeze(1)));
      const parts = eigenvectors
        .t()
        .matmul(fromTypedArray(b, [b.length]).div(size))
        .div(eigenvalues);
      return [eigenvalues, eigenvectors.matmul(parts).div(size)];
    }),
  );
  a.dispose();
  const [eigenvalues, solution] = await Promise.all([read(values), read(x)]);
  return eigenvalues[0]! > 1e-13 * eigenvalues.at(-1)! ? solution : null;
}

const largest = (v: Float64Array): number => v.reduce((far, x) => Math.max(far, Math.abs(x)), 0);
const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const along = (at: Float64Array, step: number, by: Float64Array): Float64Array => at.map((x, i) => x + step * by[i]!);

/** Newton's method, its steps halved until they do not lower the likelihood. */
async function newton(problem: Problem, start: Float64Array, tolerance: number, limit: number): Promise<Optimum> {
  let at = start;
  let value = await problem.value(at);
  for (let iterations = 0; ; iterations++) {
    const gradient = await problem.gradient(at);
    if (largest(gradient) <= tolerance) return { at, converged: true, iterations };
    if (iterations === limit) return { at, converged: false, iterations };
    const step = await problem.newtonStep(at, gradient);
    if (step === null) {
      if (iterations === 0) throw problem.dependent();
      return { at, converged: false, iterations };
    }
    let scale = 1;
    let next = along(at, 1, step);
    let reached = await problem.value(next);
    while (!(reached >= value - 1e-12 * Math.abs(value)) && scale > 1e-10) {
      scale /= 2;
      next = along(at, scale, step);
      reached = await problem.value(next);
    }
    if (scale <= 1e-10) return { at, converged: false, iterations };
    at = next;
    value = reached;
  }
}

/**
 * Gradient ascent with the step lengths of Barzilai & Borwein (1988), shortened until the value exceeds the least of the last ten
 * (Grippo, Lampariello & Lucidi, 1986).
 */
async function ascend(problem: Problem, start: Float64Array, tolerance: number, limit: number): Promise<Optimum> {
  let at = start;
  let gradient = await problem.gradient(at);
  const recent = [await problem.value(at)];
  let length = 1 / Math.max(1, largest(gradient));
  for (let iterations = 0; ; iterations++) {
    if (largest(gradient) <= tolerance) return { at, converged: true, iterations };
    if (iterations === limit) return { at, converged: false, iterations };
    const slope = dot(gradient, gradient);
    const floor = Math.min(...recent);
    let next = along(at, length, gradient);
    let value = await problem.value(next);
    while (!(value >= floor + 1e-4 * length * slope - 1e-14 * Math.abs(floor)) && length > 1e-16) {
      length /= 4;
      next = along(at, length, gradient);
      value = await problem.value(next);
    }
    if (length <= 1e-16) return { at, converged: false, iterations };
    const turned = await problem.gradient(next);
    const moved = next.map((x, i) => x - at[i]!);
    const bend = -dot(
      moved,
      turned.map((g, i) => g - gradient[i]!),
    );
    length = bend > 0 ? Math.min(1e6, dot(moved, moved) / bend) : 1;
    at = next;
    gradient = turned;
    recent.push(value);
    if (recent.length > 10) recent.shift();
  }
}
