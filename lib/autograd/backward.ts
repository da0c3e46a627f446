import { checkTensor, allFinite, passNs, result } from '../ops/apply.js';
import { AutogradError, DTypeError, ShapeError, ValueError } from '../errors.js';
import { isFloat } from '../dtype.js';
import { collect, free, adopt, Owner, setScope, swap, type Storage } from '../native/storage.js';
import { code, emit, emitBroadcast, emitUnary } from '../native/stream.js';
import { formatShape, sameShape } from '../shape.js';
import { add } from '../ops/binary.js';
import { GradientUse, Tensor } from '../tensor.js';
import {
  accumulator,
  AnomalyError,
  detectingAnomalies,
  LeafNode,
  setFillingLeaves,
  setGradEnabled,
  type Node,
} from './graph.js';
import { clearRowGradients } from './rows.js';
import { show } from '../check.js';

/** Options of {@link Tensor.backward} and {@link grad}. */
export interface BackwardOptions {
  /** Keep what the graph saved, so that backward can run through it again. Default: the value of `createGraph`. */
  retainGraph?: boolean;
  /** Record the backward pass itself, for derivatives of higher order. Default false. */
  createGraph?: boolean;
}

const COPY = code('copy');
const ADD = code('add');
const FILL = code('fill');

let pass = 0;

/** Runs backward from `roots`, adding to the `.grad` of the leaves. @internal */
export function backward(
  roots: readonly Tensor[],
  gradients: readonly (Tensor | null)[],
  options: BackwardOptions = {},
): void {
  run('backward', roots, gradients, null, options);
}

/** Options of {@link grad}. */
export interface GradOptions extends BackwardOptions {
  /** The gradient of each output; may be left out for outputs of one element. */
  gradOutputs?: Tensor | readonly (Tensor | null)[];
  /** Return null for an input that no output depends on, instead of throwing. Default false. */
  allowUnused?: boolean;
}

/**
 * The gradients of (the sum of) `outputs` with respect to `inputs`, without touching any `.grad`. `inputs` may be leaves or
 * results. With `createGraph` the gradients can be differentiated again.
 * @throws AutogradError when an input does not require a gradient or (without `allowUnused`) is not used
 */
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor,
  options?: GradOptions & { allowUnused?: false },
): [Tensor];
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  options?: GradOptions & { allowUnused?: false },
): Tensor[];
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options?: GradOptions,
): (Tensor | null)[];
export function grad(
  outputs: Tensor | readonly Tensor[],
  inputs: Tensor | readonly Tensor[],
  options: GradOptions = {},
): (Tensor | null)[] {
  const roots = outputs instanceof Tensor ? [outputs] : [...outputs];
  const wanted = inputs instanceof Tensor ? [inputs] : [...inputs];
  wanted.forEach((x, i) => {
    if (!checkTensor('grad', `inputs[${i}]`, x).requiresGrad) {
      throw new AutogradError(`grad: expected inputs[${i}] to require a gradient, but it does not`);
    }
  });
  const { gradOutputs } = options;
  const given =
    gradOutputs === undefined ? roots.map(() => null) : gradOutputs instanceof Tensor ? [gradOutputs] : gradOutputs;
  if (given.length !== roots.length) {
    throw new ValueError(`grad: expected ${roots.length} gradOutputs, one for each output, got ${given.length}`);
  }
  const found = run('grad', roots, given, wanted, options);
  if (options.allowUnused !== true) {
    const i = found.indexOf(null);
    if (i >= 0)
      throw new AutogradError(`grad: no output depends on inputs[${i}]; pass { allowUnused: true } to get null`);
  }
  return found;
}

/** The user's `.grad = null`; the next backward writes into a buffer that the user has not seen. @internal */
export function clearGrad(leaf: Tensor): void {
  if (leaf.gradientUse === GradientUse.Shared) leaf.gradientOrNull = null;
  leaf.gradientUse = GradientUse.Stale;
  clearRowGradients(leaf);
}

const ones: (Tensor | undefined)[] = [];

/** The gradient that backward starts with at a result of one element. */
function one(shape: readonly number[], dtype: number): Tensor {
  let unit = ones[dtype];
  if (unit === undefined) {
    const outer = setScope(null);
    unit = result([], dtype);
    setScope(outer);
    emit(FILL, [], [unit], [1], 100);
    ones[dtype] = unit;
  }
  if (shape.length === 0) return unit;
  return new Tensor(unit.storage, shape, dtype, 0, null, 1);
}

function seed(fn: string, root: Tensor, gradient: Tensor | null, i: number): Tensor {
  checkTensor(fn, i === 0 ? 'the tensor' : `output ${i}`, root);
  if (!root.requiresGrad) {
    throw new AutogradError(`${fn}: the tensor does not require a gradient and was not computed from one that does`);
  }
  if (gradient === null || gradient === undefined) {
    if (root.numel !== 1) {
      throw new ShapeError(
        `${fn}: expected a gradient for a result of shape ${formatShape(root.shape)}; only one element needs none`,
      );
    }
    return one(root.shape, root.code);
  }
  checkTensor(fn, 'gradient', gradient);
  if (!sameShape(gradient.shape, root.shape)) {
    throw new ShapeError(
      `${fn}: expected a gradient of shape ${formatShape(root.shape)}, got ${formatShape(gradient.shape)}`,
    );
  }
  if (gradient.code !== root.code)
    throw new DTypeError(`${fn}: expected a gradient of ${root.dtype}, got ${gradient.dtype}`);
  return gradient;
}

/** The nodes that `roots` were computed through, those made last first: every node comes after all that use its result. */
function order(roots: readonly Node[], mark: number): Node[] {
  const nodes: Node[] = [];
  const stack: Node[] = [];
  for (const root of roots) {
    if (root.visited === mark) continue;
    root.visited = mark;
    stack.push(root);
    while (stack.length > 0) {
      const node = stack.pop()!;
      nodes.push(node);
      const { inputs } = node;
      for (let i = inputs.length - 1; i >= 0; i--) {
        const input = inputs[i]!;
        if (input !== null && input.visited !== mark) {
          input.visited = mark;
          stack.push(input);
        }
      }
    }
  }
  return nodes.sort((a, b) => b.seq - a.seq);
}

/** Adds a gradient to what has arrived at a node. `flowing` counts who looks at a storage, so that it can be freed when none does. */
function arrive(node: Node, gradient: Tensor): void {
  const present = node.gradient;
  if (present === null) {
    node.gradient = gradient;
    gradient.storage.flowing++;
    return;
  }
  if (inPass && accumulator(node) !== null) {
    emitBroadcast(ADD, [present, gradient], present, passNs(gradient.numel), gradient.code);
    return;
  }
  const total = add(present, gradient);
  total.storage.flowing++;
  node.gradient = total;
  leave(present.storage);
}

function leave(storage: Storage): void {
  if (--storage.flowing === 0 && storage.owner === Owner.Scoped && storage.saved === 0 && inPass) free(storage);
}

/** Whether gradients made by the running pass belong to it (they do not when they are recorded themselves). */
let inPass = false;

function run(
  fn: string,
  roots: readonly Tensor[],
  gradients: readonly (Tensor | null)[],
  wanted: readonly Tensor[] | null,
  { createGraph = false, retainGraph = createGraph }: BackwardOptions,
): (Tensor | null)[] {
  if (roots.length === 0) throw new ValueError(`${fn}: expected at least one output, got none`);
  const seeds = roots.map((root, i) => seed(fn, root, gradients[i] ?? null, i));
  const starts = roots.map((root) => root.node());
  const mark = ++pass;
  const nodes = order(starts, mark);
  const targets = wanted === null ? null : wanted.map((x) => x.node());
  if (targets !== null) markWanted(nodes, targets, mark);

  const found: (Tensor | null)[] = targets === null ? [] : targets.map(() => null);
  const arena: Storage[] = [];
  const outerPass = inPass;
  inPass = !createGraph;
  const outer = createGraph ? null : setScope(arena);
  const grads = setGradEnabled(createGraph);
  const filling = setFillingLeaves(targets === null && !createGraph);
  try {
    for (let i = 0; i < starts.length; i++) {
      seeds[i]!.storage.flowing++; // not ours to free
      arrive(starts[i]!, seeds[i]!);
    }
    for (let n = 0; n < nodes.length; n++) {
      const node = nodes[n]!;
      let dy = node.gradient;
      if (dy === null) continue;
      if (targets !== null && node.wanted !== mark) {
        node.gradient = null;
        leave(dy.storage);
        continue;
      }
      if (node.hooks !== null) dy = callHooks(node, dy);
      if (targets !== null) {
        for (let i = 0; i < targets.length; i++) {
          if (targets[i] !== node) continue;
          found[i] = dy;
          dy.storage.flowing++;
        }
      }
      if (node instanceof LeafNode) {
        if (targets === null) accumulate(node.leaf, dy, createGraph);
      } else if (targets === null || feedsTarget(node, mark)) {
        const start = arena.length;
        step(node, dy, retainGraph, targets === null ? 0 : mark);
        for (let i = start; i < arena.length; i++) {
          const storage = arena[i]!;
          if (storage.owner === Owner.Scoped && storage.flowing === 0 && storage.saved === 0) free(storage);
        }
      }
      node.gradient = null;
      leave(dy.storage);
    }
    for (const tensor of found) if (tensor !== null && !createGraph) adopt(tensor.storage);
  } finally {
    setGradEnabled(grads);
    setFillingLeaves(filling);
    if (!createGraph) {
      setScope(outer);
      for (const storage of arena) {
        storage.flowing = 0;
        if (storage.owner === Owner.Scoped) free(storage);
      }
    }
    for (const tensor of seeds) tensor.storage.flowing = 0;
    for (const tensor of found) if (tensor !== null) tensor.storage.flowing = 0;
    for (const node of nodes) {
      if (node.gradient !== null) node.gradient.storage.flowing = 0;
      node.gradient = null;
    }
    inPass = outerPass;
  }
  return found;
}

/** One node's rule; its gradients travel on to its inputs. */
function step(node: Node, dy: Tensor, retainGraph: boolean, mark: number): void {
  const gradients = node.rule.backward(dy, node);
  const { inputs } = node;
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i]!;
    const gradient = gradients[i];
    if (input === null || gradient === null || gradient === undefined) continue;
    if (mark !== 0 && input.wanted !== mark) continue;
    if (detectingAnomalies() && !allFinite(gradient) && allFinite(dy))
      throw new AnomalyError(`${node.rule.name} backward`);
    arrive(input, gradient);
  }
  if (!retainGraph) node.release();
}

/** Marks every node through which a target is reached. `nodes` come users first, so inputs are marked before their users in reverse. */
function markWanted(nodes: readonly Node[], targets: readonly Node[], mark: number): void {
  for (const target of targets) target.wanted = mark;
  for (let n = nodes.length - 1; n >= 0; n--) {
    const node = nodes[n]!;
    if (node.wanted !== mark && feedsTarget(node, mark)) node.wanted = mark;
  }
}

const feedsTarget = (node: Node, mark: number): boolean =>
  node.inputs.some((input) => input !== null && input.wanted === mark);

function callHooks(node: Node, gradient: Tensor): Tensor {
  let dy = gradient;
  for (const hook of node.hooks!) {
    // The hook's owner may store what it sees.
    adopt(dy.storage);
    const replaced = hook(dy);
    if (!(replaced instanceof Tensor)) continue;
    checkTensor('backward', "a hook's result", replaced);
    if (!sameShape(replaced.shape, dy.shape) || replaced.code !== dy.code) {
      throw new ShapeError(
        `backward: expected a hook to return shape ${formatShape(dy.shape)} of ${dy.dtype}, got ${formatShape(replaced.shape)} of ${replaced.dtype}`,
      );
    }
    replaced.storage.flowing++;
    leave(dy.storage);
    dy = replaced;
  }
  node.gradient = dy;
  return dy;
}

/** leaf.grad += dy, into the buffer that the leaf already has. */
function accumulate(leaf: Tensor, dy: Tensor, createGraph: boolean): void {
  const present = leaf.gradientOrNull;
  if (createGraph) {
    leaf.grad = leaf.grad === null ? dy : add(leaf.grad, dy);
    return;
  }
  if (present !== null && leaf.gradientUse !== GradientUse.Stale && present.storage.owner !== Owner.Freed) {
    if (present.requiresGrad) {
      leaf.grad = add(present, dy);
      collect(leaf.grad.storage);
      return;
    }
    emitBroadcast(ADD, [present, dy], present, passNs(dy.numel), dy.code);
    present.storage.version++;
    return;
  }
  leaf.gradientUse = GradientUse.Own;
  const { storage } = dy;
  // Memory that only this pass looks at, as a whole, changes hands without a copy.
  const exclusive =
    storage.owner === Owner.Scoped &&
    storage.flowing === 1 &&
    storage.saved === 0 &&
    dy.stridesOrNull === null &&
    storage.numel === dy.numel;
  const reusable = present !== null && present.storage.owner !== Owner.Freed && !present.requiresGrad;
  if (reusable && exclusive && present.storage.numel === present.numel) {
    swap(present.storage, storage);
    return;
  }
  let target: Tensor;
  if (exclusive) {
    collect(storage);
    target = new Tensor(storage, leaf.shape, dy.code, 0, null, dy.numel);
  } else {
    if (reusable) target = present;
    else {
      const outer = setScope(null);
      target = result(leaf.shape, dy.code);
      setScope(outer);
    }
    emitUnary(COPY, dy, target, passNs(dy.numel));
    target.storage.version++;
  }
  leaf.setGradient(target);
}

/** Checks a value given to `.grad`. @internal */
export function checkGradient(leaf: Tensor, value: unknown): Tensor {
  if (!(value instanceof Tensor)) throw new ValueError(`grad: expected a Tensor or null, got ${show(value)}`);
  if (!sameShape(value.shape, leaf.shape) || value.code !== leaf.code || !isFloat(value.code)) {
    throw new ShapeError(
      `grad: expected shape ${formatShape(leaf.shape)} of ${leaf.dtype}, got ${formatShape(value.shape)} of ${value.dtype}`,
    );
  }
  return value;
}
