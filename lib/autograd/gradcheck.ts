import { AutogradError, DTypeError, ShapeError } from '../errors.js';
import { fromTypedArray } from '../ops/create.js';
import { checkTensor } from '../ops/apply.js';
import { mul } from '../ops/binary.js';
import { sum } from '../ops/reduce.js';
import { Tensor } from '../tensor.js';
import { grad } from './backward.js';
import { enableGrad, noGrad } from './graph.js';

/** Options of {@link gradcheck}; the defaults are PyTorch's. */
export interface GradcheckOptions {
  /** Step of the central differences; default 1e-6. */
  eps?: number;
  /** Absolute tolerance; default 1e-5. */
  atol?: number;
  /** Relative tolerance; default 1e-3. */
  rtol?: number;
}

/** A function of tensors that is to be differentiated; it may return several. */
export type Differentiable = (...inputs: Tensor[]) => Tensor | readonly Tensor[];

const outputsOf = (fn: Differentiable, inputs: readonly Tensor[]): Tensor[] => {
  const out = fn(...inputs);
  return out instanceof Tensor ? [out] : [...out];
};

/** Fixed weights that differ from element to element, so that no direction of an output is overlooked. */
function weights(like: Tensor, salt: number): Tensor {
  const values = Float64Array.from({ length: like.numel }, (_, i) => Math.cos(1.7 * i + salt) + 0.3);
  return fromTypedArray(values, like.shape);
}

/**
 * Compares the gradients that backward computes for `fn` at `inputs` with central differences, for every element of every
 * input that requires a gradient. Inputs are float64.
 * @throws AutogradError that names the input, the element and both numbers where they differ by more than atol + rtol·|numeric|
 */
export function gradcheck(fn: Differentiable, inputs: readonly Tensor[], options: GradcheckOptions = {}): true {
  const { eps = 1e-6, atol = 1e-5, rtol = 1e-3 } = options;
  inputs.forEach((x, i) => {
    checkTensor('gradcheck', `inputs[${i}]`, x);
    if (x.requiresGrad && x.dtype !== 'float64') {
      throw new DTypeError(`gradcheck: expected inputs[${i}] of dtype float64, got ${x.dtype}`);
    }
  });
  const wanted = inputs.flatMap((x, i) => (x.requiresGrad ? [i] : []));
  if (wanted.length === 0) throw new AutogradError('gradcheck: expected at least one input that requires a gradient');

  const floats = (ys: readonly Tensor[]): Tensor[] => ys.filter((y) => y.dtype === 'float64');
  const outputs = floats(outputsOf(fn, inputs));
  const directions = outputs.map((y, i) => weights(y, i));
  const recorded = outputs.flatMap((y, i) => (y.requiresGrad ? [i] : []));
  const analytic =
    recorded.length === 0
      ? wanted.map(() => null)
      : grad(
          recorded.map((i) => outputs[i]!),
          wanted.map((i) => inputs[i]!),
          { gradOutputs: recorded.map((i) => directions[i]!), allowUnused: true },
        );

  const objective = (point: readonly Tensor[]): number =>
    noGrad(() => {
      let total = 0;
      const ys = floats(outputsOf(fn, point));
      if (ys.length !== outputs.length) {
        throw new ShapeError(
          `gradcheck: the function returned ${outputs.length} float64 outputs and then ${ys.length}`,
        );
      }
      ys.forEach((y, i) => (total += sum(mul(y, directions[i]!)).itemSync()));
      return total;
    });

  wanted.forEach((index, k) => {
    const x = inputs[index]!;
    const values = x.detach().dataSync() as Float64Array;
    const computed = analytic[k]?.dataSync();
    if (computed !== undefined && computed.length !== values.length) {
      throw new ShapeError(
        `gradcheck: the gradient of inputs[${index}] has ${computed.length} elements, not ${values.length}`,
      );
    }
    for (let i = 0; i < values.length; i++) {
      const at = (step: number): number => {
        const moved = values.slice();
        moved[i]! += step;
        return objective(inputs.map((t, j) => (j === index ? fromTypedArray(moved, x.shape) : t)));
      };
      const numeric = (at(eps) - at(-eps)) / (2 * eps);
      const value = computed?.[i] ?? 0;
      if (!(Math.abs(value - numeric) <= atol + rtol * Math.abs(numeric))) {
        throw new AutogradError(
          `gradcheck: inputs[${index}] element ${i}: backward gives ${value}, differences give ${numeric}`,
        );
      }
    }
  });
  return true;
}

/** {@link gradcheck} of the gradients themselves: checks derivatives of second order. */
export function gradgradcheck(fn: Differentiable, inputs: readonly Tensor[], options: GradcheckOptions = {}): true {
  const wanted = inputs.flatMap((x, i) => (x.requiresGrad ? [i] : []));
  const gradients: Differentiable = (...point) =>
    enableGrad(() => {
      const leaves = point.map((x, i) => (wanted.includes(i) && !x.requiresGrad ? x.detach().requiresGrad_() : x));
      const outputs = outputsOf(fn, leaves).filter((y) => y.requiresGrad);
      if (outputs.length === 0) return [];
      return grad(
        outputs,
        wanted.map((i) => leaves[i]!),
        { gradOutputs: outputs.map((y, i) => weights(y, i + 5)), createGraph: true, allowUnused: true },
      ).filter((g): g is Tensor => g !== null);
    });
  return gradcheck(gradients, inputs, options);
}
