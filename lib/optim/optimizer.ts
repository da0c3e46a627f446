import { show } from '../check.js';
import { clearGrad } from '../autograd/backward.js';
import { noGrad } from '../autograd/graph.js';
import { rowGradients } from '../autograd/rows.js';
import { keep } from '../autograd/scope.js';
import { DisposedError, DTypeError, ShapeError, StateDictError, ValueError } from '../errors.js';
import type { OpName } from '../native/ops.generated.js';
import { MAX_LIST } from '../native/stream.js';
import { contiguous } from '../ops/cast.js';
import { full } from '../ops/create.js';
import { formatShape, sameShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { foreach } from './foreach.js';
import { combinedRows, mergeRows, stepRows } from './rows.js';

/** Value of one option of a parameter group. */
export type OptionValue = number | boolean | readonly number[];

/** Options that every optimizer has. */
export interface BaseOptions {
  /** Learning rate, ≥ 0. */
  lr: number;
}

/** Parameters that are updated with the same options; the options can be changed between steps. */
export type ParamGroup<O extends BaseOptions = BaseOptions> = O & {
  readonly params: readonly Tensor[];
  /** The rate that schedulers start from, set by the first one. */
  initialLr?: number;
};

/** A parameter group as it is given: options that are left out are the optimizer's. */
export type ParamGroupInput<O extends BaseOptions = BaseOptions> = Partial<O> & { readonly params: Iterable<Tensor> };

/** What an optimizer takes: tensors such as `model.parameters()`, or groups of them. */
export type Params<O extends BaseOptions = BaseOptions> = Iterable<Tensor> | Iterable<ParamGroupInput<O>>;

/** Everything an optimizer needs to continue. Parameters are numbered in the order of the groups. */
export interface OptimizerStateDict {
  /** By number of the parameter: `step` and the state tensors under PyTorch's names, such as `exp_avg`. */
  state: Record<number, Record<string, number | Tensor>>;
  paramGroups: { params: number[]; [option: string]: OptionValue | number[] }[];
}

interface ParamState {
  /** Updates so far. */
  step: number;
  readonly tensors: Map<string, Tensor>;
}

/** Parameters updated by one native command: of one dtype and one number of steps. */
interface Batch {
  readonly params: Tensor[];
  readonly grads: Tensor[];
  readonly outputs: Tensor[];
  readonly states: ParamState[];
}

/** How a group's parameters that have a gradient are spread over commands. */
interface Plan {
  readonly active: Tensor[];
  readonly batches: Batch[];
  readonly names: readonly string[];
  /** For each active parameter, its command and its place in it. */
  readonly batchOf: Batch[];
  readonly placeOf: number[];
}

/**
 * Base of the optimizers: parameter groups, state and the update of all parameters of a group in one native command. A
 * subclass names its op, its state tensors and the op's parameters.
 */
export abstract class Optimizer<O extends BaseOptions = BaseOptions> {
  /** The groups; `paramGroups[0].lr = 0.01` holds from the next step on. */
  readonly paramGroups: ParamGroup<O>[] = [];
  /** Options of groups that do not give their own. */
  readonly defaults: Readonly<O>;

  readonly #name: string;
  readonly #state = new Map<Tensor, ParamState>();
  readonly #plans: (Plan | null)[] = [];
  readonly #native: number[] = [];

  /** @param defaults every option with its default value; `options` are those that were given. */
  protected constructor(params: Params<O>, defaults: O, options: Partial<O>) {
    this.#name = new.target.name;
    this.defaults = this.#withOptions(defaults, options);
    const list: unknown[] = [...checkIterable<unknown>(this.#name, params)];
    if (list.length === 0) throw new ValueError(`${this.#name}: expected at least one parameter, got none`);
    if (list.every((item) => item instanceof Tensor))
      this.addParamGroup({ params: list } as unknown as ParamGroupInput<O>);
    else for (const group of list) this.addParamGroup(group as ParamGroupInput<O>);
    if (this.paramGroups.every((group) => group.params.length === 0)) {
      throw new ValueError(`${this.#name}: expected at least one parameter, got none`);
    }
  }

  /** The native op. */
  protected abstract readonly op: OpName;

  /** State tensors that a group needs now, in the op's order; the same array for the same answer. */
  protected abstract stateNames(group: O): readonly string[];

  /** Writes the op's parameters for an update that is the `step`-th (from 1) of its tensors. */
  protected abstract writeParameters(group: O, step: number, into: number[]): void;

  /** Throws {@link ValueError} unless every option is in its range. */
  protected abstract checkOptions(fn: string, options: O): void;

  /** What the op wants to be equal among the tensors of a command, given how many updates each has had. */
  protected stepKey(_group: O, step: number): number {
    return step;
  }

  /** Whether an update counts as one of those that {@link Optimizer.stepKey} sees. */
  protected counts(_group: O): boolean {
    return true;
  }

  /** Why rows of a gradient cannot be applied alone, null where they can. */
  protected refusesRows(_group: O): string | null {
    return 'a dense gradient';
  }

  /** Value that a state tensor starts with. */
  protected initialValue(_group: O): number {
    return 0;
  }

  // ------------------------------------------------------------------------------------------- groups

  #withOptions(defaults: O, options: Partial<O>): O {
    if (typeof options !== 'object' || options === null) {
      throw new ValueError(`${this.#name}: expected options to be an object, got ${show(options)}`);
    }
    const merged = { ...defaults };
    for (const [key, value] of Object.entries(options)) {
      if (!Object.hasOwn(defaults, key)) {
        const known = Object.keys(defaults).join(', ');
        throw new ValueError(`${this.#name}: expected options among ${known}, got ${show(key)}`);
      }
      if (value !== undefined) (merged as Record<string, unknown>)[key] = value;
    }
    this.checkOptions(this.#name, merged);
    return merged;
  }

  /** Adds parameters, such as those of layers that are unfrozen, with options of their own. */
  addParamGroup(group: ParamGroupInput<O>): void {
    const name = this.#name;
    if (typeof group !== 'object' || group === null || group instanceof Tensor || !('params' in group)) {
      throw new ValueError(`${name}: expected tensors or groups { params, … }, got ${show(group)}`);
    }
    const { params, ...options } = group;
    const list: Tensor[] = [];
    const taken = new Set(this.paramGroups.flatMap((other) => other.params));
    for (const param of checkIterable(name, params)) {
      checkParameter(name, param);
      if (taken.has(param)) {
        throw new ValueError(
          `${name}: expected each parameter once, got one of shape ${formatShape(param.shape)} twice`,
        );
      }
      taken.add(param);
      list.push(param);
    }
    const merged = this.#withOptions(this.defaults, options as unknown as Partial<O>);
    this.paramGroups.push({ ...merged, params: list });
    this.#plans.push(null);
  }

  // ------------------------------------------------------------------------------------------- steps

  /** Updates every parameter that has a gradient. @throws ValueError for a learning rate that is not finite */
  step(): void {
    const groups = this.paramGroups;
    const native = this.#native;
    for (let g = 0; g < groups.length; g++) {
      const group = groups[g]!;
      // Rounding may take a schedule's end below 0, so that only what would spoil the parameters is refused.
      if (!Number.isFinite(group.lr)) {
        throw new ValueError(`${this.#name}.step: expected lr to be a finite number, got ${show(group.lr)}`);
      }
      this.#stepRows(group);
      const { batches } = this.#plan(g, group);
      const counted = this.counts(group);
      for (let b = 0; b < batches.length; b++) {
        const { grads, outputs, states } = batches[b]!;
        this.writeParameters(group, states[0]!.step + 1, native);
        foreach(this.#name, this.op, grads, outputs, native);
        if (counted) for (let i = 0; i < states.length; i++) states[i]!.step++;
      }
    }
  }

  /** Updates the rows of parameters whose gradient is one of rows; those that have a dense one too get them there. */
  #stepRows(group: ParamGroup<O>): void {
    for (const param of group.params) {
      if (rowGradients(param) === null) continue;
      const grad = param.presentGradient();
      if (grad !== null) {
        mergeRows(param, grad);
        continue;
      }
      const wanted = this.refusesRows(group);
      if (wanted !== null) {
        throw new ValueError(
          `${this.#name}: expected ${wanted} for a parameter of shape ${formatShape(param.shape)}, got rows of one ` +
            '(sparse: true); SGD without momentum and weight decay, Adagrad without weight decay and SparseAdam take them',
        );
      }
      const names = this.stateNames(group);
      const state = this.#stateOf(group, param, names);
      this.writeParameters(group, state.step + 1, this.#native);
      const tensors = [param, ...names.map((name) => state.tensors.get(name)!)];
      stepRows(this.#name, this.op, combinedRows(param)!, tensors, this.#native);
      if (this.counts(group)) state.step++;
    }
  }

  /** Clears the gradients: `grad` becomes null. The next backward writes into the same memory, where nobody has read `grad`. */
  zeroGrad(): void {
    const groups = this.paramGroups;
    for (let g = 0; g < groups.length; g++) {
      const { params } = groups[g]!;
      for (let i = 0; i < params.length; i++) clearGrad(params[i]!);
    }
  }

  /** The group's plan with the present gradients; made anew when other parameters have one or other state is needed. */
  #plan(g: number, group: ParamGroup<O>): Plan {
    const plan = this.#plans[g]!;
    if (plan === null || plan.names !== this.stateNames(group)) return this.#newPlan(g, group);
    const { params } = group;
    const { active, batchOf, placeOf } = plan;
    let n = 0;
    for (let i = 0; i < params.length; i++) {
      const param = params[i]!;
      const grad = param.presentGradient();
      if (grad === null) continue;
      if (active[n] !== param) return this.#newPlan(g, group);
      const { grads } = batchOf[n]!;
      const place = placeOf[n]!;
      if (grads[place] !== grad) {
        grads[place] = checkGradient(this.#name, param, grad);
      }
      n++;
    }
    return n === active.length ? plan : this.#newPlan(g, group);
  }

  #newPlan(g: number, group: ParamGroup<O>): Plan {
    const names = this.stateNames(group);
    const plan: Plan = { active: [], batches: [], names, batchOf: [], placeOf: [] };
    const most = Math.floor(MAX_LIST / (2 + names.length));
    const keys: number[] = [];
    for (const param of group.params) {
      const grad = param.presentGradient();
      if (grad === null) continue;
      if (param.disposed)
        throw new DisposedError(`${this.#name}: a parameter of shape ${formatShape(param.shape)} was disposed`);
      const gradient = checkGradient(this.#name, param, grad);
      const state = this.#stateOf(group, param, names);
      const key = this.stepKey(group, state.step);
      let batch = plan.batches.find(
        ({ params }, i) => keys[i] === key && params[0]!.dtype === param.dtype && params.length < most,
      );
      if (batch === undefined) {
        batch = { params: [], grads: [], outputs: [], states: [] };
        plan.batches.push(batch);
        keys.push(key);
      }
      plan.active.push(param);
      plan.batchOf.push(batch);
      plan.placeOf.push(batch.grads.length);
      batch.params.push(param);
      batch.grads.push(gradient);
      batch.states.push(state);
    }
    for (const { params, outputs, states } of plan.batches) {
      outputs.push(...params);
      for (const name of names) for (const state of states) outputs.push(state.tensors.get(name)!);
    }
    this.#plans[g] = plan;
    return plan;
  }

  /** The parameter's state with all tensors of `names`. */
  #stateOf(group: O, param: Tensor, names: readonly string[]): ParamState {
    let state = this.#state.get(param);
    if (state === undefined) this.#state.set(param, (state = { step: 0, tensors: new Map() }));
    for (const name of names) {
      if (!state.tensors.has(name)) state.tensors.set(name, this.#newState(param, this.initialValue(group)));
    }
    return state;
  }

  #newState(param: Tensor, value: number): Tensor {
    return noGrad(() => keep(full([...param.shape], value, { dtype: param.dtype })));
  }

  // ------------------------------------------------------------------------------------------- state

  /** State and options. The tensors are detached and share memory: they follow later steps. */
  stateDict(): OptimizerStateDict {
    const state: OptimizerStateDict['state'] = {};
    let index = 0;
    const paramGroups = this.paramGroups.map((group) => {
      const { params, ...options } = group;
      const numbers = params.map((param) => {
        const { step, tensors } = this.#state.get(param) ?? { step: 0, tensors: null };
        if (tensors !== null && step > 0) {
          const entries = [...tensors].map(([name, tensor]) => [name, tensor.detach()] as const);
          state[index] = { step, ...Object.fromEntries(entries) };
        }
        return index++;
      });
      return { ...(options as unknown as Record<string, OptionValue>), params: numbers };
    });
    return { state, paramGroups };
  }

  /**
   * Continues from what {@link Optimizer.stateDict} gave: copies its tensors and options. The groups must hold as many
   * parameters of the same shapes in the same order. Throws {@link StateDictError}, which lists every difference, and
   * changes nothing when it does not fit.
   */
  loadStateDict(dict: OptimizerStateDict): void {
    const problems: string[] = [];
    const params = this.paramGroups.flatMap((group) => group.params);
    const options = this.#loadedOptions(dict, problems);
    const states: [Tensor, ParamState][] = [];
    if (options !== null) {
      const groupOf = this.paramGroups.flatMap((group, g) => group.params.map(() => options[g]!));
      for (const [key, entry] of Object.entries(dict.state ?? {})) {
        const param = params[Number(key)];
        if (param === undefined) problems.push(`state ${key}: expected at most ${params.length} parameters`);
        else
          states.push([param, this.#loadedState(key, param, entry, this.stateNames(groupOf[Number(key)]!), problems)]);
      }
    }
    if (options === null || problems.length > 0) {
      throw new StateDictError(`loadStateDict: the state does not fit ${this.#name}:\n  ${problems.join('\n  ')}`);
    }
    this.#state.clear();
    for (const [param, { step, tensors }] of states) {
      for (const [name, tensor] of tensors) {
        const own = this.#newState(param, 0);
        noGrad(() => own.copy_(tensor));
        tensors.set(name, own);
      }
      this.#state.set(param, { step, tensors });
    }
    this.paramGroups.forEach((group, g) => Object.assign(group, options[g]));
    this.#plans.fill(null);
  }

  /** The options of each group in `dict`, or null when the groups themselves differ. */
  #loadedOptions(dict: OptimizerStateDict, problems: string[]): O[] | null {
    const groups: unknown = dict?.paramGroups;
    if (!Array.isArray(groups) || groups.length !== this.paramGroups.length) {
      const got = Array.isArray(groups) ? groups.length : show(groups);
      problems.push(`paramGroups: expected ${this.paramGroups.length} groups, got ${got}`);
      return null;
    }
    const count = problems.length;
    const options = (groups as OptimizerStateDict['paramGroups']).map((group, g) => {
      const own = this.paramGroups[g]!;
      const { params, initialLr, ...rest } = group;
      if (params?.length !== own.params.length) {
        problems.push(`group ${g}: expected ${own.params.length} parameters, got ${params?.length ?? 'none'}`);
      }
      try {
        const merged = this.#withOptions(this.defaults, rest as unknown as Partial<O>);
        return typeof initialLr === 'number' ? { ...merged, initialLr } : merged;
      } catch (error) {
        problems.push(`group ${g}: ${(error as Error).message}`);
        return this.defaults;
      }
    });
    return problems.length > count ? null : options;
  }

  #loadedState(
    key: string,
    param: Tensor,
    entry: Readonly<Record<string, unknown>>,
    names: readonly string[],
    problems: string[],
  ): ParamState {
    const tensors = new Map<string, Tensor>();
    const { step = 1, ...rest } = entry;
    if (!Number.isSafeInteger(step) || (step as number) < 0) {
      problems.push(`state ${key}: expected step to be a non-negative integer, got ${show(step)}`);
    }
    for (const [name, value] of Object.entries(rest)) {
      if (!(value instanceof Tensor))
        problems.push(`state ${key}: expected ${name} to be a Tensor, got ${show(value)}`);
      else if (value.disposed) problems.push(`state ${key}: ${name} was disposed`);
      else if (!sameShape(value.shape, param.shape)) {
        const [expected, got] = [formatShape(param.shape), formatShape(value.shape)];
        problems.push(`state ${key}: expected ${name} of shape ${expected}, got ${got}`);
      } else tensors.set(name, value);
    }
    for (const name of names) if (!Object.hasOwn(rest, name)) problems.push(`state ${key}: ${name} is missing`);
    return { step: step as number, tensors };
  }

  /** The class, and each group's options. */
  toString(): string {
    const groups = this.paramGroups.map(({ params, ...options }, g) => {
      const values = Object.entries(options).map(([key, value]) => `${key}: ${show(value)}`);
      return `  group ${g}: ${params.length} parameters, ${values.join(', ')}`;
    });
    return `${this.#name} (\n${groups.join('\n')}\n)`;
  }
}

function checkIterable<T>(name: string, params: Iterable<T>): Iterable<T> {
  if (
    typeof params === 'object' &&
    params !== null &&
    Symbol.iterator in params &&
    !((params as unknown) instanceof Tensor)
  ) {
    return params;
  }
  throw new ValueError(`${name}: expected tensors such as model.parameters(), got ${show(params)}`);
}

function checkParameter(name: string, param: unknown): void {
  if (!(param instanceof Tensor))
    throw new ValueError(`${name}: expected parameters to be tensors, got ${show(param)}`);
  if (param.disposed) throw new DisposedError(`${name}: expected live parameters, got a disposed one`);
  if (param.dtype !== 'float32' && param.dtype !== 'float64') {
    throw new DTypeError(`${name}: expected parameters of dtype float32 or float64, got ${param.dtype}`);
  }
  if (!param.isContiguous) throw new ValueError(`${name}: expected contiguous parameters, got a strided view`);
  if (!param.isLeaf) throw new ValueError(`${name}: expected leaf tensors, got the result of an operation`);
}

/** The gradient, contiguous. */
function checkGradient(name: string, param: Tensor, grad: Tensor): Tensor {
  if (grad.dtype === param.dtype && sameShape(grad.shape, param.shape)) {
    return grad.isContiguous ? grad : keep(contiguous(grad.detach()));
  }
  throw new ShapeError(
    `${name}: expected a gradient of shape ${formatShape(param.shape)} and dtype ${param.dtype}, ` +
      `got ${formatShape(grad.shape)} and ${grad.dtype}`,
  );
}
