import { checkInteger, show } from '../check.js';
import { IndexOutOfRangeError, ValueError } from '../errors.js';
import type { Tensor } from '../tensor.js';
import { ReLU } from './activation.js';
import { convNorm, isBatchNorm, isConvolution } from './conv_norm.js';
import { checkName, Module, type UnaryModule } from './module.js';
import { Parameter } from './parameter.js';

/**
 * Calls its modules one after the other, each on the result of the one before. Positional modules are named `0`, `1`,
 * …; an object or map names them itself: `new Sequential({ hidden: new Linear(4, 8), act: new ReLU() })`.
 */
export class Sequential extends Module {
  readonly #items: Map<string, UnaryModule>;
  /** The modules in order, kept beside the map for speed. */
  #list: UnaryModule[];

  constructor(named: Readonly<Record<string, UnaryModule>> | ReadonlyMap<string, UnaryModule>);
  constructor(...modules: UnaryModule[]);
  constructor(...args: unknown[]) {
    super();
    const [first] = args;
    const named = args.length === 1 && typeof first === 'object' && first !== null && !(first instanceof Module);
    if (named && (Array.isArray(first) || Symbol.iterator in first) && !(first instanceof Map)) {
      throw new ValueError(`Sequential: expected modules as separate arguments or an object, got ${show(first)}`);
    }
    const entries: [unknown, unknown][] = !named
      ? args.map((module, i) => [String(i), module])
      : first instanceof Map
        ? [...(first as Map<unknown, unknown>)]
        : Object.entries(first);
    for (const [name, module] of entries) checkItem('Sequential', name, module);
    this.#items = new Map(entries as [string, UnaryModule][]);
    this.#list = [...this.#items.values()];
  }

  protected override members(): Iterable<readonly [string, unknown]> {
    return [...super.members(), ...this.#items];
  }

  /** Number of modules. */
  get length(): number {
    return this.#list.length;
  }

  /** The module at a position, from the end when negative, or under a name. */
  get(key: number | string): UnaryModule {
    if (typeof key === 'number') return itemAt('Sequential.get', this.#list, key);
    const module = this.#items.get(key);
    if (module === undefined) throw new ValueError(`Sequential.get: expected one of its names, got ${show(key)}`);
    return module;
  }

  /** Adds a module at the end, under its position as its name. */
  append(module: UnaryModule): this {
    const name = String(this.#list.length);
    checkItem('Sequential.append', name, module);
    if (this.#items.has(name)) throw new ValueError(`Sequential.append: expected the name ${show(name)} to be free`);
    this.#items.set(name, module);
    this.#list = [...this.#items.values()];
    return this;
  }

  [Symbol.iterator](): IterableIterator<UnaryModule> {
    return this.#list.values();
  }

  forward(x: Tensor): Tensor {
    const list = this.#list;
    let h = x;
    for (let i = 0; i < list.length; i++) {
      const module = list[i]!;
      const norm = list[i + 1];
      if (isConvolution(module) && isBatchNorm(norm)) {
        const activated = list[i + 2] instanceof ReLU && !list[i + 2]!.hooked;
        h = convNorm(h, module, norm, { activation: activated ? 'relu' : 'none' });
        i += activated ? 2 : 1;
      } else h = module.forward(h);
    }
    return h;
  }
}

/** A list of modules, named `0`, `1`, …. It has no `forward` of its own. */
export class ModuleList<M extends Module = Module> extends Module {
  readonly #items: M[] = [];

  constructor(modules: Iterable<M> = []) {
    super();
    this.extend(modules);
  }

  protected override members(): Iterable<readonly [string, unknown]> {
    return [...super.members(), ...this.#items.map((module, i) => [String(i), module] as const)];
  }

  /** Number of modules. */
  get length(): number {
    return this.#items.length;
  }

  /** The module at a position, from the end when negative. */
  get(index: number): M {
    return itemAt('ModuleList.get', this.#items, index);
  }

  /** Adds a module at the end. */
  append(module: M): this {
    checkItem('ModuleList.append', 'item', module);
    this.#items.push(module);
    return this;
  }

  /** Adds modules at the end. */
  extend(modules: Iterable<M>): this {
    for (const module of checkIterable<M>('ModuleList', modules)) this.append(module);
    return this;
  }

  [Symbol.iterator](): IterableIterator<M> {
    return this.#items.values();
  }

  forward(): never {
    throw new ValueError('ModuleList: expected its modules to be called one by one, got a call of the list');
  }
}

/** Modules by name. It has no `forward` of its own. */
export class ModuleDict<M extends Module = Module> extends Module {
  readonly #items = new Map<string, M>();

  constructor(modules: Readonly<Record<string, M>> | ReadonlyMap<string, M> = {}) {
    super();
    if (typeof modules !== 'object' || modules === null || modules instanceof Module || Array.isArray(modules)) {
      throw new ValueError(`ModuleDict: expected an object of modules, got ${show(modules)}`);
    }
    const entries: Iterable<[string, M]> =
      modules instanceof Map ? (modules as Map<string, M>) : Object.entries(modules as Record<string, M>);
    for (const [name, module] of entries) this.set(name, module);
  }

  protected override members(): Iterable<readonly [string, unknown]> {
    return [...super.members(), ...this.#items];
  }

  /** Number of modules. */
  get size(): number {
    return this.#items.size;
  }

  /** The module under a name; throws {@link ValueError} when there is none. */
  get(name: string): M {
    const module = this.#items.get(name);
    if (module === undefined) {
      const names = [...this.#items.keys()].join(', ');
      throw new ValueError(`ModuleDict.get: expected one of ${names}, got ${show(name)}`);
    }
    return module;
  }

  /** Whether there is a module under a name. */
  has(name: string): boolean {
    return this.#items.has(name);
  }

  /** Puts a module under a name, in the place of the one that was there. */
  set(name: string, module: M): this {
    checkItem('ModuleDict.set', name, module);
    this.#items.set(name, module);
    return this;
  }

  [Symbol.iterator](): IterableIterator<[string, M]> {
    return this.#items.entries();
  }

  forward(): never {
    throw new ValueError('ModuleDict: expected its modules to be called one by one, got a call of the dict');
  }
}

/** A list of parameters, named `0`, `1`, …. It has no `forward` of its own. */
export class ParameterList extends Module {
  readonly #items: Parameter[] = [];

  constructor(parameters: Iterable<Parameter> = []) {
    super();
    for (const parameter of checkIterable<Parameter>('ParameterList', parameters)) this.append(parameter);
  }

  protected override members(): Iterable<readonly [string, unknown]> {
    return [...super.members(), ...this.#items.map((parameter, i) => [String(i), parameter] as const)];
  }

  protected override holders(): object[] {
    return [this, this.#items];
  }

  /** Number of parameters. */
  get length(): number {
    return this.#items.length;
  }

  /** The parameter at a position, from the end when negative. */
  get(index: number): Parameter {
    return itemAt('ParameterList.get', this.#items, index);
  }

  /** Adds a parameter at the end. */
  append(parameter: Parameter): this {
    if (!(parameter instanceof Parameter)) {
      throw new ValueError(`ParameterList.append: expected a Parameter, got ${show(parameter)}`);
    }
    this.#items.push(parameter);
    return this;
  }

  [Symbol.iterator](): IterableIterator<Parameter> {
    return this.#items.values();
  }

  forward(): never {
    throw new ValueError('ParameterList: expected its parameters to be used one by one, got a call of the list');
  }
}

function checkItem(fn: string, name: unknown, module: unknown): void {
  checkName(fn, name);
  if (!(module instanceof Module))
    throw new ValueError(`${fn}: expected ${show(name)} to be a Module, got ${show(module)}`);
}

function checkIterable<T>(fn: string, items: Iterable<T>): Iterable<T> {
  if (typeof items === 'object' && items !== null && Symbol.iterator in items) return items;
  throw new ValueError(`${fn}: expected an iterable, got ${show(items)}`);
}

function itemAt<T>(fn: string, list: readonly T[], index: number): T {
  const item = index >= 0 ? list[index] : list.at(index);
  if (item !== undefined && Number.isInteger(index)) return item;
  checkInteger(fn, 'index', index);
  throw new IndexOutOfRangeError(`${fn}: expected index in [${-list.length}, ${list.length - 1}], got ${index}`);
}
