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

/** Calls of a kernel that take as long are warm after one. */
export const LONG_CALL_MS = 100;

/** How calls are timed. */
export interface Timing {
  /** Seconds of timed calls at least. */
  readonly budget: number;
  /** Measurements at least, as far as four budgets or a second allow; one in any case. */
  readonly least: number;
  /** Calls shorter than this are timed in blocks that take about as long; milliseconds. */
  readonly blockMs: number;
}

/**
 * Milliseconds a call, measurement by measurement. `run(n)` makes n calls; the first two are not counted, or only the first where
 * it is longer than a block, and no call is thrown away that is longer than the budget.
 */
export async function timed(
  run: (calls: number) => Promise<void>,
  { budget, least, blockMs }: Timing,
): Promise<number[]> {
  const took = async (calls: number): Promise<number> => {
    const t = performance.now();
    await run(calls);
    return (performance.now() - t) / calls;
  };
  let dt = await took(1);
  const long = dt > budget * 1e3;
  if (dt <= blockMs) dt = Math.min(dt, await took(1));
  const block = Math.max(1, Math.floor(blockMs / Math.max(dt, 1e-4)));
  const ms = long ? [dt] : [];
  let spent = long ? dt : 0;
  while (ms.length === 0 || spent < (ms.length < least ? Math.max(4 * budget, 1) : budget) * 1e3) {
    const each = await took(block);
    ms.push(each);
    spent += each * block;
  }
  return ms;
}
