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
      if (!party.answered) missing(name, error);
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

/** Measures what the options ask for. `say` gets a line of progress at a time. */
export async function runSuite(options: Options, say: (text: string) => void): Promise<Report> {
  const seen = new Map(options.threads.map((threads) => [threads, [] as MachineState[]]));
  const look = async (threads: number, runs: number): Promise<MachineState | undefined> => {
    const state = await probe(threads, runs);
    if (state !== undefined) seen.get(threads)?.push(state);
    return state;
  };
  const measured = new Map<string, { entry: Entry; threads: number; rounds: Measured[] }>();
  const pools = options.threads.map((threads) => new Parties(threads, options.python));
  try {
    for (const entry of options.entries) {
      for (const pool of pools) {
        // A workload's peak of memory is that of its process.
        if (entry.kind !== 'kernel') await pool.close();
        const rounds = await takeTurns(entry, pool, options, look, say);
        measured.set(`${entry.name} ${pool.threads}`, { entry, threads: pool.threads, rounds });
      }
    }
  } finally {
    await Promise.all(pools.map((pool) => pool.close()));
  }
  const states = new Map<number, MachineState>();
  for (const [threads, all] of seen) {
    const calm = calmState(all);
    if (calm !== undefined) states.set(threads, calm);
  }
  const results = [...measured.values()].flatMap(({ entry, threads, rounds }) => {
    const calm = states.get(threads);
    const judged = rounds.map(({ slices, around, peak }) => ({
      slices,
      peak,
      disturbed: around.some((state) => isDisturbed(state, calm)),
    }));
    return [OURS, ...options.against].flatMap((party) => summarize(entry.name, threads, party, judged, calm) ?? []);
  });
  return { results, states, failures: pools.flatMap((pool) => [...pool.failures]) };
}

/** Every party in turn, as many rounds as wanted, the machine's state taken between the rounds. */
async function takeTurns(
  entry: Entry,
  pool: Parties,
  { against, budget, rounds: count }: Options,
  look: (threads: number, runs: number) => Promise<MachineState | undefined>,
  say: (text: string) => void,
): Promise<Measured[]> {
  const request = {
    name: entry.name,
    budget: (budget ?? (entry.kind === 'kernel' ? 0.5 : 2)) / count,
    least: Math.ceil(LEAST / count),
  };
  const names = [OURS, ...against.filter((name) => peers[name]?.has(entry.name))];
  const rounds: Measured[] = [];
  let before = await look(pool.threads, PROBE_RUNS);
  for (let round = 0; round < count; round++) {
    const slices = new Map<string, Slice>();
    let peak: number | undefined;
    // Who goes first changes, so that nobody always follows the same neighbour.
    const turn = round % 2 === 0 ? names : [...names].reverse();
    for (const name of turn) {
      say(`${entry.name}, ${pool.threads} threads, round ${round + 1} of ${count}: ${name}`);
      const slice = await pool.measure(name, request);
      if (slice !== undefined) slices.set(name, slice);
      if (name === OURS) peak = await peakBeside(entry, pool.threads, slice);
    }
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
