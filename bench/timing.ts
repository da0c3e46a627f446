/**
 * Milliseconds a call, for at least `budget` seconds and at least 7 measurements. `run(n)` makes n calls; calls shorter than 2 ms
 * are timed in blocks that take about that long; `blockMs` gives another length.
 */
export async function timed(run: (calls: number) => Promise<void>, budget: number, blockMs = 2): Promise<number[]> {
  let dt = Infinity;
  for (let i = 0; i < 2; i++) {
    const t = performance.now();
    await run(1);
    dt = Math.min(dt, performance.now() - t);
  }
  const block = Math.max(1, Math.floor(blockMs / Math.max(dt, 1e-4)));
  const ms: number[] = [];
  const begun = performance.now();
  while (ms.length < 7 || performance.now() - begun < budget * 1e3) {
    const t = performance.now();
    await run(block);
    ms.push((performance.now() - t) / block);
  }
  return ms;
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** The value below which the share `q` of all lies. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

/** A number with `digits` decimals at most. */
export const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
