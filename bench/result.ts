import { figures } from './figures.js';

/** One JSON line of the suite: a workload's or a kernel's times. */
export interface Result {
  readonly name: string;
  readonly threads: number;
  readonly lib: string;
  readonly step_ms_min?: number;
  readonly step_ms_median?: number;
  readonly samples_per_s?: number;
  readonly loss_first?: number;
  readonly loss_last?: number;
  readonly ms_min?: number;
  readonly ms_median?: number;
  readonly gflops_best?: number;
  /** Peak of fused multiply-adds measured in the same run with as many threads. */
  readonly fma_peak_gflops?: number;
  readonly rounds?: number;
  readonly [other: string]: string | number | undefined;
}

/** The rounds of one measurement as one: the round with the least median, and the least time of all. */
export function best(rounds: readonly Result[]): Result {
  const key = rounds[0]?.step_ms_median === undefined ? 'ms' : 'step_ms';
  const time = (result: Result, what: 'min' | 'median'): number => result[`${key}_${what}`] ?? Infinity;
  const first = [...rounds].sort((a, b) => time(a, 'median') - time(b, 'median'))[0];
  if (first === undefined) throw new Error('no rounds');
  return { ...first, [`${key}_min`]: Math.min(...rounds.map((r) => time(r, 'min'))), rounds: rounds.length };
}

/** Whether a workload's losses are those of every correct implementation. */
export function lossesAgree({ name, loss_first, loss_last }: Result): boolean {
  const expected = figures[name]?.loss;
  if (expected === undefined) return true;
  const off = (value: number | undefined, wanted: number): number => Math.abs((value ?? NaN) - wanted) / wanted;
  return off(loss_first, expected[0]) < 1e-4 && off(loss_last, expected[1]) < 1e-3;
}
