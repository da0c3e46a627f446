import * as m from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

/** Inputs whose elements avoid kinks and poles unless a case asks otherwise. */
export const spread = (shape: number[], salt = 0, low = -1.5, high = 1.5): Tensor => {
  const n = shape.reduce((a, b) => a * b, 1);
  const values = Float64Array.from({ length: n }, (_, i) => {
    const u = Math.abs(Math.sin(12.9898 * (i + 1) + 78.233 * (salt + 1)) * 43758.5453) % 1;
    const v = low + (high - low) * u;
    return Math.abs(v) < 0.05 && low < 0 ? v + 0.1 : v;
  });
  return m.fromTypedArray(values, shape).requiresGrad_();
};

export const positive = (shape: number[], salt = 0): Tensor => spread(shape, salt, 0.3, 2.2);

/** A differentiable call that is checked against central differences. */
export interface Case {
  name: string;
  inputs: () => Tensor[];
  fn: (...inputs: Tensor[]) => Tensor;
  /** Derivatives of second order are not checked; says why. */
  firstOnly?: string;
}
