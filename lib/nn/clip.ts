import { checkNumber, show } from '../check.js';
import { noGrad } from '../autograd/graph.js';
import { keep, scope } from '../autograd/scope.js';
import { ValueError } from '../errors.js';
import { MAX_LIST } from '../native/stream.js';
import { contiguous } from '../ops/cast.js';
import { empty, zeros } from '../ops/create.js';
import { stack } from '../ops/views.js';
import { foreach } from '../optim/foreach.js';
import { combinedRows, mergeRows } from '../optim/rows.js';
import { Tensor } from '../tensor.js';

/**
 * Scales the gradients of `parameters` in place so that their norm, taken over all of them as one vector, is at most
 * `maxNorm`. Returns the norm before scaling, a scalar that is not yet computed: nothing waits. Parameters without a
 * gradient are left out. `normType` is 2 by default; Infinity gives the largest absolute value.
 */
export function clipGradNorm(
  parameters: Tensor | Iterable<Tensor>,
  maxNorm: number,
  { normType = 2 }: { readonly normType?: number } = {},
): Tensor {
  checkNumber('clipGradNorm', 'maxNorm', maxNorm, { min: 0, finite: false });
  if (normType !== 2 && normType !== Infinity)
    checkNumber('clipGradNorm', 'normType', normType, { min: Number.MIN_VALUE });
  const lists = gradients('clipGradNorm', parameters);
  if (lists.length === 0) return zeros([]);
  return scope(() =>
    noGrad(() => {
      const norms = lists.map((list) => listNorm(list, normType));
      const total = norms.length === 1 ? norms[0]! : combine(norms, normType);
      for (const list of lists) {
        const { dtype } = list[0]!;
        const norm = total.dtype === dtype ? total : total.to(dtype);
        foreach('clipGradNorm', 'foreach_clip', [norm], list, [maxNorm]);
      }
      return total;
    }),
  );
}

/** Clamps every element of the gradients of `parameters` to [−clipValue, clipValue], in place. */
export function clipGradValue(parameters: Tensor | Iterable<Tensor>, clipValue: number): void {
  checkNumber('clipGradValue', 'clipValue', clipValue, { min: 0, finite: false });
  for (const list of gradients('clipGradValue', parameters)) {
    foreach('clipGradValue', 'foreach_clamp', [], list, [clipValue]);
  }
}

/** The norm () of all elements of tensors of one dtype. */
function listNorm(list: readonly Tensor[], normType: number): Tensor {
  if (normType !== 2 && normType !== Infinity) {
    const sums = list.map((gradient) => gradient.abs().pow(normType).sum());
    return stack(sums, 0)
      .sum()
      .pow(1 / normType);
  }
  const norm = empty([], { dtype: list[0]!.dtype });
  foreach('clipGradNorm', 'foreach_norm', list, [norm], [normType]);
  return norm;
}

/** The norm of norms, in the widest dtype among them. */
function combine(norms: readonly Tensor[], normType: number): Tensor {
  const dtype = norms.some((norm) => norm.dtype === 'float64') ? 'float64' : 'float32';
  return listNorm(
    norms.map((norm) => (norm.dtype === dtype ? norm : norm.to(dtype))),
    normType,
  );
}

/** The gradients that there are, in lists of one dtype that fit a command. */
function gradients(fn: string, parameters: Tensor | Iterable<Tensor>): Tensor[][] {
  if (!(parameters instanceof Tensor) && (typeof parameters !== 'object' || !(Symbol.iterator in (parameters ?? {})))) {
    throw new ValueError(`${fn}: expected tensors such as model.parameters(), got ${show(parameters)}`);
  }
  const lists: Tensor[][] = [];
  for (const parameter of parameters instanceof Tensor ? [parameters] : parameters) {
    if (!(parameter instanceof Tensor)) throw new ValueError(`${fn}: expected tensors, got ${show(parameter)}`);
    const rows = combinedRows(parameter);
    let grad = parameter.presentGradient();
    if (grad !== null && rows !== null) mergeRows(parameter, grad);
    if (grad === null && rows === null) continue;
    if (grad !== null && !grad.isContiguous) parameter.grad = grad = keep(contiguous(grad.detach()));
    grad ??= rows!.rows;
    const { dtype } = grad;
    const list = lists.find((other) => other[0]!.dtype === dtype && other.length < MAX_LIST - 1);
    if (list === undefined) lists.push([grad]);
    else list.push(grad);
  }
  return lists;
}
