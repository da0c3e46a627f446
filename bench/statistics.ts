/** The value below which the share `q` of all lies, between neighbours linearly; NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const lower = sorted[Math.floor(at)] ?? NaN;
  return lower + ((sorted[Math.ceil(at)] ?? NaN) - lower) * (at - Math.floor(at));
}

/** The middle value, or the mean of the two middle ones. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** A number with `digits` decimals at most. */
export const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

/** Calls of a kernel that take less are timed in blocks of about as many milliseconds; native.cc and torch/suite.py say the same. */
export const KERNEL_BLOCK_MS = 10;

/** How calls are timed. */
export interface Timing {
  /** Seconds of timed calls at least. */
  readonly budget: number;
  /** Measurements at least. */
  readonly least: number;
  /** Calls shorter than this are timed in blocks that take about as long; milliseconds. */
  readonly blockMs: number;
}

/** Milliseconds a call, measurement by measurement. `run(n)` makes n calls; the first two are not counted. */
export async function timed(
  run: (calls: number) => Promise<void>,
  { budget, least, blockMs }: Timing,
): Promise<number[]> {
  let dt = Infinity;
  for (let i = 0; i < 2; i++) {
    const t = performance.now();
    await run(1);
    dt = Math.min(dt, performance.now() - t);
    if (dt > blockMs) break;
  }
  const block = Math.max(1, Math.floor(blockMs / Math.max(dt, 1e-4)));
  const ms: number[] = [];
  const begun = performance.now();
  while (ms.length < least || performance.now() - begun < budget * 1e3) {
    const t = performance.now();
    await run(block);
    ms.push((performance.now() - t) / block);
  }
  return ms;
}
