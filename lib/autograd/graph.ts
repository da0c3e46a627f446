import { AutogradError, MyelinError, ValueError } from '../errors.js';
import { show } from '../check.js';
import { Owner, release, retain } from '../native/storage.js';
import type { Tensor } from '../tensor.js';

/** How the gradient of one op is computed. */
export interface Rule {
  /** The op's name, for messages. */
  readonly name: string;
  /**
   * The gradients of the inputs given that of the output, in order; null where {@link Node.needs} says that none is wanted, or
   * where there is none or it was added to what had arrived already ({@link accumulator}). Written with differentiable ops, so that
   * it can be differentiated again.
   */
  backward(dy: Tensor, node: Node): readonly (Tensor | null)[];
}

/** A function called with a gradient; a tensor that it returns takes the gradient's place. */
export type Hook = (gradient: Tensor) => unknown;

let sequence = 0;

/** One step of the tape: which rule, which tensors it was computed from and what it saved. Nodes made later have a higher seq. */
export class Node {
  readonly seq = ++sequence;
  /** The gradient that has arrived so far. */
  gradient: Tensor | null = null;
  hooks: Hook[] | null = null;
  /** Marks of the backward pass that last visited this, and whether it needs it. */
  visited = 0;
  wanted = 0;
  private versions: number[] | null = null;

  constructor(
    readonly rule: Rule,
    /** Where the gradients of the inputs go; null where none is needed. */
    readonly inputs: readonly (Node | null)[],
    private kept: readonly Tensor[] | null,
    /** Numbers, shapes and the like that the rule wants to remember. */
    readonly extra: unknown,
  ) {
    if (kept !== null && kept.length > 0) {
      this.versions = new Array<number>(kept.length);
      for (let i = 0; i < kept.length; i++) {
        const { storage } = kept[i]!;
        retain(storage);
        this.versions[i] = storage.version;
      }
    }
  }

  /** Whether the gradient of input i is wanted. */
  needs(i: number): boolean {
    return this.inputs[i] !== null;
  }

  /** The i-th saved tensor; throws {@link AutogradError} if the graph was freed or the tensor was changed in place since. */
  saved(i: number): Tensor {
    if (this.kept === null) {
      throw new AutogradError(
        `backward: the graph of ${this.rule.name} was freed by an earlier backward; pass { retainGraph: true } to that one`,
      );
    }
    const tensor = this.kept[i]!;
    if (tensor.storage.version !== this.versions![i]) {
      throw new AutogradError(
        `backward: ${this.rule.name} needs a tensor of shape [${tensor.shape.join(', ')}] that was changed in place after it was used`,
      );
    }
    return tensor;
  }

  /** Gives back what was saved. */
  release(): void {
    const { kept } = this;
    if (kept === null) return;
    this.kept = null;
    for (let i = 0; i < kept.length; i++) release(kept[i]!.storage);
  }
}

/**
 * What has arrived at `node` so far in this backward pass, to be added to in place: contiguous, and nobody else looks at it. null
 * where a gradient has to be a tensor of its own. @internal
 */
export function accumulator(node: Node | null): Tensor | null {
  const present = node === null ? null : node.gradient;
  if (present === null || enabled || anomalies) return null;
  const { storage } = present;
  const exclusive = storage.owner === Owner.Scoped && storage.flowing === 1 && storage.saved === 0;
  return exclusive && present.stridesOrNull === null && storage.numel === present.numel ? present : null;
}

/** The end of the tape at a leaf: its gradient is added to `leaf.grad`. */
export class LeafNode extends Node {
  constructor(readonly leaf: Tensor) {
    super(leafRule, [], null, undefined);
  }
}

const leafRule: Rule = { name: 'leaf', backward: () => [] };

let filling = false;

/** Whether the running backward pass adds to the gradients of leaves and is not recorded itself. */
export const isFillingLeaves = (): boolean => filling;

/** Sets {@link isFillingLeaves}; returns what it was. @internal */
export function setFillingLeaves(value: boolean): boolean {
  const previous = filling;
  filling = value;
  return previous;
}

let enabled = true;

/** Whether ops are recorded for backward. */
export const isGradEnabled = (): boolean => enabled;

/** Sets whether ops are recorded; returns what it was. @internal */
export function setGradEnabled(value: boolean): boolean {
  const previous = enabled;
  enabled = value;
  return previous;
}

function withGrad<T>(name: string, value: boolean, fn: () => T): T {
  if (typeof fn !== 'function') throw new ValueError(`${name}: expected a function, got ${show(fn)}`);
  const previous = setGradEnabled(value);
  let result: T;
  try {
    result = fn();
  } finally {
    enabled = previous;
  }
  if (result instanceof Promise) {
    result.catch(() => undefined);
    throw new ValueError(
      `${name}: expected a synchronous function, got one that returns a promise; put ${name} inside it`,
    );
  }
  return result;
}

/** Runs `fn` without recording for backward. */
export const noGrad = <T>(fn: () => T): T => withGrad('noGrad', false, fn);

/** Runs `fn` with recording, inside a {@link noGrad}. */
export const enableGrad = <T>(fn: () => T): T => withGrad('enableGrad', true, fn);

let anomalies = false;

/** Whether every result is checked for NaN and Inf. @internal */
export const detectingAnomalies = (): boolean => anomalies;

/** Thrown by {@link detectAnomaly}. */
export class AnomalyError extends MyelinError {
  /** The first op whose result holds NaN or Inf; a gradient's ends in `backward`. */
  readonly op: string;
  constructor(op: string) {
    super('ERR_ANOMALY', `detectAnomaly: ${op} gave NaN or Inf from finite inputs`);
    this.op = op;
  }
}

/**
 * Runs `fn`, checking every result and every gradient as it is made, and throws {@link AnomalyError} that names the first
 * operation giving NaN or Inf. Slow: it waits for each operation.
 */
export function detectAnomaly<T>(fn: () => T): T {
  if (typeof fn !== 'function') throw new ValueError(`detectAnomaly: expected a function, got ${show(fn)}`);
  const previous = anomalies;
  anomalies = true;
  const end = (): void => {
    anomalies = previous;
  };
  let result: T;
  try {
    result = fn();
  } catch (error) {
    end();
    throw error;
  }
  if (result instanceof Promise) return result.finally(end) as T;
  end();
  return result;
}
