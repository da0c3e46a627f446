import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { checkInteger } from '../check.js';
import { ShapeError } from '../errors.js';
import { Module } from '../nn/module.js';
import { checkFloat } from '../ops/apply.js';
import { fromTypedArray, zeros } from '../ops/create.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { eigenSymmetric } from './symmetric.js';

/**
 * Principal components: the `components` directions of largest variance, from the eigenvectors of the covariance matrix in
 * float64. `forward` reconstructs: x (N, features) to mean + P Pᵀ (x − mean), the best linear reconstruction from so many
 * numbers. State dict: `mean` (features), `components` (components, features), `explained_variance` (components).
 *
 * @example
 * const pca = new PCA(784, 30);
 * await pca.fit(images);
 * const codes = pca.transform(images);
 */
export class PCA extends Module {
  readonly mean: Tensor;
  readonly components: Tensor;
  /** Variance along each component, divided by N − 1, in descending order. */
  readonly explained_variance: Tensor;
  /** Variance of the data in all directions, known after {@link fit}. */
  totalVariance = NaN;

  constructor(
    readonly features: number,
    count: number,
  ) {
    super();
    checkInteger('PCA', 'features', features, { min: 1 });
    checkInteger('PCA', 'components', count, { min: 1, max: features });
    const buffer = (name: string, shape: number[]): Tensor =>
      this.registerBuffer(name, zeros(shape, { dtype: 'float64' }));
    this.mean = buffer('mean', [features]);
    this.components = buffer('components', [count, features]);
    this.explained_variance = buffer('explained_variance', [count]);
  }

  /**
   * Finds the components of the rows of x, (N, features) with N ≥ 2. Each component's largest element is positive.
   */
  async fit(x: Tensor): Promise<this> {
    const rows = this.#check('PCA.fit', x);
    const n = x.shape[0]!;
    if (n < 2) throw new ShapeError(`PCA.fit: expected at least 2 rows, got ${n}`);
    const d = this.features;
    const [mean, covariance] = scope(() =>
      noGrad(() => {
        const values = rows.to('float64');
        const mean = values.mean(0);
        const centred = values.sub(mean);
        return [
          mean,
          centred
            .t()
            .matmul(centred)
            .div(n - 1),
        ];
      }),
    );
    const matrix = Float64Array.from(await covariance.data());
    covariance.dispose();
    this.totalVariance = 0;
    for (let i = 0; i < d; i++) this.totalVariance += matrix[i * d + i]!;
    const { values, vectors } = await eigenSymmetric(matrix, d);
    const [count] = this.components.shape as [number];
    for (let k = 0; k < count; k++) {
      const row = vectors.subarray(k * d, (k + 1) * d);
      if (row.reduce((far, v) => (Math.abs(v) > Math.abs(far) ? v : far), 0) < 0) row.forEach((v, i) => (row[i] = -v));
    }
    this.components.copy_(fromTypedArray(vectors.slice(0, count * d), [count, d]));
    this.explained_variance.copy_(fromTypedArray(values.slice(0, count), [count]));
    this.mean.copy_(mean);
    mean.dispose();
    return this;
  }

  /** Coordinates along the components: (N, features) to (N, components). */
  transform(x: Tensor): Tensor {
    const { dtype } = this.#check('PCA.transform', x);
    return x.sub(this.mean.to(dtype)).matmul(this.components.t().to(dtype));
  }

  /** Back from coordinates: (N, components) to (N, features). */
  inverseTransform(codes: Tensor): Tensor {
    const { dtype } = checkFloat('PCA.inverseTransform', 'codes', codes);
    return codes.matmul(this.components.to(dtype)).add(this.mean.to(dtype));
  }

  forward(x: Tensor): Tensor {
    return this.inverseTransform(this.transform(x));
  }

  #check(fn: string, x: Tensor): Tensor {
    checkFloat(fn, 'x', x);
    if (x.ndim === 2 && x.shape[1] === this.features) return x;
    throw new ShapeError(`${fn}: expected x of shape [N, ${this.features}], got ${formatShape(x.shape)}`);
  }
}
