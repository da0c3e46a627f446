import { checkInteger, checkNumber } from './check.js';
import { addon, type MemoryStats } from './native/stream.js';

export { synchronize, type MemoryStats } from './native/stream.js';

/** What the native core knows of the machine and of itself. */
export interface NativeInfo {
  /** The instruction set whose kernels run: baseline, avx2, avx512 or neon. `MYELIN_ISA` forces one at load. */
  readonly isa: string;
  /** Those that this binary has kernels for. */
  readonly compiledIsas: readonly string[];
  /** Those of them that this CPU can run. */
  readonly supportedIsas: readonly string[];
  /** CPU features found. */
  readonly features: readonly string[];
  /** The CPU's name. */
  readonly cpu: string;
  /** CPUs that this process may use. */
  readonly cores: number;
  /** Compute threads, the executor's own counted in. */
  readonly threads: number;
  /** Cache sizes in bytes. */
  readonly caches: { readonly l1d: number; readonly l2: number; readonly l3: number };
}

/** CPU features, chosen instruction set, threads and caches. */
export const nativeInfo = (): NativeInfo => addon.info() as unknown as NativeInfo;

/**
 * Sets how many threads compute, the calling one counted in, for the whole process. The default is what the machine and its
 * control group allow. Results do not depend on it.
 */
export function setNumThreads(threads: number): void {
  addon.setNumThreads(checkInteger('setNumThreads', 'threads', threads, { min: 1, max: 1024 }));
}

/** How many threads compute. */
export const getNumThreads = (): number => addon.getNumThreads();

/** Native memory in use, kept for reuse and at its peak, live handles, and commands in flight. */
export const memory = (): MemoryStats => addon.memory();

/** Limits native memory to `bytes` for the whole process; operations beyond it fail with OutOfMemoryError. Infinity lifts it. */
export function setMemoryLimit(bytes: number): void {
  addon.setMemoryLimit(checkNumber('setMemoryLimit', 'bytes', bytes, { min: 0, finite: false }));
}

/** Makes the peak of {@link memory} start again from what is in use now. */
export const resetPeakMemory = (): void => addon.resetPeak();

/** Gives memory that is kept for reuse back to the operating system. */
export const emptyCache = (): void => addon.emptyCache();
