import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { compiled } from './compile.js';
import { quantile } from './statistics.js';

const run = promisify(execFile);

/** Bytes moved: in the last level of cache; beyond it, the best of all, reading only, into other arrays, writing only. */
export const GBS = ['cache', 'memory', 'read', 'copy', 'write'] as const;
export type Bandwidth = (typeof GBS)[number];

/** A figure for every kind. */
export const bandwidths = (of: (kind: Bandwidth) => number): Record<Bandwidth, number> => ({
  cache: of('cache'),
  memory: of('memory'),
  read: of('read'),
  copy: of('copy'),
  write: of('write'),
});

/** What the machine reached with some number of threads. */
export interface MachineState {
  /** Fused multiply-adds, counted twice. */
  readonly gflops: number;
  readonly gbs: Readonly<Record<Bandwidth, number>>;
  /** Size of the last level of cache. */
  readonly cacheBytes: number;
}

/**
 * Measures the machine for some tenths of a second; undefined without a C++ compiler.
 * @param runs - of which the best counts
 */
export async function probe(threads: number, runs: number): Promise<MachineState | undefined> {
  const cacheBytes = await lastLevelCache();
  try {
    const { stdout } = await run(await compiled('probe.cc', 'probe', []), [threads, cacheBytes, runs].map(String));
    return { ...(JSON.parse(stdout) as Omit<MachineState, 'cacheBytes'>), cacheBytes };
  } catch {
    return undefined;
  }
}

/**
 * The rate of multiply-adds, GFLOP/s, in the best of `runs` stretches of `ms` each; undefined without a C++ compiler. A machine that
 * others share is undisturbed for short stretches only, so that a rate is to be compared with the best of as many stretches as long.
 */
export async function arithmetic(threads: number, runs: number, ms: number): Promise<number | undefined> {
  try {
    const args = [threads, 0, runs, ms].map(String);
    const { stdout } = await run(await compiled('probe.cc', 'probe', []), args);
    return (JSON.parse(stdout) as { gflops: number }).gflops;
  } catch {
    return undefined;
  }
}

/** What the machine can do while nobody disturbs it: the upper quartile of its states, figure by figure. */
export function calmState(states: readonly MachineState[]): MachineState | undefined {
  const figure = (of: (state: MachineState) => number): number => quantile(states.map(of), 0.75);
  const [first] = states;
  if (first === undefined) return undefined;
  return {
    gflops: figure((state) => state.gflops),
    gbs: bandwidths((kind) => figure(({ gbs }) => gbs[kind])),
    cacheBytes: first.cacheBytes,
  };
}

/** Shares of the calm state below which a state counts as disturbed; bandwidth swings more than arithmetic. */
const CALM = { gflops: 0.93, gbs: 0.75 };

/** Whether the machine was clearly slower at `state` than it can be, as the rest of the run showed. */
export const isDisturbed = (state: MachineState | undefined, calm: MachineState | undefined): boolean =>
  state !== undefined &&
  calm !== undefined &&
  (state.gflops < CALM.gflops * calm.gflops || state.gbs.memory < CALM.gbs * calm.gbs.memory);

/** Bytes of the largest cache that Linux names, 8 MiB where it names none. */
async function lastLevelCache(): Promise<number> {
  let bytes = 8 << 20;
  for (const index of [2, 3]) {
    const path = `/sys/devices/system/cpu/cpu0/cache/index${index}/size`;
    const match = /^(\d+)K/.exec(await readFile(path, 'utf8').catch(() => ''));
    if (match !== null) bytes = Number(match[1]) * 1024;
  }
  return bytes;
}
