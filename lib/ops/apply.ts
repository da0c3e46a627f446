import { detectingAnomalies, isGradEnabled, Node, AnomalyError, type Rule } from '../autograd/graph.js';
import { isFloat } from '../dtype.js';
import { DisposedError, DTypeError, ValueError } from '../errors.js';
import { show } from '../check.js';
import { code as opcodeOf, emitUnary, readItemSync } from '../native/stream.js';
import { free, newStorage, Owner, type Storage } from '../native/storage.js';
import { numelOf, type Shape } from '../shape.js';
import { Tensor } from '../tensor.js';

/** Estimated nanoseconds of a pass over n elements; it decides whether work is worth a hand-off to the executor's thread. */
export const passNs = (n: number): number => 150 + 0.3 * n;

/** A fresh contiguous tensor without contents; the command that writes it allocates. */
export function result(shape: Shape, code: number, numel = numelOf(shape)): Tensor {
  const storage = newStorage();
  storage.numel = numel;
  return new Tensor(storage, shape, code, 0, null, numel);
}

/** Likewise for what an op saves for itself: see `newSavedStorages`. */
export function savedResult(storage: Storage, shape: Shape, code: number): Tensor {
  storage.numel = numelOf(shape);
  return new Tensor(storage, shape, code, 0, null, storage.numel);
}

/** Checks that `x` is a live tensor. */
export function checkTensor(fn: string, name: string, x: unknown): Tensor {
  if (!(x instanceof Tensor)) throw new ValueError(`${fn}: expected ${name} to be a Tensor, got ${show(x)}`);
  if (x.storage.owner === Owner.Freed) {
    throw new DisposedError(
      `${fn}: ${name}, a tensor of shape [${x.shape.join(', ')}], was disposed (by dispose(), the end of a scope or a module call, or backward); keep(t) keeps one`,
    );
  }
  return x;
}

/** Checks that `x` is a live tensor of float32 or float64. */
export function checkFloat(fn: string, name: string, x: unknown): Tensor {
  const t = checkTensor(fn, name, x);
  if (!isFloat(t.code)) throw new DTypeError(`${fn}: expected ${name} of dtype float32 or float64, got ${t.dtype}`);
  return t;
}

/** Checks that two operands share a dtype. */
export function checkSameDType(fn: string, aName: string, a: Tensor, bName: string, b: Tensor): void {
  if (a.code !== b.code) {
    throw new DTypeError(`${fn}: expected ${aName} and ${bName} of one dtype, got ${a.dtype} and ${b.dtype}`);
  }
}

/** Whether an op on these inputs is to be recorded. */
export function recording(inputs: readonly (Tensor | number | null)[]): boolean {
  if (!isGradEnabled()) return false;
  for (let i = 0; i < inputs.length; i++) {
    const x = inputs[i]!;
    if (x !== null && typeof x === 'object' && x.requiresGrad) return true;
  }
  return false;
}

/**
 * Finishes an op: records it when an input needs a gradient. `saved` are the tensors that the rule wants back, `extra` whatever
 * else it wants. Returns `out`.
 */
export function record(
  rule: Rule,
  out: Tensor,
  inputs: readonly (Tensor | number | null)[],
  saved: readonly Tensor[] = [],
  extra?: unknown,
): Tensor {
  if (detectingAnomalies()) checkFinite(rule.name, out, inputs);
  if (recording(inputs)) {
    const edges = new Array<Node | null>(inputs.length);
    for (let i = 0; i < inputs.length; i++) {
      const x = inputs[i]!;
      edges[i] = x !== null && typeof x === 'object' && x.requiresGrad ? x.node() : null;
    }
    out.gradFn = new Node(rule, edges, saved, extra);
  }
  return out;
}

const FINITE = opcodeOf('isfinite');
const ALL = opcodeOf('all');
const BOOL_CODE = 4;

/** Whether every element is finite; waits for it. */
export function allFinite(x: Tensor): boolean {
  if (!isFloat(x.code) || x.numel === 0) return true;
  const flags = result(x.shape, BOOL_CODE);
  emitUnary(FINITE, x, flags, passNs(x.numel));
  const all = result(new Array<number>(x.ndim).fill(1), BOOL_CODE);
  emitUnary(ALL, flags, all, passNs(x.numel));
  const value = readItemSync(all.storage.id, BOOL_CODE, 0);
  free(flags.storage);
  free(all.storage);
  return value !== 0;
}

function checkFinite(op: string, out: Tensor, inputs: readonly (Tensor | number | null)[]): void {
  if (allFinite(out)) return;
  const finite = inputs.every((x) => x === null || (typeof x === 'number' ? Number.isFinite(x) : allFinite(x)));
  if (finite) throw new AnomalyError(op);
}
