import { LeafNode, type Hook, type Node, isGradEnabled } from './autograd/graph.js';
import { clearRowGradients } from './autograd/rows.js';
import { backward, checkGradient, type BackwardOptions } from './autograd/backward.js';
import { checkInteger, checkNumber, show } from './check.js';
import { dtypes, isFloat, itemSizes, typedArray, type DType, type TypedArray } from './dtype.js';
import { AutogradError, DTypeError, ShapeError, ValueError } from './errors.js';
import { StructureMethods } from './methods/structure.js';
import { free, Owner, type Storage } from './native/storage.js';
import {
  code as opcodeOf,
  emit,
  emitBroadcast,
  readBytes,
  readBytesSync,
  readItem,
  readItemSync,
} from './native/stream.js';
import { checkTensor, passNs } from './ops/apply.js';
import { relu } from './ops/activation.js';
import * as binary from './ops/binary.js';
import * as cast from './ops/cast.js';
import { clamp } from './ops/clamp.js';
import type { NestedArray } from './ops/create.js';
import { fillRandom } from './ops/random.js';
import { addcdiv, addcmul, lerp, type ValueOptions } from './ops/ternary.js';
import * as unary from './ops/unary.js';
import type { Generator } from './random.js';
import {
  broadcastShapes,
  contiguousStrides,
  formatShape,
  isContiguous,
  numelOf,
  sameShape,
  type Shape,
} from './shape.js';
import { format } from './format.js';

type Operand = binary.Operand;

/** Who may look at the buffer of a gradient. @internal */
export const enum GradientUse {
  /** The library alone: the next gradient after it was cleared may go there. */
  Own,
  /** Nobody: it was cleared, `.grad` reads as null, and the next gradient goes there. */
  Stale,
  /** The user as well, who got it from `.grad` or set it: it stays as it is once cleared. */
  Shared,
}

/**
 * An array of numbers of one dtype in native memory. Operations return at once and run in order on their own thread; reading
 * (`await t.data()`, `await t.item()`) waits for what was asked for.
 */
export class Tensor extends StructureMethods {
  /** The buffer of `.grad`. @internal */
  gradientOrNull: Tensor | null = null;
  /** Who may look at that buffer. @internal */
  gradientUse = GradientUse.Own;
  /** The step of the tape that made this. @internal */
  gradFn: Node | null = null;
  private leafNode: Node | null = null;
  private wantsGrad = false;
  private lazyStrides: readonly number[] | null;

  /** @internal Tensors are made by functions such as `tensor`, `zeros` and `randn`. */
  constructor(
    /** @internal */ readonly storage: Storage,
    /** Sizes of the dimensions, outermost first; [] for a scalar. */
    readonly shape: Shape,
    /** @internal Code of the dtype. */ readonly code: number,
    /** @internal First element, counted in elements of the storage. */ readonly offset: number,
    /** @internal null when contiguous. */ readonly stridesOrNull: readonly number[] | null,
    /** Number of elements. */ readonly numel: number,
  ) {
    super();
    this.lazyStrides = stridesOrNull;
  }

  /** Element type. */
  get dtype(): DType {
    return dtypes[this.code]!;
  }

  /** Where the elements are: `meta` is nowhere, see {@link meta}. */
  get device(): 'cpu' | 'meta' {
    return this.storage.owner === Owner.Meta ? 'meta' : 'cpu';
  }

  /** Number of dimensions. */
  get ndim(): number {
    return this.shape.length;
  }

  /** Distance between neighbours along each dimension, in elements. */
  get strides(): readonly number[] {
    return (this.lazyStrides ??= contiguousStrides(this.shape));
  }

  /** Whether elements stand row-major without gaps. */
  get isContiguous(): boolean {
    return this.stridesOrNull === null;
  }

  /** The size of one dimension. */
  size(dim: number): number {
    checkInteger('size', 'dim', dim, { min: -this.ndim, max: this.ndim - 1 });
    return this.shape[dim < 0 ? dim + this.ndim : dim]!;
  }

  /** A tensor over the same memory; null strides mean contiguous. @internal */
  asView(shape: Shape, strides: readonly number[] | null, offset = this.offset): Tensor {
    const plain = strides === null || isContiguous(shape, strides);
    return new Tensor(this.storage, shape, this.code, offset, plain ? null : strides, numelOf(shape));
  }

  // -------------------------------------------------------------------------------------------- autograd

  /** Whether backward computes a gradient for this; true of every result computed from such a tensor. */
  get requiresGrad(): boolean {
    return this.wantsGrad || this.gradFn !== null;
  }

  set requiresGrad(value: boolean) {
    if (typeof value !== 'boolean') throw new ValueError(`requiresGrad: expected true or false, got ${show(value)}`);
    if (value && !isFloat(this.code)) {
      throw new DTypeError(`requiresGrad: expected float32 or float64, got ${this.dtype}`);
    }
    if (!value && this.gradFn !== null) {
      throw new AutogradError('requiresGrad: expected a leaf; use detach() to leave the graph');
    }
    this.wantsGrad = value;
  }

  /** Whether this was not computed by a recorded operation. */
  get isLeaf(): boolean {
    return this.gradFn === null;
  }

  /** What backward has added up for this leaf, or null. */
  get grad(): Tensor | null {
    const gradient = this.presentGradient();
    if (gradient !== null) this.gradientUse = GradientUse.Shared;
    return gradient;
  }

  set grad(value: Tensor | null) {
    clearRowGradients(this);
    this.gradientOrNull = value === null ? null : checkGradient(this, value);
    this.gradientUse = GradientUse.Shared;
  }

  /** `.grad` for who keeps no hold of it. @internal */
  presentGradient(): Tensor | null {
    return this.gradientUse === GradientUse.Stale ? null : this.gradientOrNull;
  }

  /** @internal */
  setGradient(value: Tensor): void {
    this.gradientOrNull = value;
    this.gradientUse = GradientUse.Own;
  }

  /** Where a gradient for this tensor goes. @internal */
  node(): Node {
    return this.gradFn ?? (this.leafNode ??= new LeafNode(this));
  }

  /**
   * Computes the gradients of this with respect to every leaf it was computed from, and adds them to their `.grad`.
   * @param gradient the gradient of this, of its shape; may be left out for one element
   * @throws AutogradError when nothing requires a gradient or the graph was freed by an earlier backward
   */
  backward(gradient?: Tensor | null, options: BackwardOptions = {}): void {
    backward([this], [gradient ?? null], options);
  }

  /** Calls `hook` with the gradient of this tensor whenever backward has it; what it returns takes its place. Returns a function that removes it. */
  registerHook(hook: Hook): () => void {
    if (typeof hook !== 'function') throw new ValueError(`registerHook: expected a function, got ${show(hook)}`);
    if (!this.requiresGrad) throw new AutogradError('registerHook: expected a tensor that requires a gradient');
    const node = this.node();
    (node.hooks ??= []).push(hook);
    return () => {
      node.hooks = node.hooks?.filter((h) => h !== hook) ?? null;
      if (node.hooks?.length === 0) node.hooks = null;
    };
  }

  /** Keeps the gradient of a result in its `.grad`, as if it were a leaf. */
  retainGrad(): void {
    if (this.gradFn === null) return;
    this.registerHook((gradient) => {
      this.grad = this.grad === null ? gradient : binary.add(this.grad, gradient);
    });
  }

  /** The same elements, outside the graph. */
  detach(): Tensor {
    checkTensor('detach', 'the tensor', this);
    return new Tensor(this.storage, this.shape, this.code, this.offset, this.stridesOrNull, this.numel);
  }

  /** Sets {@link requiresGrad} and returns this. */
  requiresGrad_(value = true): this {
    this.requiresGrad = value;
    return this;
  }

  // -------------------------------------------------------------------------------------------- reading

  private packed(fn: string): Tensor {
    checkTensor(fn, 'the tensor', this);
    return this.stridesOrNull === null ? this : cast.contiguous(this.detach());
  }

  /** The elements in row-major order, as a fresh typed array (bool as 0 and 1). Waits without blocking the thread. */
  async data(): Promise<TypedArray> {
    const t = this.packed('data');
    const size = itemSizes[t.code]!;
    return typedArray(t.code, await readBytes(t.storage.id, t.numel === 0 ? 0 : t.offset * size, t.numel * size));
  }

  /** Like {@link data}, blocking the thread until the elements are there. */
  dataSync(): TypedArray {
    const t = this.packed('dataSync');
    const size = itemSizes[t.code]!;
    return typedArray(t.code, readBytesSync(t.storage.id, t.numel === 0 ? 0 : t.offset * size, t.numel * size));
  }

  private checkItem(fn: string): void {
    checkTensor(fn, 'the tensor', this);
    if (this.numel !== 1) throw new ShapeError(`${fn}: expected one element, got shape ${formatShape(this.shape)}`);
  }

  /** The value of a tensor of one element (bool as 0 and 1). Waits without blocking the thread. */
  item(): Promise<number> {
    try {
      this.checkItem('item');
      return readItem(this.storage.id, this.code, this.offset);
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new ValueError(`item: ${String(error)}`));
    }
  }

  /** Like {@link item}, blocking the thread until the value is there. */
  itemSync(): number {
    this.checkItem('itemSync');
    return readItemSync(this.storage.id, this.code, this.offset);
  }

  /** The elements as nested arrays of numbers (bool as booleans); a scalar gives the bare value. */
  async toArray(): Promise<NestedArray> {
    const data = await this.data();
    return nest(data, this.shape, this.dtype === 'bool');
  }

  // -------------------------------------------------------------------------------------------- lifetime

  /** Whether the memory was given back. */
  get disposed(): boolean {
    return this.storage.owner === Owner.Freed;
  }

  /** Gives the memory back now, also for every view of it. Doing so twice does nothing. */
  dispose(): void {
    if (this.storage.saved > 0 && this.storage.owner !== Owner.Freed) {
      // The graph still needs it: it goes when the last node is done with it, or with the graph.
      if (this.storage.owner === Owner.Tape) return;
    }
    free(this.storage);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  // -------------------------------------------------------------------------------------------- in place

  private checkWritable(fn: string): void {
    checkTensor(fn, 'the tensor', this);
    if (this.requiresGrad && isGradEnabled()) {
      throw new AutogradError(
        `${fn}: a tensor that requires a gradient can only be changed in place within noGrad(() => …)`,
      );
    }
  }

  private wrote(): this {
    this.storage.version++;
    return this;
  }

  /** Overwrites this with `source`, which broadcasts to its shape and is converted to its dtype. */
  copy_(source: Tensor): this {
    this.checkWritable('copy_');
    checkTensor('copy_', 'source', source);
    if (!sameShape(broadcastShapes('copy_', this.shape, source.shape), this.shape)) {
      throw new ShapeError(
        `copy_: expected a shape that broadcasts to ${formatShape(this.shape)}, got ${formatShape(source.shape)}`,
      );
    }
    emitBroadcast(COPY, [source], this, passNs(this.numel), this.code);
    return this.wrote();
  }

  /** Sets every element to `value`. */
  fill_(value: number): this {
    this.checkWritable('fill_');
    if (typeof value !== 'number') throw new ValueError(`fill_: expected a number, got ${show(value)}`);
    emit(FILL, [], [this], [value], passNs(this.numel));
    return this.wrote();
  }

  /** Sets every element to 0. */
  zero_(): this {
    return this.fill_(0);
  }

  /** Fills with uniform numbers on [low, high). */
  uniform_(low = 0, high = 1, generator?: Generator): this {
    this.checkWritable('uniform_');
    checkNumber('uniform_', 'low', low);
    checkNumber('uniform_', 'high', high, { min: low });
    fillRandom('uniform_', 'uniform', this, low, high, generator);
    return this.wrote();
  }

  /** Fills with normal numbers. */
  normal_(mean = 0, std = 1, generator?: Generator): this {
    this.checkWritable('normal_');
    checkNumber('normal_', 'mean', mean);
    checkNumber('normal_', 'std', std, { min: 0 });
    fillRandom('normal_', 'normal', this, mean, std, generator);
    return this.wrote();
  }

  private update(fn: string, op: number, other: Operand): this {
    this.checkWritable(fn);
    let operand = binary.checkOperand(fn, 'the operand', other);
    if (typeof operand !== 'number') {
      checkOutsideGraph(fn, operand);
      if (!sameShape(broadcastShapes(fn, this.shape, operand.shape), this.shape)) {
        throw new ShapeError(
          `${fn}: expected a shape that broadcasts to ${formatShape(this.shape)}, got ${formatShape(operand.shape)}`,
        );
      }
      if (!isFloat(this.code) && isFloat(operand.code)) {
        throw new DTypeError(`${fn}: a ${operand.dtype} result does not fit a tensor of ${this.dtype}`);
      }
      operand = cast.castCode(operand.detach(), this.code);
    } else if (!isFloat(this.code) && !Number.isInteger(operand)) {
      throw new DTypeError(`${fn}: ${show(operand)} does not fit a tensor of ${this.dtype}`);
    }
    emitBroadcast(op, [this, operand], this, passNs(this.numel), this.code);
    return this.wrote();
  }

  /** this += other, in place. */
  add_(other: Operand): this {
    return this.update('add_', ADD, other);
  }

  /** this −= other, in place. */
  sub_(other: Operand): this {
    return this.update('sub_', SUB, other);
  }

  /** this ·= other, in place. */
  mul_(other: Operand): this {
    return this.update('mul_', MUL, other);
  }

  /** this /= other, in place; float32 and float64 only. */
  div_(other: Operand): this {
    if (!isFloat(this.code)) throw new DTypeError(`div_: expected float32 or float64, got ${this.dtype}`);
    return this.update('div_', DIV, other);
  }

  /** Replaces the elements by what `fn` makes of them: a tensor of this shape and dtype. */
  private replace(name: string, fn: (x: Tensor) => Tensor, ...others: readonly (Operand | undefined)[]): this {
    this.checkWritable(name);
    for (const other of others) if (other instanceof Tensor) checkOutsideGraph(name, other);
    const made = fn(this.detach());
    if (made.code !== this.code) {
      throw new DTypeError(`${name}: a ${made.dtype} result does not fit a tensor of ${this.dtype}`);
    }
    return this.copy_(made);
  }

  /** this = −this, in place. */
  neg_(): this {
    return this.replace('neg_', unary.neg);
  }

  /** this = |this|, in place. */
  abs_(): this {
    return this.replace('abs_', unary.abs);
  }

  /** this = eˣ of this, in place. */
  exp_(): this {
    return this.replace('exp_', unary.exp);
  }

  /** this = the natural logarithm of this, in place. */
  log_(): this {
    return this.replace('log_', unary.log);
  }

  /** this = the square root of this, in place. */
  sqrt_(): this {
    return this.replace('sqrt_', unary.sqrt);
  }

  /** this = 1/√ of this, in place. */
  rsqrt_(): this {
    return this.replace('rsqrt_', unary.rsqrt);
  }

  /** this = 1/this, in place. */
  reciprocal_(): this {
    return this.replace('reciprocal_', unary.reciprocal);
  }

  /** this = the square of this, in place. */
  square_(): this {
    return this.replace('square_', unary.square);
  }

  /** this = this rounded down, in place. */
  floor_(): this {
    return this.replace('floor_', unary.floor);
  }

  /** this = this rounded up, in place. */
  ceil_(): this {
    return this.replace('ceil_', unary.ceil);
  }

  /** this = this without fractions, in place. */
  trunc_(): this {
    return this.replace('trunc_', unary.trunc);
  }

  /** this = the logistic function of this, in place. */
  sigmoid_(): this {
    return this.replace('sigmoid_', unary.sigmoid);
  }

  /** this = the hyperbolic tangent of this, in place. */
  tanh_(): this {
    return this.replace('tanh_', unary.tanh);
  }

  /** this = max(this, 0), in place. */
  relu_(): this {
    return this.replace('relu_', relu);
  }

  /** this = this limited to [min, max], in place. */
  clamp_(min?: Operand, max?: Operand): this {
    return this.replace('clamp_', (x) => clamp(x, min, max), min, max);
  }

  /** this = this to the power of `other`, in place. */
  pow_(other: Operand): this {
    return this.replace('pow_', (x) => binary.pow(x, other), other);
  }

  /** this += weight · (end − this), in place. */
  lerp_(end: Tensor, weight: Operand): this {
    return this.replace('lerp_', (x) => lerp(x, end, weight), end, weight);
  }

  /** this += value · a · b, in place. */
  addcmul_(a: Tensor, b: Tensor, options?: ValueOptions): this {
    return this.replace('addcmul_', (x) => addcmul(x, a, b, options), a, b);
  }

  /** this += value · a / b, in place. */
  addcdiv_(a: Tensor, b: Tensor, options?: ValueOptions): this {
    return this.replace('addcdiv_', (x) => addcdiv(x, a, b, options), a, b);
  }

  /** Shape and dtype: reading values would have to wait. */
  override toString(): string {
    return `Tensor(${formatShape(this.shape)}, ${this.dtype})`;
  }

  /** What `console.log` shows: values (waiting for them), shape and dtype. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    if (this.disposed) return `${this.toString()} (disposed)`;
    return format(this);
  }
}

/** What is written in place is not recorded, so nothing that needs a gradient may go into it. */
function checkOutsideGraph(fn: string, operand: Tensor): void {
  if (operand.requiresGrad && isGradEnabled()) {
    throw new AutogradError(
      `${fn}: an operand that requires a gradient can only be used in place within noGrad(() => …), or detached`,
    );
  }
}

const COPY = opcodeOf('copy');
const FILL = opcodeOf('fill');
const ADD = opcodeOf('add');
const SUB = opcodeOf('sub');
const MUL = opcodeOf('mul');
const DIV = opcodeOf('div');

function nest(data: TypedArray, shape: Shape, bool: boolean): NestedArray {
  let at = 0;
  const level = (depth: number): NestedArray => {
    if (depth === shape.length) {
      const value = data[at++]!;
      return bool ? value !== 0 : value;
    }
    return Array.from({ length: shape[depth]! }, () => level(depth + 1));
  };
  return level(0);
}
