import * as myelin from 'myelin';
import { Tensor } from 'myelin';
import { Unsupported, type Arguments } from './arguments.js';
import { total, type Gate } from './gates.js';

/** What a call of this library gives: tensors, in PyTorch's order. */
export type Outputs = Tensor | readonly Tensor[];

/** How one of PyTorch's operations is called here. */
export interface Operation {
  /** PyTorch's parameters, in its order. */
  parameters: readonly string[];
  call: (a: Arguments) => Outputs;
  /** How near outputs must be. */
  outputs: Gate | ((a: Arguments) => Gate);
  /** How near gradients must be. */
  grads: Gate;
}

export const operation = (
  parameters: string,
  call: (a: Arguments) => Outputs,
  outputs: Operation['outputs'] = total,
  grads: Gate = total,
): Operation => ({ parameters: parameters.split(' '), call, outputs, grads });

type Callable = (...args: unknown[]) => unknown;

let throughMethods = false;

/** Runs `fn` with every call made through the method of that name, where there is one. */
export function asMethods<T>(fn: () => T): T {
  throughMethods = true;
  try {
    return fn();
  } finally {
    throughMethods = false;
  }
}

const methods = Tensor.prototype as unknown as Record<string, unknown>;
const functions = myelin as unknown as Record<string, unknown>;

/**
 * Calls the library's function of this name, or the method where there is no function; trailing undefined arguments are left
 * out.
 * @throws Unsupported when the library has neither
 */
export function call(name: string, ...given: unknown[]): unknown {
  let n = given.length;
  while (n > 0 && given[n - 1] === undefined) n--;
  const args = given.slice(0, n);
  const first = args[0];
  const method = first instanceof Tensor && typeof methods[name] === 'function' ? (methods[name] as Callable) : null;
  if (method !== null && (throughMethods || typeof functions[name] !== 'function')) {
    return method.apply(first, args.slice(1));
  }
  const fn = functions[name];
  if (typeof fn !== 'function') throw new Unsupported(`no ${name}`);
  return (fn as Callable)(...args);
}

/** The library's function of this name, never the method: for names that mean another thing as a method, or take other arguments. */
export function callFunction(name: string, ...args: unknown[]): Tensor {
  const fn = functions[name];
  if (typeof fn !== 'function') throw new Unsupported(`no ${name}`);
  const out = (fn as Callable)(...args);
  if (!(out instanceof Tensor)) throw new Unsupported(`${name} does not return a tensor`);
  return out;
}

/** {@link call} of what gives one tensor. */
export function one(name: string, ...args: unknown[]): Tensor {
  const out = call(name, ...args);
  if (!(out instanceof Tensor)) throw new Unsupported(`${name} does not return a tensor`);
  return out;
}

/** {@link call} of what gives several: an array of tensors, or an object of them in PyTorch's order. */
export function many(name: string, ...args: unknown[]): Tensor[] {
  const out = call(name, ...args);
  const list = out instanceof Tensor ? [out] : Object.values(out as Record<string, unknown>);
  if (!list.every((x) => x instanceof Tensor)) throw new Unsupported(`${name} does not return tensors`);
  return list;
}

/** PyTorch's name as this library writes it: log_softmax is logSoftmax. */
export const camelCase = (name: string): string => name.replace(/_([a-z0-9])/g, (_, c: string) => c.toUpperCase());

type Kind = 'number' | 'boolean' | 'string' | 'integers' | 'list' | 'tensor';

/** The arguments of these names that are given, as an options object in camelCase; undefined when there are none. */
export function options(a: Arguments, kinds: Readonly<Record<string, Kind>>): Record<string, unknown> | undefined {
  const found: [string, unknown][] = [];
  for (const [name, kind] of Object.entries(kinds)) {
    const value = kind === 'tensor' ? a.optionalTensor(name) : a[kind](name);
    if (value !== undefined) found.push([camelCase(name), value]);
  }
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
