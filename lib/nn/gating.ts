import { show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { sigmoid } from '../ops/unary.js';
import { formatShape, sameShape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { constant_ } from './init.js';
import { Linear, type LinearOptions } from './linear.js';
import { Module, type UnaryModule } from './module.js';

function checkModule(fn: string, name: string, module: unknown): void {
  if (!(module instanceof Module)) throw new ValueError(`${fn}: expected ${name} to be a Module, got ${show(module)}`);
}

function alike(fn: string, skip: Tensor, t: Tensor): Tensor {
  if (sameShape(t.shape, skip.shape)) return t;
  const [want, got] = [skip, t].map(({ shape }) => formatShape(shape));
  throw new ShapeError(`${fn}: expected transform to give shape ${want}, got ${got}`);
}

/**
 * A skip connection: x + T(x), or P(x) + T(x) with a `projection` P where T changes the shape. With T = B φ(W x) it is the block
 * of residual networks. State dict: `transform.…`, `projection.…`. He et al., "Deep residual learning" (2015).
 */
export class Residual extends Module {
  readonly transform: UnaryModule;
  readonly projection: UnaryModule | null;

  constructor(transform: UnaryModule, { projection = null }: { readonly projection?: UnaryModule | null } = {}) {
    super();
    checkModule('Residual', 'transform', transform);
    if (projection !== null) checkModule('Residual', 'projection', projection);
    this.transform = transform;
    this.projection = projection;
  }

  forward(x: Tensor): Tensor {
    const skip = this.projection === null ? x : this.projection.forward(x);
    return skip.add(alike('Residual', skip, this.transform.forward(x)));
  }
}

/**
 * A gated linear unit: α(x) ⊙ T(x) with T(x) = W x + b and α(x) = σ(V x + c). x (…, inFeatures) to (…, outFeatures). State dict:
 * `transform.…`, `gate.…`. Dauphin et al., "Language modeling with gated convolutional networks" (2017).
 */
export class GatedLinear extends Module {
  readonly transform: Linear;
  readonly gate: Linear;

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    this.transform = new Linear(inFeatures, outFeatures, options);
    this.gate = new Linear(inFeatures, outFeatures, options);
  }

  forward(x: Tensor): Tensor {
    return sigmoid(this.gate.forward(x)).mul(this.transform.forward(x));
  }
}

/**
 * A soft skip, the highway layer: (1 − α(x)) ⊙ x + α(x) ⊙ T(x), with the gate α(x) = σ(V x + c) over the last dimension. T keeps
 * the shape. The gate's bias starts at `bias` (−2: mostly skip). State dict: `transform.…`, `gate.…`. Srivastava et al.,
 * "Highway networks" (2015).
 */
export class Highway extends Module {
  readonly transform: UnaryModule;
  readonly gate: Linear;

  constructor(
    features: number,
    transform: UnaryModule,
    { bias = -2, ...options }: Omit<LinearOptions, 'bias'> & { readonly bias?: number } = {},
  ) {
    super();
    checkModule('Highway', 'transform', transform);
    this.transform = transform;
    this.gate = new Linear(features, features, options);
    constant_(this.gate.bias!, bias);
  }

  forward(x: Tensor): Tensor {
    const t = alike('Highway', x, this.transform.forward(x));
    return x.add(sigmoid(this.gate.forward(x)).mul(t.sub(x)));
  }
}
