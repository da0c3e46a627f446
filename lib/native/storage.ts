import { addon, freeId, META, newId } from './stream.js';

/**
 * Native memory that one or more tensors look at. Somebody owns it at any time:
 * - `Scoped`: a scope (a module call, `scope(fn)`, a backward pass) that frees it at its end unless it goes further;
 * - `Tape`: the graph that saved it for backward; freed when the last node releases it;
 * - `Collected`: JavaScript's collector, by a ticket whose finalizer runs when nobody holds this object any more;
 * - `Freed`: nobody;
 * - `Meta`: there is no memory (`meta`).
 */
export const enum Owner {
  Scoped,
  Tape,
  Collected,
  Freed,
  Meta,
}

export class Storage {
  /** Handle in the native core; changes when two storages swap their memory. */
  id: number;
  owner: Owner;
  /** How many graph nodes hold this for backward. */
  saved = 0;
  /** How many gradients on their way through backward look at this. */
  flowing = 0;
  /** Counts writes in place, so that backward can tell that a saved tensor was changed. */
  version = 0;
  /** What the collector watches for this storage; 0 when it does not. */
  ticket = 0;
  /** What the collector watches for the graph that owns this with others, and the place in it. */
  lease: Lease | null = null;
  leaseIndex = 0;
  /** Elements that the memory holds. */
  numel = 0;
  /** Mark of the last scope whose result this is part of. */
  escape = 0;

  constructor() {
    this.id = onMeta ? META : newId();
    this.owner = onMeta ? Owner.Meta : Owner.Scoped;
  }
}

/** The storages that one call left to the graph: freed together if the graph is dropped without a backward pass. */
export class Lease {
  ticket = 0;
  constructor(
    /** Handles that are not yet freed; 0 where one is. */
    readonly ids: Int32Array,
    public live: number,
  ) {}
}

// A ticket is what native finalizers report: it names a handle, or the handles of a lease. Handles can change (swap).
const targets: (number | Int32Array | undefined)[] = [undefined];
const freeTickets: number[] = [];
const { dead } = addon;

function newTicket(target: number | Int32Array): number {
  const ticket = freeTickets.pop() ?? targets.length;
  targets[ticket] = target;
  return ticket;
}

function endTicket(ticket: number): void {
  targets[ticket] = undefined;
  freeTickets.push(ticket);
}

/** Frees what the collector found dead since the last call. */
export function sweep(): void {
  const n = dead[0]!;
  for (let i = 1; i <= n; i++) {
    const ticket = dead[i]!;
    const target = targets[ticket];
    if (typeof target === 'number') freeId(target);
    else if (target !== undefined) for (const id of target) if (id !== 0) freeId(id);
    endTicket(ticket);
  }
  dead[0] = 0;
}

/** Whether new storages have no memory. */
let onMeta = false;

/** Whether tensors are made without memory now. */
export const isMeta = (): boolean => onMeta;

/** Makes storages without memory from now on, or with; returns what it was. */
export function setMeta(value: boolean): boolean {
  const previous = onMeta;
  onMeta = value;
  return previous;
}

/** The scope that new storages belong to; null leaves them to the collector. */
let scoped: Storage[] | null = null;

/** Makes `list` the owner of storages made from now on; returns the previous owner, to be put back. */
export function setScope(list: Storage[] | null): Storage[] | null {
  const previous = scoped;
  scoped = list;
  return previous;
}

/** A storage for a result, owned by the current scope or the collector. */
export function newStorage(): Storage {
  if (dead[0] !== 0) sweep();
  const storage = new Storage();
  if (onMeta) return storage;
  if (scoped !== null) scoped.push(storage);
  else collect(storage);
  return storage;
}

/** Storages that an op makes for its own backward pass and nobody else sees. */
export function newSavedStorages(n: number): Storage[] {
  const storages = Array.from({ length: n }, () => new Storage());
  if (onMeta) return storages;
  if (scoped !== null) scoped.push(...storages);
  else lease(storages);
  return storages;
}

/** Leaves a storage to the collector. */
export function collect(storage: Storage): void {
  storage.owner = Owner.Collected;
  storage.ticket = newTicket(storage.id);
  addon.track(storage, storage.ticket);
}

/** Leaves storages to the graph that saved them; the collector frees them if the graph is dropped. */
export function lease(storages: Storage[]): void {
  const ids = new Int32Array(storages.length);
  const owner = new Lease(ids, storages.length);
  for (let i = 0; i < storages.length; i++) {
    const storage = storages[i]!;
    ids[i] = storage.id;
    storage.owner = Owner.Tape;
    storage.lease = owner;
    storage.leaseIndex = i;
  }
  owner.ticket = newTicket(ids);
  addon.track(owner, owner.ticket);
}

/** Frees now, whoever owns it. Freeing twice does nothing. */
export function free(storage: Storage): void {
  if (storage.owner >= Owner.Freed) return;
  if (storage.ticket !== 0) {
    addon.untrack(storage.ticket);
    endTicket(storage.ticket);
    storage.ticket = 0;
  }
  const owner = storage.lease;
  if (owner !== null) {
    storage.lease = null;
    leave(owner, storage);
  }
  storage.owner = Owner.Freed;
  freeId(storage.id);
}

function leave(owner: Lease, storage: Storage): void {
  owner.ids[storage.leaseIndex] = 0;
  if (--owner.live === 0) {
    addon.untrack(owner.ticket);
    endTicket(owner.ticket);
  }
}

/** One more node needs this for backward. */
export function retain(storage: Storage): void {
  storage.saved++;
}

/** A node is done with it; what only the graph owned is freed. */
export function release(storage: Storage): void {
  if (--storage.saved === 0 && storage.owner === Owner.Tape) free(storage);
}

/** Takes a storage out of the graph's hands and leaves it to the collector. */
export function adopt(storage: Storage): void {
  if (storage.owner >= Owner.Collected) return;
  const owner = storage.lease;
  if (owner !== null) {
    storage.lease = null;
    leave(owner, storage);
  }
  collect(storage);
}

/** Exchanges the memory of two storages without copying; both keep their owners. */
export function swap(a: Storage, b: Storage): void {
  const id = a.id;
  a.id = b.id;
  b.id = id;
  for (const storage of [a, b]) {
    if (storage.ticket !== 0) targets[storage.ticket] = storage.id;
    if (storage.lease !== null) storage.lease.ids[storage.leaseIndex] = storage.id;
    storage.version++;
  }
}
