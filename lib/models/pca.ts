import { noGrad } from '../autograd/graph.js';
import { scope } from '../autograd/scope.js';
import { checkInteger } from '../check.js';
import { ShapeError } from '../errors.js';
import { Module } from '../nn/module.js';
import { checkFloat } from '../ops/apply.js';
import { zeros } from '../ops/create.js';
import { eigh } from '../ops/linalg.js';
import { sign } from '../ops/unary.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';

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
    const [count] = this.components.shape as [number];
    const found = scope(() =>
      noGrad(() => {
        const values = rows.to('float64');
        const mean = values.mean(0);
        const centred = values.sub(mean);
        const covariance = centred
          .t()
          .matmul(centred)
          .div(n - 1);
        const { eigenvalues, eigenvectors } = eigh(covariance);
        // From the largest on, one a row, with its largest element positive.
        const vectors = eigenvectors.t().flip(0).slice(0, 0, count);
        const far = vectors.gather(1, vectors.abs().argmax(1, true));
        this.components.copy_(vectors.mul(sign(far)));
        this.explained_variance.copy_(eigenvalues.flip(0).slice(0, 0, count));
        this.mean.copy_(mean);
        return covariance.diagonal().sum();
      }),
    );
    this.totalVariance = await found.item();
    found.dispose();
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
