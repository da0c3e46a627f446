import { ValueError } from '../errors.js';
import { show } from '../check.js';
import { adopt, collect, free, lease, Owner, setScope, type Storage } from '../native/storage.js';
import { Tensor } from '../tensor.js';

/** An open scope: the storages made since it was entered. */
export interface Scope {
  readonly storages: Storage[];
  readonly outer: Storage[] | null;
}

let serial = 0;

/** Opens a scope: what is made from now on is freed by {@link leaveScope} unless it goes further. */
export function enterScope(): Scope {
  const storages: Storage[] = [];
  return { storages, outer: setScope(storages) };
}

/**
 * Closes a scope. Storages that `returned` or a property of one of `holders` shows live on (in the scope around this one, or
 * by the collector); those saved for backward are left to the graph; the rest is freed.
 */
export function leaveScope(scope: Scope, returned: unknown, holders?: Iterable<object>): void {
  setScope(scope.outer);
  settle(scope, returned, holders);
}

function settle(scope: Scope, returned: unknown, holders?: Iterable<object>): void {
  const mark = ++serial;
  markTensors(returned, mark, 0);
  if (holders !== undefined) for (const holder of holders) markProperties(holder, mark);
  let saved: Storage[] | null = null;
  for (const storage of scope.storages) {
    if (storage.owner !== Owner.Scoped) continue;
    if (storage.escape === mark) {
      if (scope.outer !== null) scope.outer.push(storage);
      else collect(storage);
    } else if (storage.saved > 0) {
      if (scope.outer !== null) scope.outer.push(storage);
      else (saved ??= []).push(storage);
    } else free(storage);
  }
  if (saved !== null) lease(saved);
}

/** Marks the tensors in a result: a tensor, or arrays, maps and plain objects of them, a few levels deep. */
function markTensors(value: unknown, mark: number, depth: number): void {
  if (value === null || typeof value !== 'object') return;
  if (value instanceof Tensor) {
    value.storage.escape = mark;
    const gradient = value.gradientOrNull;
    if (gradient !== null) gradient.storage.escape = mark;
  } else if (depth < 4) {
    if (Array.isArray(value)) for (const element of value) markTensors(element, mark, depth + 1);
    else if (value instanceof Map) for (const element of value.values()) markTensors(element, mark, depth + 1);
    else if (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) {
      for (const element of Object.values(value)) markTensors(element, mark, depth + 1);
    }
  }
}

function markProperties(holder: object, mark: number): void {
  for (const key in holder) {
    const value = (holder as Record<string, unknown>)[key];
    if (value !== null && typeof value === 'object') markTensors(value, mark, 2);
  }
}

/**
 * Runs `fn` and frees every tensor made in it that it does not return, does not keep with {@link keep} and that no graph needs
 * for backward. When `fn` is async, the scope covers what it makes before its first `await` and ends when its promise settles.
 * @example const accuracy = scope(() => model.forward(x).argmax(1).eq(y).to('float32').mean().itemSync());
 */
export function scope<T>(fn: () => T): T {
  if (typeof fn !== 'function') throw new ValueError(`scope: expected a function, got ${show(fn)}`);
  const opened = enterScope();
  let result: T;
  try {
    result = fn();
  } catch (error) {
    leaveScope(opened, undefined);
    throw error;
  }
  if (result instanceof Promise) {
    setScope(opened.outer);
    return result.then(
      (value: unknown) => {
        settle(opened, value);
        return value;
      },
      (error: unknown) => {
        settle(opened, undefined);
        throw error;
      },
    ) as T;
  }
  leaveScope(opened, result);
  return result;
}

/** Keeps a tensor beyond the scope or the graph that would free it; the collector frees it when nobody holds it. Returns it. */
export function keep<T extends Tensor>(tensor: T): T {
  if (!(tensor instanceof Tensor)) throw new ValueError(`keep: expected a Tensor, got ${show(tensor)}`);
  adopt(tensor.storage);
  return tensor;
}
