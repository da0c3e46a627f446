// What every process that is measured does, ours and the JavaScript peers': it reads a line {"name","budget","least"}, prepares
// that workload or kernel when it is not the last one, times it, and answers with a line: see Slice.
import { createInterface } from 'node:readline';
import { timed } from './statistics.js';

/** Something to time. */
export interface Prepared {
  /** Makes so many calls and waits for them. */
  run(calls: number): Promise<void>;
  /** Calls shorter than this are timed in blocks of about as many milliseconds. */
  readonly blockMs: number;
  /** What else is known: losses, parameters, seconds to the first step. */
  readonly facts: Readonly<Record<string, number>>;
}

/** What is asked of a measured process. */
export interface Request {
  readonly name: string;
  readonly budget: number;
  readonly least: number;
}

/** What it answers: milliseconds a call and facts, or that it has no such work, or why it failed. */
export type Answer =
  | { readonly ms: readonly number[]; readonly facts: Readonly<Record<string, number>>; readonly lib: string }
  | { readonly unsupported: true }
  | { readonly error: string };

const peakRssMb = (): number => process.resourceUsage().maxRSS / 1024;

/** Facts that hold for the whole process; call it when the library has been loaded. */
export const processFacts = (importMs: number): Readonly<Record<string, number>> => ({
  import_ms: importMs,
  rss_after_import_mb: peakRssMb(),
});

/** Answers requests on standard input until it ends. `prepare` returns undefined for work that it does not have. */
export async function serve(
  lib: string,
  facts: Readonly<Record<string, number>>,
  prepare: (name: string) => Promise<Prepared | undefined>,
): Promise<void> {
  let current: { name: string; prepared: Prepared | undefined } | undefined;
  const answer = async ({ name, budget, least }: Request): Promise<Answer> => {
    if (current?.name !== name) {
      current = undefined;
      current = { name, prepared: await prepare(name) };
    }
    const { prepared } = current;
    if (prepared === undefined) return { unsupported: true };
    const ms = await timed((calls) => prepared.run(calls), { budget, least, blockMs: prepared.blockMs });
    return { lib, ms, facts: { ...facts, ...prepared.facts, peak_rss_mb: peakRssMb() } };
  };
  for await (const line of createInterface({ input: process.stdin })) {
    let reply: Answer;
    try {
      reply = await answer(JSON.parse(line) as Request);
    } catch (error) {
      reply = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

/** Milliseconds of untimed steps beyond the checked ones: code that is compiled while it runs needs some to be at its best. */
const WARM_UP_MS = 300;

/** A workload: its check values come first, 10 of training or 3 of inference. */
export async function preparedSteps(
  step: () => Promise<number>,
  kind: 'training' | 'inference',
  begun: number,
  facts: Readonly<Record<string, number>> = {},
): Promise<Prepared> {
  const first = await step();
  const buildAndFirstStep = (performance.now() - begun) / 1e3;
  let last = first;
  for (let i = 1; i < (kind === 'training' ? 10 : 3); i++) last = await step();
  for (const from = performance.now(); performance.now() - from < WARM_UP_MS;) await step();
  return {
    async run(calls) {
      for (let i = 0; i < calls; i++) await step();
    },
    blockMs: 2,
    facts: { loss_first: first, loss_last: last, build_and_first_step_s: buildAndFirstStep, ...facts },
  };
}
