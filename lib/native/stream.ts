import {
  IndexOutOfRangeError,
  DTypeError,
  type MyelinError,
  NativeError,
  OutOfMemoryError,
  ShapeError,
  ValueError,
} from '../errors.js';
import { loadAddon } from './load.js';
import { opcode, type OpName } from './ops.generated.js';

/** What the native core says of a failed command; `status` is `Status` in native/kernels/call.h. */
export interface NativeFailure {
  readonly status: number;
  readonly op: string;
  readonly message: string;
}

type Callback<T> = (error: NativeFailure | null, value: T) => void;

/** The native core's face. */
export interface Addon {
  readonly ops: readonly string[];
  readonly segmentWords: number;
  readonly segments: readonly Float64Array[];
  readonly dead: Int32Array;
  submit(segment: number, words: number, wake: boolean): number;
  queued(): number;
  item(id: number, dtype: number, offset: number, callback?: Callback<number>): number | NativeFailure | undefined;
  read(
    id: number,
    byteOffset: number,
    byteLength: number,
    callback?: Callback<ArrayBuffer>,
  ): ArrayBuffer | NativeFailure | undefined;
  sync(callback?: Callback<void>): boolean | NativeFailure | undefined;
  upload(id: number, data: ArrayBufferView): NativeFailure | undefined;
  track(object: object, ticket: number): void;
  untrack(ticket: number): void;
  setNumThreads(n: number): void;
  getNumThreads(): number;
  memory(): MemoryStats;
  setMemoryLimit(bytes: number): void;
  resetPeak(): void;
  emptyCache(): void;
  info(): Record<string, unknown>;
}

/** Native memory, in bytes but for `handles` and `inFlight`. */
export interface MemoryStats {
  /** In use by tensors. */
  readonly allocated: number;
  /** Taken from the operating system: in use and kept for reuse. */
  readonly reserved: number;
  /** Highest `allocated` since the start or the last `resetPeakMemory`. */
  readonly peak: number;
  /** The limit set with `setMemoryLimit`; Infinity when none. */
  readonly limit: number;
  /** Live storages of this thread. */
  readonly handles: number;
  /** Commands that wait or run. */
  readonly inFlight: number;
}

/** What the encoder needs of a tensor. `strides` is null when contiguous. */
export interface Operand {
  readonly storage: { readonly id: number };
  readonly code: number;
  readonly shape: readonly number[];
  readonly numel: number;
  readonly offset: number;
  readonly stridesOrNull: readonly number[] | null;
}

/** A number stands for a scalar of the dtype given beside it, null for an operand left out. */
export type Input = Operand | number | null;

/** The handle of a storage without memory; commands that would write to it are left out. */
export const META = 0;

const FREE = -1;
const BIND = -2;
const IMMEDIATE = -1;
const ABSENT = -2;
const CONTIGUOUS = 1 << 8;

/**
 * Work estimated below this many nanoseconds waits for a read and runs on the reading thread: waking another thread and being
 * woken by it costs 50 to 100 µs, and a pause this short is no burden for the event loop.
 */
const LIGHT_NS = 160_000;

/** Segments in flight that keep the executor busy while the next is written. */
const AHEAD = 2;

export const addon: Addon = loadAddon();

{
  const expected = Object.keys(opcode);
  if (expected.length !== addon.ops.length || expected.some((name, i) => name !== addon.ops[i])) {
    throw new NativeError(
      'native core: its op table differs from the one this JavaScript was built with; run `npm run setup`',
    );
  }
}

const { segments, segmentWords } = addon;
/** No command may be longer; lists are cut before they get there. */
const LAST_WORD = segmentWords;

let segment = 0;
let words: Float64Array = segments[0]!;
let position = 0;
let pendingNs = 0;
let scheduled = false;

// ---------------------------------------------------------------------------------------------- handles

const freeIds: number[] = [];
let nextId = 1;

/** A handle for a storage that does not exist yet; the first command that writes to it allocates. */
export function newId(): number {
  return freeIds.pop() ?? nextId++;
}

/** Gives a handle back, in the stream's order: earlier commands still see it. */
export function freeId(id: number): void {
  if (position + 2 > LAST_WORD) flush(true);
  words[position++] = FREE;
  words[position++] = id;
  freeIds.push(id);
}

// ---------------------------------------------------------------------------------------------- encoding

function flush(wake: boolean): void {
  if (position > 0) {
    const next = addon.submit(segment, position, wake);
    position = 0;
    segment = next;
    words = segments[next]!;
  }
  if (wake) pendingNs = 0;
}

/**
 * Heavy work starts at once while the executor has little to do. Otherwise it gathers in the segment, so that the few segments
 * last and this thread need not wait; what is left when the thread has nothing more to say goes out then.
 */
function heavy(): void {
  if (addon.queued() < AHEAD) flush(true);
  else if (!scheduled) {
    scheduled = true;
    queueMicrotask(flushScheduled);
  }
}

function flushScheduled(): void {
  scheduled = false;
  if (pendingNs > LIGHT_NS) flush(true);
}

/** The handle of an operand that has memory. */
function handle(t: Operand): number {
  const { id } = t.storage;
  if (id === META) throw noMemory();
  return id;
}

/** The error of a read from a tensor without memory. */
function noMemory(): ValueError {
  return new ValueError('meta: expected a tensor with values, got one of the meta device; use it inside meta(() => …)');
}

function putOperand(p: number, t: Operand): number {
  const { shape, stridesOrNull: strides } = t;
  const n = shape.length;
  words[p] = handle(t);
  words[p + 1] = strides === null ? t.code | (n << 4) | CONTIGUOUS : t.code | (n << 4);
  words[p + 2] = t.offset;
  p += 3;
  for (let i = 0; i < n; i++) words[p++] = shape[i]!;
  if (strides !== null) for (let i = 0; i < n; i++) words[p++] = strides[i]!;
  return p;
}

/** The operand as a view of `shape`, which it broadcasts to. */
function putBroadcast(p: number, t: Operand, shape: readonly number[]): number {
  const own = t.shape;
  const n = shape.length;
  let same = own.length === n;
  for (let i = 0; same && i < n; i++) same = own[i] === shape[i];
  if (same) return putOperand(p, t);
  words[p] = handle(t);
  words[p + 1] = t.code | (n << 4);
  words[p + 2] = t.offset;
  p += 3;
  for (let i = 0; i < n; i++) words[p + i] = shape[i]!;
  p += n;
  const lead = n - own.length;
  const strides = t.stridesOrNull;
  if (strides !== null) {
    for (let i = 0; i < n; i++) words[p + i] = i < lead || own[i - lead] === 1 ? 0 : strides[i - lead]!;
  } else {
    let step = 1;
    for (let i = n - 1; i >= 0; i--) {
      const size = i < lead ? 1 : own[i - lead]!;
      words[p + i] = size === 1 ? 0 : step;
      step *= size;
    }
  }
  return p + n;
}

/** A contiguous operand of a list as one dimension: lists are walked element by element. */
function putFlat(p: number, t: Operand): number {
  if (t.stridesOrNull !== null) return putOperand(p, t);
  words[p] = handle(t);
  words[p + 1] = t.code | (1 << 4) | CONTIGUOUS;
  words[p + 2] = t.offset;
  words[p + 3] = t.numel;
  return p + 4;
}

function begin(op: number, nin: number, nout: number, nparams: number, need: number): number {
  if (position + need > LAST_WORD) {
    flush(pendingNs > LIGHT_NS);
    if (need > LAST_WORD) throw new NativeError(`native core: a command of ${need} words does not fit ${LAST_WORD}`);
  }
  const p = position;
  words[p] = op;
  words[p + 1] = nin;
  words[p + 2] = nout;
  words[p + 3] = nparams;
  return p + 4;
}

function end(p: number, ns: number): void {
  position = p;
  pendingNs += ns;
  if (pendingNs > LIGHT_NS) heavy();
}

/**
 * Puts a command of up to a few operands into the stream: `outputs = op(inputs, params)`. Inputs are read with their own
 * shapes. `ns` estimates the work in nanoseconds.
 */
export function emit(
  op: number,
  inputs: readonly Input[],
  outputs: readonly Operand[],
  params: readonly number[],
  ns: number,
  scalarCode = 0,
): void {
  if (outputs.length > 0 && outputs[0]!.storage.id === META) return;
  let p = begin(
    op,
    inputs.length,
    outputs.length,
    params.length,
    4 + 19 * (inputs.length + outputs.length) + params.length,
  );
  for (let i = 0; i < inputs.length; i++) {
    const x = inputs[i]!;
    if (x === null) words[p++] = ABSENT;
    else if (typeof x === 'number') {
      words[p] = IMMEDIATE;
      words[p + 1] = scalarCode;
      words[p + 2] = x;
      p += 3;
    } else p = putOperand(p, x);
  }
  for (let i = 0; i < outputs.length; i++) p = putOperand(p, outputs[i]!);
  for (let i = 0; i < params.length; i++) words[p++] = params[i]!;
  end(p, ns);
}

/** `out = op(x)` for elementwise ops without broadcasting. */
export function emitUnary(op: number, x: Operand, out: Operand, ns: number): void {
  if (out.storage.id === META) return;
  let p = begin(op, 1, 1, 0, 42);
  p = putOperand(p, x);
  end(putOperand(p, out), ns);
}

const NONE: readonly number[] = [];

/** `out = op(...inputs, params)` where every input broadcasts to out's shape and numbers are scalars of `scalarCode`. */
export function emitBroadcast(
  op: number,
  inputs: readonly (Operand | number)[],
  out: Operand,
  ns: number,
  scalarCode: number,
  params: readonly number[] = NONE,
): void {
  if (out.storage.id === META) return;
  let p = begin(op, inputs.length, 1, params.length, 4 + 19 * (inputs.length + 1) + params.length);
  const shape = out.shape;
  for (let i = 0; i < inputs.length; i++) {
    const x = inputs[i]!;
    if (typeof x === 'number') {
      words[p] = IMMEDIATE;
      words[p + 1] = scalarCode;
      words[p + 2] = x;
      p += 3;
    } else p = putBroadcast(p, x, shape);
  }
  p = putOperand(p, out);
  for (let i = 0; i < params.length; i++) words[p++] = params[i]!;
  end(p, ns);
}

/** A command over lists of tensors of equal shapes by position; contiguous ones travel as one dimension. */
export function emitList(
  op: number,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  params: readonly number[],
  ns: number,
): void {
  if (outputs.length > 0 && outputs[0]!.storage.id === META) return;
  let need = 4 + params.length;
  for (let i = 0; i < inputs.length; i++) need += inputs[i]!.stridesOrNull === null ? 4 : 19;
  for (let i = 0; i < outputs.length; i++) need += outputs[i]!.stridesOrNull === null ? 4 : 19;
  let p = begin(op, inputs.length, outputs.length, params.length, need);
  for (let i = 0; i < inputs.length; i++) p = putFlat(p, inputs[i]!);
  for (let i = 0; i < outputs.length; i++) p = putFlat(p, outputs[i]!);
  for (let i = 0; i < params.length; i++) words[p++] = params[i]!;
  end(p, ns);
}

/** Operands that surely fit one command as a list; longer lists are cut by the caller. */
export const MAX_LIST = 400;

/** Puts the bytes of `data` into a fresh storage. */
export function upload(id: number, data: ArrayBufferView): void {
  if (id === META) return;
  const failure = addon.upload(id, data);
  if (failure !== undefined) throw toError(failure);
  if (position + 2 > LAST_WORD) flush(true);
  words[position++] = BIND;
  words[position++] = id;
}

// ---------------------------------------------------------------------------------------------- reading

/** Of native failures, by their status. */
const classes = [
  NativeError,
  OutOfMemoryError,
  ShapeError,
  DTypeError,
  ValueError,
  IndexOutOfRangeError,
  ValueError,
] as const;

/** A native failure as a typed error that names the op. */
export function toError(failure: NativeFailure): MyelinError {
  const Class = classes[failure.status] ?? NativeError;
  const name = failure.op.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return new Class(name === '' ? failure.message : `${name}: ${failure.message}`);
}

const isFailure = (value: unknown): value is NativeFailure =>
  typeof value === 'object' && value !== null && 'status' in value;

function settle<T>(start: (callback: Callback<T>) => T | NativeFailure | undefined): Promise<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const value = start((error, result) => (error === null ? resolve(result) : reject(toError(error))));
  if (value === undefined) {
    return new Promise<T>((yes, no) => {
      resolve = yes;
      reject = no;
    });
  }
  return isFailure(value) ? Promise.reject(toError(value)) : Promise.resolve(value);
}

/** Before a read: everything goes out; work worth less than a hand-off stays for the reading thread to run. */
function flushForRead(): void {
  const wake = pendingNs > LIGHT_NS;
  flush(wake);
  pendingNs = 0;
}

/** One element after all commands given so far; resolves without leaving the thread when little is pending. */
export function readItem(id: number, code: number, offset: number): Promise<number> {
  if (id === META) return Promise.reject(noMemory());
  flushForRead();
  return settle<number>((callback) => addon.item(id, code, offset, callback));
}

/** Like {@link readItem}, blocking the thread. */
export function readItemSync(id: number, code: number, offset: number): number {
  if (id === META) throw noMemory();
  flushForRead();
  const value = addon.item(id, code, offset);
  if (typeof value === 'number') return value;
  throw toError(value as NativeFailure);
}

/** A copy of `byteLength` bytes of a storage after all commands given so far. */
export function readBytes(id: number, byteOffset: number, byteLength: number): Promise<ArrayBuffer> {
  if (id === META) return Promise.reject(noMemory());
  flushForRead();
  return settle<ArrayBuffer>((callback) => addon.read(id, byteOffset, byteLength, callback));
}

/** Like {@link readBytes}, blocking the thread. */
export function readBytesSync(id: number, byteOffset: number, byteLength: number): ArrayBuffer {
  if (id === META) throw noMemory();
  flushForRead();
  const value = addon.read(id, byteOffset, byteLength);
  if (isFailure(value)) throw toError(value);
  return value!;
}

/** Resolves when every command given so far has run. Rejects with an in-place command's error that nobody has seen. */
export async function synchronize(): Promise<void> {
  flushForRead();
  await settle<unknown>((callback) => addon.sync(callback));
}

/** The opcode of an op by name. */
export const code = (name: OpName): number => opcode[name];

/** A tensor as {@link runInPlace} takes it. */
interface Mutable extends Operand {
  readonly storage: { readonly id: number; version: number };
}

/**
 * Runs an op that updates tensors in place: optimizer steps, gradient clipping, initialisation. Lists are walked element by
 * element, so operands at one position must have one layout.
 */
export function runInPlace(
  op: OpName,
  inputs: readonly Operand[],
  outputs: readonly Mutable[],
  params: readonly number[],
): void {
  let elements = 0;
  for (let i = 0; i < outputs.length; i++) {
    elements += outputs[i]!.numel;
    outputs[i]!.storage.version++;
  }
  emitList(opcode[op], inputs, outputs, params, 200 + 0.5 * elements);
}
