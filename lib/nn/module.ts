import { checkString, show } from '../check.js';
import { clearGrad } from '../autograd/backward.js';
import { noGrad } from '../autograd/graph.js';
import { enterScope, keep, leaveScope } from '../autograd/scope.js';
import { StateDictError, ValueError } from '../errors.js';
import { formatShape, sameShape } from '../shape.js';
import { Tensor } from '../tensor.js';
import { Parameter } from './parameter.js';

/** Parameters and persistent buffers by their dotted names, PyTorch's own strings: `fc.0.weight`. */
export type StateDict = Record<string, Tensor>;

/** What {@link Module.loadStateDict} did not find a partner for; both empty when it was strict. */
export interface LoadResult {
  readonly missingKeys: readonly string[];
  readonly unexpectedKeys: readonly string[];
}

/** Called after a module's `forward`; a result other than undefined takes the place of `output`. */
export type ForwardHook = (module: Module, args: readonly unknown[], output: unknown) => unknown;

/** A module that maps one tensor to one tensor. */
export interface UnaryModule extends Module {
  forward(x: Tensor): Tensor;
}

type Forward = (this: Module, ...args: unknown[]) => unknown;

interface Members {
  readonly parameters: [name: string, parameter: Parameter][];
  readonly buffers: [name: string, buffer: Tensor, persistent: boolean][];
  readonly children: [name: string, child: Module][];
}

/** Modules reached by the running outermost `forward`; null between calls. */
let called: Module[] | null = null;
let callNumber = 0;

/** Set by a static block of {@link Module}, which can reach its private members. */
let invoke: (module: Module, body: Forward, args: unknown[]) => unknown;

/**
 * Base of every network and layer, as `torch.nn.Module`. A subclass makes its parameters and children in its
 * constructor and defines `forward`; users call `model.forward(x)`.
 *
 * Parameters, child modules and arrays of either are found by property, in the order in which they were set; buffers
 * are named with {@link Module.registerBuffer}. Private (`#`) properties, maps and plain objects are not searched.
 *
 * The outermost `forward` is a scope: when it returns, the tensors made in it are freed unless they are returned, saved
 * for backward or stored on a module that was called. For this the class's `forward` method is wrapped when the first
 * instance is made, so it has to be a synchronous method, not a property that holds a function.
 */
export abstract class Module {
  /** Whether the module is in training mode; set by {@link Module.train} and {@link Module.eval}. */
  training = true;

  #buffers: Map<string, boolean> | null = null;
  #hooks: ForwardHook[] | null = null;
  #lastCall = 0;

  constructor() {
    wrapForward(new.target.prototype);
  }

  /** The computation. Subclasses give it its arguments and result. */
  abstract forward(...args: never[]): unknown;

  // ------------------------------------------------------------------------------------------- calls

  /** Runs `body` (the `forward` of the module's class) with its hooks, inside a scope when no other call is running. */
  static #invoke(module: Module, body: Forward, args: unknown[]): unknown {
    if (called !== null) {
      if (module.#lastCall !== callNumber) {
        module.#lastCall = callNumber;
        called.push(module);
      }
      const output = body.apply(module, args);
      return module.#hooks === null ? output : module.#runHooks(args, output);
    }
    const scope = enterScope();
    const modules = (called = [module]);
    module.#lastCall = ++callNumber;
    let output: unknown;
    try {
      output = body.apply(module, args);
      if (module.#hooks !== null) output = module.#runHooks(args, output);
      if (output instanceof Promise) {
        output.catch(() => undefined);
        throw new ValueError(`${module.constructor.name}.forward: expected a synchronous method, got an async one`);
      }
      return output;
    } finally {
      called = null;
      leaveScope(scope, output, modules);
    }
  }

  static {
    invoke = Module.#invoke;
  }

  #runHooks(args: unknown[], output: unknown): unknown {
    let result = output;
    for (const hook of [...this.#hooks!]) {
      const replaced = hook(this, args, result);
      if (replaced !== undefined) result = replaced;
    }
    return result;
  }

  /** Calls `hook(module, args, output)` after every `forward` of this module until `remove()` is called. */
  registerForwardHook(hook: ForwardHook): { remove(): void } {
    if (typeof hook !== 'function') {
      throw new ValueError(`registerForwardHook: expected hook to be a function, got ${show(hook)}`);
    }
    // A list entry of its own, so that one function may be registered twice.
    const entry: ForwardHook = (module, args, output) => hook(module, args, output);
    (this.#hooks ??= []).push(entry);
    return {
      remove: () => {
        const left = (this.#hooks ?? []).filter((other) => other !== entry);
        this.#hooks = left.length > 0 ? left : null;
      },
    };
  }

  /** Whether a hook sees the results of this module. @internal */
  get hooked(): boolean {
    return this.#hooks !== null;
  }

  // ------------------------------------------------------------------------------------------- what a module holds

  /** Named values among which parameters and children are looked for, in order. Containers add their items. */
  protected members(): Iterable<readonly [string, unknown]> {
    return Object.entries(this);
  }

  /** Objects and arrays that hold what {@link Module.members} lists. Containers add theirs. */
  protected holders(): object[] {
    return [this];
  }

  /**
   * Makes `this[name]` a buffer: a tensor that belongs to the module's state but is not trained. `persistent: false`
   * leaves it out of the state dict. Returns the tensor, so that a class field can be initialised with it.
   */
  registerBuffer(name: string, buffer: Tensor, { persistent = true }: { persistent?: boolean } = {}): Tensor {
    checkName('registerBuffer', name);
    if (!(buffer instanceof Tensor) || buffer instanceof Parameter) {
      throw new ValueError(`registerBuffer: expected a Tensor for ${show(name)}, got ${show(buffer)}`);
    }
    const self = this as unknown as Record<string, unknown>;
    if (!this.#buffers?.has(name) && self[name] !== undefined) {
      throw new ValueError(`registerBuffer: expected a name that is free, got ${show(name)}`);
    }
    (this.#buffers ??= new Map()).set(name, persistent);
    self[name] = keep(buffer);
    return buffer;
  }

  #members(): Members {
    const found: Members = { parameters: [], buffers: [], children: [] };
    for (const [name, value] of this.members()) sort(name, value, found);
    if (this.#buffers !== null) {
      for (const [name, persistent] of this.#buffers) {
        const value = (this as unknown as Record<string, unknown>)[name];
        if (value instanceof Tensor) found.buffers.push([name, value, persistent]);
      }
    }
    return found;
  }

  /** Direct children with their names, each module once. */
  namedChildren(): [name: string, child: Module][] {
    const seen = new Set<Module>();
    return this.#members().children.filter(([, child]) => !seen.has(child) && seen.add(child));
  }

  /** Direct children, each module once. */
  children(): Module[] {
    return this.namedChildren().map(([, child]) => child);
  }

  /** This module (named `''`) and all below it, parents before children, each module once. */
  namedModules(): [name: string, module: Module][] {
    const seen = new Set<Module>();
    const list: [string, Module][] = [];
    const visit = (name: string, module: Module): void => {
      if (seen.has(module)) return;
      seen.add(module);
      list.push([name, module]);
      for (const [key, child] of module.#members().children) visit(join(name, key), child);
    };
    visit('', this);
    return list;
  }

  /** This module and all below it, each once. */
  modules(): Module[] {
    return this.namedModules().map(([, module]) => module);
  }

  /** All parameters with their dotted names, those of a module before its children's; a shared one appears once. */
  namedParameters(): [name: string, parameter: Parameter][] {
    return unique(this.namedModules(), (module) => module.#members().parameters);
  }

  /** All parameters, each once: what an optimizer takes. */
  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter);
  }

  /** All buffers with their dotted names, each once. */
  namedBuffers(): [name: string, buffer: Tensor][] {
    return unique(this.namedModules(), (module) => module.#members().buffers.map(([name, buffer]) => [name, buffer]));
  }

  /** All buffers, each once. */
  buffers(): Tensor[] {
    return this.namedBuffers().map(([, buffer]) => buffer);
  }

  // ------------------------------------------------------------------------------------------- modes

  /** Puts this module and all below it into training mode, or with `false` into evaluation mode. */
  train(mode = true): this {
    if (typeof mode !== 'boolean') throw new ValueError(`train: expected mode to be true or false, got ${show(mode)}`);
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  /** Puts this module and all below it into evaluation mode. */
  eval(): this {
    return this.train(false);
  }

  /** Calls `fn` on all modules below this one, children first, then on this module. */
  apply(fn: (module: Module) => void): this {
    if (typeof fn !== 'function') throw new ValueError(`apply: expected fn to be a function, got ${show(fn)}`);
    const seen = new Set<Module>();
    const visit = (module: Module): void => {
      if (seen.has(module)) return;
      seen.add(module);
      for (const child of module.children()) visit(child);
      fn(module);
    };
    visit(this);
    return this;
  }

  /** Sets `requiresGrad` of every parameter. */
  requiresGrad_(requiresGrad = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = requiresGrad;
    return this;
  }

  /** Clears the gradient of every parameter: `grad` becomes null. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) clearGrad(parameter);
  }

  // ------------------------------------------------------------------------------------------- state

  /** Every parameter and persistent buffer under each name that leads to it, shared ones under all of them. */
  #state(): [name: string, value: Tensor][] {
    const list: [string, Tensor][] = [];
    const path = new Set<Module>();
    const visit = (prefix: string, module: Module): void => {
      if (path.has(module)) return;
      path.add(module);
      const { parameters, buffers, children } = module.#members();
      for (const [name, parameter] of parameters) list.push([join(prefix, name), parameter]);
      for (const [name, buffer, persistent] of buffers) if (persistent) list.push([join(prefix, name), buffer]);
      for (const [name, child] of children) visit(join(prefix, name), child);
      path.delete(module);
    };
    visit('', this);
    return list;
  }

  /**
   * Parameters and persistent buffers by their dotted names. The tensors are detached and share the module's memory:
   * they follow later updates; `clone()` what must not.
   */
  stateDict(): StateDict {
    const dict = Object.create(null) as StateDict;
    for (const [name, value] of this.#state()) dict[name] = value.detach();
    return dict;
  }

  /**
   * Copies the tensors of `dict` into this module's parameters and buffers, converting their dtype. With `assign` the tensors
   * themselves take the place of parameters and buffers, whose dtype and memory (none for a module made in `meta`) do not count;
   * optimizers are to be made afterwards. Throws {@link StateDictError}, which lists every difference, and changes nothing when
   * a shape differs or, unless `strict: false`, when a name is missing or unexpected.
   */
  loadStateDict(
    dict: Readonly<StateDict> | ReadonlyMap<string, Tensor>,
    { strict = true, assign = false }: { strict?: boolean; assign?: boolean } = {},
  ): LoadResult {
    if (dict === null || typeof dict !== 'object' || dict instanceof Tensor || dict instanceof Module) {
      throw new ValueError(`loadStateDict: expected an object of tensors, got ${show(dict)}`);
    }
    const given = new Map<string, unknown>(dict instanceof Map ? dict : Object.entries(dict));
    const own = this.#state();
    const missingKeys: string[] = [];
    const wrong: string[] = [];
    const copies: [Tensor, Tensor][] = [];
    for (const [name, target] of own) {
      const source = given.get(name);
      if (source === undefined) missingKeys.push(name);
      else if (!(source instanceof Tensor)) wrong.push(`${name}: expected a Tensor, got ${show(source)}`);
      else if (source.disposed) wrong.push(`${name}: expected a live tensor, got a disposed one`);
      else if (target.disposed) wrong.push(`${name}: the module's own tensor was disposed`);
      else if (!sameShape(source.shape, target.shape)) {
        wrong.push(`${name}: expected shape ${formatShape(target.shape)}, got ${formatShape(source.shape)}`);
      } else copies.push([target, source]);
    }
    const names = new Set(own.map(([name]) => name));
    const unexpectedKeys = [...given.keys()].filter((name) => !names.has(name));
    if (wrong.length > 0 || (strict && missingKeys.length + unexpectedKeys.length > 0)) {
      throw new StateDictError(
        difference(`loadStateDict: the state dict does not fit ${this.constructor.name}`, [
          ['missing', missingKeys],
          ['unexpected', unexpectedKeys],
          ['wrong', wrong],
        ]),
      );
    }
    if (assign) {
      const fresh = copies.map(([old, source]): [Tensor, Tensor] => {
        if (!(old instanceof Parameter)) return [old, keep(source.detach())];
        return [old, new Parameter(source, { requiresGrad: old.requiresGrad })];
      });
      const swaps = new Map<unknown, Tensor>(fresh);
      for (const module of this.modules()) for (const list of module.holders()) swapValues(list, swaps);
    } else {
      noGrad(() => {
        for (const [target, source] of copies) target.copy_(source);
      });
    }
    return { missingKeys, unexpectedKeys };
  }

  // ------------------------------------------------------------------------------------------- text

  /** What {@link Module.toString} writes between the parentheses of this module. */
  protected extraRepr(): string {
    return '';
  }

  /** The tree of modules, as PyTorch prints it. */
  toString(): string {
    return this.#text(new Set());
  }

  #text(path: Set<Module>): string {
    if (path.has(this)) return `${this.constructor.name}(...)`;
    path.add(this);
    const extra = this.extraRepr();
    const lines = this.namedChildren().map(([name, child]) => `(${name}): ${child.#text(path)}`);
    path.delete(this);
    if (lines.length === 0) return `${this.constructor.name}(${extra})`;
    if (extra !== '') lines.unshift(extra);
    return `${this.constructor.name}(\n${lines.join('\n').replace(/^/gm, '  ')}\n)`;
  }

  /** Makes `console.log(model)` print {@link Module.toString}. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

const wrappedPrototypes = new WeakSet<object>();

/**
 * Replaces every `forward` on the prototype chain, once per class that defines one, by one that runs scope and hooks.
 */
function wrapForward(prototype: Module): void {
  for (let proto = prototype; proto !== Module.prototype; proto = Object.getPrototypeOf(proto) as Module) {
    if (wrappedPrototypes.has(proto)) return;
    wrappedPrototypes.add(proto);
    if (!Object.hasOwn(proto, 'forward')) continue;
    const body = Reflect.get(proto, 'forward') as Forward;
    const wrapped = function forward(this: Module, ...args: unknown[]): unknown {
      // A subclass that calls super.forward() is already inside its own wrapper.
      return (this.forward as unknown) === wrapped ? invoke(this, body, args) : body.apply(this, args);
    };
    Object.defineProperty(proto, 'forward', { value: wrapped, writable: true, configurable: true, enumerable: false });
  }
}

function sort(name: string, value: unknown, found: Members): void {
  if (typeof value !== 'object' || value === null) return;
  if (value instanceof Parameter) found.parameters.push([name, value]);
  else if (value instanceof Module) found.children.push([name, value]);
  else if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      if (typeof item === 'object') sort(`${name}.${i}`, item, found);
    }
  }
}

/** Puts new values in the place of those that are keys of `swaps`, also within arrays. */
function swapValues(holder: object, swaps: ReadonlyMap<unknown, Tensor>): void {
  for (const [key, value] of Object.entries(holder)) {
    const fresh = swaps.get(value);
    if (fresh !== undefined) (holder as Record<string, unknown>)[key] = fresh;
    else if (Array.isArray(value)) swapValues(value, swaps);
  }
}

/** The named tensors of all modules with their full names, each tensor once. */
function unique<T extends Tensor>(
  modules: readonly [string, Module][],
  of: (module: Module) => readonly [string, T][],
): [string, T][] {
  const seen = new Set<Tensor>();
  const list: [string, T][] = [];
  for (const [prefix, module] of modules) {
    for (const [name, value] of of(module)) {
      if (seen.has(value)) continue;
      seen.add(value);
      list.push([join(prefix, name), value]);
    }
  }
  return list;
}

const join = (prefix: string, name: string): string => (prefix === '' ? name : `${prefix}.${name}`);

/** Throws unless `name` can be a part of a dotted name. */
export function checkName(fn: string, name: unknown): string {
  checkString(fn, 'name', name);
  if ((name as string).includes('.')) throw new ValueError(`${fn}: expected a name without '.', got ${show(name)}`);
  return name as string;
}

/** `title:` and one line for each kind of difference that there is. */
export function difference(title: string, kinds: readonly (readonly [string, readonly string[]])[]): string {
  const lines = kinds.filter(([, items]) => items.length > 0);
  const one = ([kind, items]: readonly [string, readonly string[]]): string =>
    `  ${kind}: ${items.join(kind === 'wrong' ? '\n    ' : ', ')}`;
  return [`${title}:`, ...lines.map(one)].join('\n');
}
