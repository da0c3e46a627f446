import { isFloat } from '../dtype.js';
import { AutogradError, DTypeError, ShapeError, ValueError } from '../errors.js';
import { show } from '../check.js';
import { checkTensor, recording } from '../ops/apply.js';
import { zeros } from '../ops/create.js';
import { cat, narrow, reshape } from '../ops/views.js';
import { formatShape, sameShape, type Shape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { isGradEnabled, Node, noGrad, type Rule } from './graph.js';

/** What `forward` leaves for `backward`. */
export interface FunctionContext<State = unknown> {
  /**
   * Keeps tensors for `backward`, which finds them in {@link savedTensors}. Arguments and results carry their graph along, so
   * that derivatives of higher order see them; what was computed in between counts as constant there.
   */
  saveForBackward(...tensors: readonly Tensor[]): void;
  /** In `backward`: what was saved, in order. */
  readonly savedTensors: readonly Tensor[];
  /** For each argument, whether its gradient is wanted. */
  readonly needsInputGrad: readonly boolean[];
  /** In `forward`: these results have no gradient. Those of integer or bool dtype have none in any case. */
  markNonDifferentiable(...outputs: readonly Tensor[]): void;
  /** Anything else that `backward` wants to remember. */
  state: State;
}

/** What {@link defineFunction} makes a function from. */
export interface FunctionDefinition<Args extends readonly unknown[], Out extends Tensor | readonly Tensor[], State> {
  /** Its name in messages; by default that of `forward`. */
  name?: string;
  /** Computes the result, or an array of results, from the arguments. Nothing in it is recorded. */
  forward: (ctx: FunctionContext<State>, ...args: Args) => Out;
  /**
   * The gradients of the arguments, in order, given those of the results (zeros where a result was not used): null for what
   * has none or is not a tensor; trailing ones may be left out, and a single one need not be in an array. Made of
   * differentiable operations it can be differentiated itself.
   */
  backward: (
    ctx: FunctionContext<State>,
    ...gradients: Tensor[]
  ) => Tensor | readonly (Tensor | null | undefined)[] | null;
  /** `backward` is not to be differentiated: throws AutogradError when it would be (`createGraph`). Default false. */
  onceDifferentiable?: boolean;
}

/** What a node of a user's function remembers beside its saved tensors. */
interface Recorded {
  state: unknown;
  needs: readonly boolean[];
  saved: number;
  /** Of the arguments that are tensors; null for the others. */
  inputs: readonly ({ shape: Shape; code: number } | null)[];
  outputs: readonly { shape: Shape; numel: number }[];
}

class Context implements FunctionContext {
  state: unknown = undefined;
  readonly kept: Tensor[] = [];
  readonly constants = new Set<Tensor>();

  constructor(
    private readonly fn: string,
    readonly needsInputGrad: readonly boolean[],
    private readonly source: (() => readonly Tensor[]) | null = null,
  ) {}

  saveForBackward(...tensors: readonly Tensor[]): void {
    if (this.source !== null) throw new AutogradError(`${this.fn}: saveForBackward belongs in forward`);
    for (const t of tensors) this.kept.push(checkTensor(this.fn, 'a saved value', t));
  }

  get savedTensors(): readonly Tensor[] {
    return this.source === null ? this.kept : this.source();
  }

  markNonDifferentiable(...outputs: readonly Tensor[]): void {
    for (const t of outputs) this.constants.add(checkTensor(this.fn, 'a result', t));
  }
}

function checkGradients(fn: string, given: unknown, { inputs, needs }: Recorded): (Tensor | null)[] {
  const list: unknown = given instanceof Tensor || given === null ? [given] : given;
  if (!Array.isArray(list)) {
    throw new ValueError(`${fn}: expected backward to return a gradient or an array of them, got ${show(given)}`);
  }
  if (list.length > inputs.length) {
    throw new ValueError(`${fn}: expected at most ${inputs.length} gradients from backward, got ${list.length}`);
  }
  return inputs.map((input, i) => {
    const gradient = (list as readonly unknown[])[i] ?? null;
    if (gradient === null) return null;
    const what = `the gradient of argument ${i}`;
    if (input === null) throw new ValueError(`${fn}: expected null for ${what}, which is not a tensor`);
    const t = checkTensor(fn, what, gradient);
    if (!needs[i]) return null;
    if (!sameShape(t.shape, input.shape)) {
      throw new ShapeError(`${fn}: expected ${what} of shape ${formatShape(input.shape)}, got ${formatShape(t.shape)}`);
    }
    if (t.code !== input.code) {
      throw new DTypeError(`${fn}: expected ${what} of the argument's dtype, got ${t.dtype}`);
    }
    return t;
  });
}

/** The gradients of several results travel to the function's node as one row, each result's in its place. */
function joint(fn: string, node: Node, outputs: Recorded['outputs'], tensors: readonly Tensor[]): void {
  const before = outputs.map((_, i) => outputs.slice(0, i).reduce((sum, { numel }) => sum + numel, 0));
  const total = outputs.reduce((sum, { numel }) => sum + numel, 0);
  tensors.forEach((y, i) => {
    const rule: Rule = {
      name: fn,
      backward: (dy) => {
        const row = reshape(dy, [-1]);
        const at = before[i]!;
        const space = (n: number): Tensor[] => (n === 0 ? [] : [zeros([n], { dtype: dy.dtype })]);
        return [cat([...space(at), row, ...space(total - at - row.numel)])];
      },
    };
    y.gradFn = new Node(rule, [node], [], undefined);
  });
}

/**
 * Makes a differentiable function from its value and its gradient:
 *
 * ```ts
 * const cube = defineFunction({
 *   name: 'cube',
 *   forward(ctx, x: Tensor) {
 *     ctx.saveForBackward(x);
 *     return x.pow(3);
 *   },
 *   backward(ctx, dy) {
 *     const [x] = ctx.savedTensors;
 *     return dy.mul(x!.square()).mul(3);
 *   },
 * });
 * gradcheck(cube, [x]);
 * ```
 *
 * Arguments may be anything; the tensors among them, not inside arrays or objects, are differentiated.
 * @throws ValueError from a call when forward does not return tensors; ValueError, ShapeError or DTypeError from the backward
 *   pass when backward returns gradients that do not fit the arguments
 */
export function defineFunction<
  Args extends readonly unknown[],
  Out extends Tensor | readonly Tensor[],
  State = unknown,
>(definition: FunctionDefinition<Args, Out, State>): (...args: Args) => Out {
  const { forward, backward, onceDifferentiable = false } = definition;
  for (const [name, value] of Object.entries({ forward, backward })) {
    if (typeof value !== 'function') {
      throw new ValueError(`defineFunction: expected ${name} to be a function, got ${show(value)}`);
    }
  }
  const fn = definition.name ?? (forward.name === 'forward' || forward.name === '' ? 'function' : forward.name);

  const rule: Rule = {
    name: fn,
    backward: (dy, node) => {
      if (onceDifferentiable && isGradEnabled()) {
        throw new AutogradError(`${fn}: its backward is marked onceDifferentiable and cannot be differentiated`);
      }
      const recorded = node.extra as Recorded;
      const { outputs, saved, needs, state } = recorded;
      const ctx = new Context(fn, needs, () => Array.from({ length: saved }, (_, i) => node.saved(i)));
      ctx.state = state;
      let at = 0;
      const gradients = outputs.map(({ shape, numel }) => {
        at += numel;
        return outputs.length === 1 ? dy : reshape(narrow(dy, 0, at - numel, numel), shape);
      });
      return checkGradients(fn, backward(ctx as FunctionContext<State>, ...gradients), recorded);
    },
  };

  return (...args) => {
    const tensors = args.map((x) => (x instanceof Tensor ? checkTensor(fn, 'an argument', x) : null));
    const wanted = recording(tensors);
    const needs = tensors.map((x) => wanted && x !== null && x.requiresGrad);
    const ctx = new Context(fn, needs);
    const given = noGrad(() => forward(ctx as FunctionContext<State>, ...args));
    const list: readonly unknown[] = Array.isArray(given) ? given : [given];
    // A result that is an argument, or there twice, becomes a tensor of its own over the same memory.
    const results = list.map((y, i) => {
      const t = checkTensor(fn, list.length === 1 ? 'the result of forward' : `result ${i} of forward`, y);
      return t.requiresGrad || tensors.includes(t) || list.indexOf(t) < i ? t.detach() : t;
    });
    if (wanted) {
      const differentiable = results.filter((y, i) => isFloat(y.code) && !ctx.constants.has(list[i] as Tensor));
      if (new Set(differentiable.map((y) => y.code)).size > 1) {
        throw new DTypeError(`${fn}: expected differentiable results of one dtype, got float32 and float64`);
      }
      if (differentiable.length > 0) {
        const saved = ctx.kept.map((t) => results[list.indexOf(t)] ?? t);
        const recorded: Recorded = {
          state: ctx.state,
          needs,
          saved: saved.length,
          inputs: tensors.map((x) => (x === null ? null : { shape: x.shape, code: x.code })),
          outputs: differentiable.map(({ shape, numel }) => ({ shape, numel })),
        };
        const edges = tensors.map((x, i) => (needs[i] ? x!.node() : null));
        const node = new Node(rule, edges, saved, recorded);
        if (differentiable.length === 1) differentiable[0]!.gradFn = node;
        else joint(fn, node, recorded.outputs, differentiable);
      }
    }
    return (Array.isArray(given) ? results : results[0]) as unknown as Out;
  };
}
