import { find } from './catalogue.js';
import type { Slice } from './party.js';
import type { Bandwidth, MachineState } from './probe.js';
import { median, quantile, rounded } from './statistics.js';

/** One JSON line of a run: the times of one library on a workload (`step_ms_…`) or a kernel (`ms_…`). */
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
  readonly gbs_best?: number;
  readonly peak_rss_mb?: number;
  /** Multiply-adds in the best of as many stretches as ours, as long, taken in turns with them; GFLOP/s. */
  readonly peak_gflops?: number;
  /** The time that the limits of the machine allow. */
  readonly limit_ms?: number;
  /** The peer's time over ours, pair by pair, in the lines of peers: above 1 we are faster. */
  readonly ratio_median?: number;
  readonly ratio_low?: number;
  readonly ratio_high?: number;
  readonly pairs?: number;
  /** How many rounds or pairs ran while the machine was slower than at its best in this run. */
  readonly disturbed?: number;
  readonly [other: string]: string | number | undefined;
}

/** A round: every party once, in turn, and the state of the machine around it. */
export interface Round {
  readonly slices: ReadonlyMap<string, Slice>;
  readonly disturbed: boolean;
  /** Multiply-adds in stretches as long as those of ours and as many, next to them; GFLOP/s. */
  readonly peak?: number | undefined;
}

/** The milliseconds that peak and bandwidth allow; undefined where nothing is to be computed or the peak is not known. */
export function limitMs(name: string, state: MachineState | undefined): number | undefined {
  const entry = find(name);
  const work = entry === undefined ? undefined : entry.kind === 'kernel' ? entry.kernel : entry.workload;
  if (work === undefined || state === undefined) return undefined;
  const { flops = 0, bytes = 0 } = work;
  const traffic = entry?.kind === 'kernel' ? (entry.kernel.traffic ?? 'copy') : 'memory';
  if (flops + bytes === 0) return undefined;
  return Math.max(flops / state.gflops, bytes / bandwidthFor(bytes, traffic, state)) / 1e6;
}

/**
 * GB/s of such traffic at the level of memory in which so many bytes stay from one call to the next; the probe's arrays in cache are as
 * large.
 */
function bandwidthFor(bytes: number, traffic: Bandwidth, { gbs, cacheBytes }: MachineState): number {
  return bytes <= cacheBytes / 4 ? gbs.cache : gbs[traffic];
}

/** One library's rounds as one line. Undisturbed rounds count, and all of them where none was undisturbed. */
export function summarize(
  name: string,
  threads: number,
  party: string,
  rounds: readonly Round[],
  state: MachineState | undefined,
): Result | undefined {
  const took = rounds.filter((round) => round.slices.has(party));
  const calm = took.filter((round) => !round.disturbed);
  const counted = calm.length > 0 ? calm : took;
  const slices = counted.flatMap((round) => round.slices.get(party) ?? []);
  const last = slices.at(-1);
  const entry = find(name);
  if (last === undefined || entry === undefined) return undefined;
  const all = slices.flatMap((slice) => slice.ms);
  const middle = median(slices.map((slice) => median(slice.ms)));
  const least = Math.min(...all);
  const { loss_first, loss_last, ...facts } = last.facts;
  const peak = Math.max(...counted.map((round) => round.peak ?? 0));
  const limit = limitMs(name, state && peak > 0 ? { ...state, gflops: peak } : state);
  const rate = (amount: number | undefined, per: string): Record<string, number> =>
    amount === undefined
      ? {}
      : { [`${per}_best`]: rounded(amount / least / 1e6, 1), [`${per}_median`]: rounded(amount / middle / 1e6, 1) };
  const times =
    entry.kind === 'kernel'
      ? {
          ms_min: rounded(least, 5),
          ms_median: rounded(middle, 5),
          ...rate(entry.kernel.flops, 'gflops'),
          ...(entry.kernel.flops === undefined ? rate(entry.kernel.bytes, 'gbs') : {}),
        }
      : {
          step_ms_min: rounded(least, 5),
          step_ms_median: rounded(middle, 5),
          samples_per_s: rounded((entry.workload.samples / middle) * 1e3, 2),
          loss_first: loss_first ?? NaN,
          loss_last: loss_last ?? NaN,
        };
  return {
    name,
    threads,
    ...times,
    ...ratios(party, counted),
    reps: all.length,
    ...Object.fromEntries(Object.entries(facts).map(([key, value]) => [key, rounded(value, 3)])),
    ...(peak > 0 ? { peak_gflops: peak } : {}),
    ...(limit === undefined ? {} : { limit_ms: rounded(limit, 6) }),
    rounds: took.length,
    disturbed: took.length - calm.length,
    lib: last.lib,
  };
}

/** The name under which our own slices stand in a round. */
export const OURS = 'myelin';

function ratios(party: string, rounds: readonly Round[]): Partial<Result> {
  if (party === OURS) return {};
  const values = rounds.flatMap(({ slices }) => {
    const [our, their] = [slices.get(OURS), slices.get(party)];
    return our === undefined || their === undefined ? [] : [median(their.ms) / median(our.ms)];
  });
  if (values.length === 0) return {};
  return {
    ratio_median: rounded(median(values), 4),
    ratio_low: rounded(quantile(values, 0), 4),
    ratio_high: rounded(quantile(values, 1), 4),
    pairs: values.length,
  };
}

/** Median time of a line, whichever kind it is of. */
export const medianMs = (result: Result): number => result.step_ms_median ?? result.ms_median ?? NaN;

/** Whether a workload's checked values are those of every correct implementation. Kernels have none. */
export function lossesAgree({ name, loss_first, loss_last }: Result): boolean {
  const entry = find(name);
  if (entry === undefined || entry.kind === 'kernel') return true;
  const { check, tolerance = [1e-4, 1e-3] } = entry.workload;
  const off = (value: number | undefined, wanted: number): number => Math.abs((value ?? NaN) / wanted - 1);
  return off(loss_first, check[0]) < tolerance[0] && off(loss_last, check[1]) < tolerance[1];
}
