import { keep } from '../autograd/scope.js';
import { checkFloat } from '../ops/apply.js';
import { contiguous } from '../ops/cast.js';
import { Tensor } from '../tensor.js';

/**
 * A tensor that a module trains: found by the module that holds it as a property, and kept beyond any scope. It shares
 * the memory of the float32 or float64 tensor it is made from (a strided one is copied), and requires a gradient unless
 * told otherwise.
 */
export class Parameter extends Tensor {
  constructor(data: Tensor, { requiresGrad = true }: { readonly requiresGrad?: boolean } = {}) {
    const packed = contiguous(checkFloat('Parameter', 'data', data).detach());
    const { storage, shape, code, offset, stridesOrNull, numel } = packed;
    super(storage, shape, code, offset, stridesOrNull, numel);
    keep(this);
    this.requiresGrad = requiresGrad;
  }
}
