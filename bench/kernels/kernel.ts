/** How a kernel's bytes move, where not from arrays into others: only read, only written, or (`memory`) written to where they were read. */
type Traffic = 'read' | 'write' | 'memory';

/** A row of the kernel suite. */
export interface KernelCase {
  /** The family first: `softmax-fwd-4096x1024`. The peers know it by the same name. */
  readonly name: string;
  /** Multiplications and additions of the direct algorithm. */
  readonly flops?: number;
  /** Bytes that must move at least: every input read once, every output written once. */
  readonly bytes?: number;
  readonly traffic?: Traffic;
  /**
   * Makes the operands and returns the call that is timed, many times to one wait. The call disposes what it makes, so that the next
   * one writes to the same memory.
   */
  readonly setUp: () => () => void;
}

/** Rows of one family of kernels. */
export interface KernelFamily {
  /** The rows of the suite. */
  readonly rows: readonly KernelCase[];
  /** Reads a name of the family that is no row, for sizes of one's own. */
  readonly parse?: (name: string) => KernelCase | undefined;
}
