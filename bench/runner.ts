import { fileURLToPath } from 'node:url';
import type { Entry } from './catalogue.js';
import type { Options } from './options.js';
import { Party, type Command, type Slice } from './party.js';
import { peers } from './peers.js';
import type { Request } from './serve.js';
import { arithmetic, calmState, isDisturbed, probe, type MachineState } from './probe.js';
import { OURS, summarize, type Result } from './result.js';
import { KERNEL_BLOCK_MS, median } from './statistics.js';

/** Everything that a run found out. */
export interface Report {
  readonly results: readonly Result[];
  /** The machine while it was calm, by number of threads. */
  readonly states: ReadonlyMap<number, MachineState>;
  /** What went wrong at single entries. */
  readonly failures: readonly string[];
}

/** Measurements at least, over all rounds. */
const LEAST = 7;
const PROBE_RUNS = 2;
/** States of the machine that are taken before anything else, so that the first rounds are judged as the last ones. */
const FIRST_LOOKS = 4;
/** Where the number of rounds was not asked for: seconds after which no round is begun any more, and rounds that there are even so. */
const ROUNDS_SECONDS = 10;
const LEAST_ROUNDS = 3;

interface Measured {
  readonly slices: Map<string, Slice>;
  readonly around: readonly (MachineState | undefined)[];
  readonly peak: number | undefined;
}

/** The processes of one number of threads, started when they are first needed. */
class Parties {
  readonly #live = new Map<string, Party>();

  readonly failures = new Set<string>();

  constructor(
    readonly threads: number,
    private readonly python: string,
    private readonly stop: AbortSignal,
  ) {}

  async #get(name: string): Promise<Party> {
    let party = this.#live.get(name);
    if (party === undefined) {
      party = new Party(name, await this.#command(name));
      this.#live.set(name, party);
    }
    return party;
  }

  async #command(name: string): Promise<Command> {
    const worker = fileURLToPath(new URL('worker.js', import.meta.url));
    if (name === OURS) return { program: process.execPath, args: [worker, String(this.threads)] };
    const peer = peers[name];
    if (peer === undefined) throw new Error(`no peer ${name}`);
    return await peer.command({ threads: this.threads, python: this.python });
  }

  /**
   * A slice of one party's; undefined if it does not have such work.
   * @throws Error when the party cannot be started at all
   */
  async measure(name: string, request: Request): Promise<Slice | undefined> {
    const party = await this.#get(name).catch((error: unknown) => missing(name, error));
    try {
      return await party.measure(request);
    } catch (error) {
      if (!party.answered && !this.stop.aborted) missing(name, error);
      this.failures.add((error as Error).message);
      this.#live.delete(name);
      await party.close();
      return undefined;
    }
  }

  async close(): Promise<void> {
    const parties = [...this.#live.values()];
    this.#live.clear();
    await Promise.all(parties.map((party) => party.close()));
  }
}

/** What a run tells while it goes on. */
export interface Listener {
  /** A line of progress. */
  readonly say: (text: string) => void;
  /** An entry is done with some number of threads: a line of ours and of each peer that has it, and the machine as known by then. */
  readonly done: (lines: readonly Result[], state: MachineState | undefined) => void;
}

/**
 * Measures what the options ask for, until `stop` is given. The machine's calm state, by which rounds are judged, is that of all looks
 * at it so far.
 */
export async function runSuite(options: Options, { say, done }: Listener, stop: AbortSignal): Promise<Report> {
  const seen = new Map(options.threads.map((threads) => [threads, [] as MachineState[]]));
  const look = async (threads: number, runs: number): Promise<MachineState | undefined> => {
    const state = await probe(threads, runs);
    if (state !== undefined) seen.get(threads)?.push(state);
    return state;
  };
  const pools = options.threads.map((threads) => new Parties(threads, options.python, stop));
  const results: Result[] = [];
  const states = new Map<number, MachineState>();
  try {
    for (const pool of pools) {
      say(`the machine with ${pool.threads} threads`);
      for (let i = 0; i < FIRST_LOOKS && !stop.aborted; i++) await look(pool.threads, PROBE_RUNS);
    }
    for (const entry of options.entries) {
      for (const pool of pools) {
        if (stop.aborted) break;
        const { threads } = pool;
        // A workload's peak of memory is that of its process.
        if (entry.kind !== 'kernel') await pool.close();
        const rounds = await takeTurns(entry, pool, options, look, say, stop);
        const calm = calmState(seen.get(threads) ?? []);
        if (calm !== undefined) states.set(threads, calm);
        const lines = judged(entry.name, threads, [OURS, ...options.against], rounds, calm);
        if (lines.length > 0) done(lines, calm);
        results.push(...lines);
      }
    }
  } finally {
    await Promise.all(pools.map((pool) => pool.close()));
  }
  const failures = stop.aborted ? [] : pools.flatMap((pool) => [...pool.failures]);
  return { results, states, failures };
}

/** The lines of what was measured. */
function judged(
  name: string,
  threads: number,
  parties: readonly string[],
  rounds: readonly Measured[],
  calm: MachineState | undefined,
): Result[] {
  const known = rounds.map(({ slices, around, peak }) => ({
    slices,
    peak,
    disturbed: around.some((state) => isDisturbed(state, calm)),
  }));
  return parties.flatMap((party) => summarize(name, threads, party, known, calm) ?? []);
}

/** Every party in turn, as many rounds as wanted, the machine's state taken between the rounds. */
async function takeTurns(
  entry: Entry,
  pool: Parties,
  { against, budget, rounds: count, exact }: Options,
  look: (threads: number, runs: number) => Promise<MachineState | undefined>,
  say: (text: string) => void,
  stop: AbortSignal,
): Promise<Measured[]> {
  const request = {
    name: entry.name,
    budget: (budget ?? (entry.kind === 'kernel' ? 0.5 : 2)) / count,
    least: Math.ceil(LEAST / count),
  };
  const names = [OURS, ...against.filter((name) => peers[name]?.has(entry.name))];
  const rounds: Measured[] = [];
  let before = await look(pool.threads, PROBE_RUNS);
  const begun = performance.now();
  const late = (): boolean => performance.now() - begun > ROUNDS_SECONDS * 1e3;
  for (let round = 0; round < count; round++) {
    if (!exact && round >= LEAST_ROUNDS && late()) break;
    const slices = new Map<string, Slice>();
    let peak: number | undefined;
    // Who goes first changes, so that nobody always follows the same neighbour.
    const turn = round % 2 === 0 ? names : [...names].reverse();
    for (const name of turn) {
      say(`${entry.name}, ${pool.threads} threads, round ${round + 1} of ${count}: ${name}`);
      const slice = stop.aborted ? undefined : await pool.measure(name, request);
      if (slice !== undefined) slices.set(name, slice);
      if (name === OURS) peak = await peakBeside(entry, pool.threads, slice);
    }
    // What was stopped within a round has no counterparts.
    if (stop.aborted) break;
    const after = await look(pool.threads, PROBE_RUNS);
    rounds.push({ slices, around: [before, after], peak });
    before = after;
  }
  return rounds;
}

/** Multiply-adds in as many stretches as this slice of a kernel took measurements, each as long as one of those. */
async function peakBeside(entry: Entry, threads: number, slice: Slice | undefined): Promise<number | undefined> {
  if (slice === undefined || entry.kind !== 'kernel' || entry.kernel.flops === undefined) return undefined;
  return await arithmetic(threads, slice.ms.length, Math.max(KERNEL_BLOCK_MS, median(slice.ms)));
}

function missing(name: string, error: unknown): never {
  const { message, stderr } = error as { message: string; stderr?: string };
  const install = peers[name]?.install;
  const hint = install === undefined ? '' : `\n${name} needs: ${install}`;
  throw new Error(`${(stderr ?? '').trim() || message}${hint}`, { cause: error });
}
