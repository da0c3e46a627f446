import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { figures, gemmNames, parseGemm } from './figures.js';
import { torch } from './peers.js';
import { fmaPeak } from './probe.js';
import { best, lossesAgree, type Result } from './result.js';
import { kernelTable, stepTable } from './table.js';

const HELP = `Usage: npm run bench -- [options]

  --only a,b        workloads and kernels: ${Object.keys(figures).join(', ')};
                    gemm-{nn,nt,tn}-N or -MxNxK; gemm for a range of sizes. Default: all workloads
  --threads N[,N]   compute threads (default: all; 1 and 2 with --against)
  --budget S        seconds of timed calls each (default 2)
  --rounds N        runs of each, the best counts (default 1; 3 with --against)
  --against torch   the same work in PyTorch, alternating with ours
  --json FILE       results as JSON lines
`;

const run = promisify(execFile);
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    threads: { type: 'string' },
    budget: { type: 'string', default: '2' },
    rounds: { type: 'string' },
    against: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n\n${HELP}`);
  process.exit(2);
}

/** A process of ours or of the peer failed: its own words, and no results. */
function stop(party: string, name: string, error: unknown): never {
  const { stderr, message } = error as { stderr?: string; message: string };
  process.stderr.write(`\nbench: ${party} failed on ${name}: ${(stderr ?? '').trim() || message}\n`);
  process.exit(1);
}

function positive(name: string, text: string, integer = true): number {
  const value = Number(text);
  if (!(value > 0) || (integer && !Number.isInteger(value))) fail(`--${name}: expected a number above 0, got ${text}`);
  return value;
}

async function ours(name: string, threads: number, budget: number): Promise<Result> {
  const worker = fileURLToPath(new URL('worker.js', import.meta.url));
  const { stdout } = await run(process.execPath, [worker, name, String(threads), String(budget)]);
  return JSON.parse(stdout) as Result;
}

if (values.help === true) {
  process.stdout.write(HELP);
  process.exit(0);
}
const against = values.against;
if (against !== undefined && against !== 'torch') fail(`--against: expected torch, got ${against}`);
const names = (values.only ?? Object.keys(figures).join(','))
  .split(',')
  .flatMap((name) => (name === 'gemm' ? gemmNames : [name]));
for (const name of names)
  if (figures[name] === undefined && parseGemm(name) === undefined) fail(`unknown workload ${name}`);
const threads = (values.threads ?? (against === undefined ? String(availableParallelism()) : '1,2'))
  .split(',')
  .map((text) => positive('threads', text));
const budget = positive('budget', values.budget, false);
const rounds = positive('rounds', values.rounds ?? (against === undefined ? '1' : '3'));

function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
const peaks = new Map<number, number | undefined>();
const measurePeaks = async (): Promise<void> => {
  for (const n of threads) {
    say(`FMA peak, ${n} threads`);
    const peak = await fmaPeak(n);
    if (peak !== undefined) peaks.set(n, Math.max(peaks.get(n) ?? 0, peak));
  }
};

await measurePeaks();
const results: Result[] = [];
for (const name of names) {
  const found = new Map<string, Result[]>();
  for (let round = 0; round < rounds; round++) {
    for (const n of threads) {
      const parties = against === undefined || parseGemm(name) !== undefined ? [ours] : [ours, torch];
      for (const party of parties) {
        say(`${name}, ${n} threads, round ${round + 1} of ${rounds}: ${party.name}`);
        const key = `${party.name} ${n}`;
        const result = await party(name, n, budget).catch((error: unknown) => stop(party.name, name, error));
        found.set(key, [...(found.get(key) ?? []), result]);
      }
    }
  }
  for (const list of found.values()) results.push(best(list));
}
await measurePeaks();
say('');

const withPeaks = results.map((result): Result => {
  const peak = peaks.get(result.threads);
  return peak === undefined ? result : { ...result, fma_peak_gflops: peak };
});
const steps = withPeaks.filter((result) => result.step_ms_median !== undefined);
const kernels = withPeaks.filter((result) => result.ms_median !== undefined);
const peakText = [...peaks].map(([n, peak]) => `${peak?.toFixed(1) ?? '?'} GFLOP/s with ${n}`).join(', ');
process.stdout.write(`FMA peak by threads: ${peakText === '' ? 'not measured (no C++ compiler)' : peakText}\n`);
if (steps.length > 0) process.stdout.write(`\n${stepTable(steps)}\n`);
if (kernels.length > 0) process.stdout.write(`\n${kernelTable(kernels)}\n`);
if (values.json !== undefined) {
  await writeFile(values.json, withPeaks.map((result) => `${JSON.stringify(result)}\n`).join(''));
}
const wrong = steps.filter((result) => !lossesAgree(result));
for (const { name, lib, loss_first, loss_last } of wrong) {
  process.stderr.write(
    `bench: ${lib} ${name}: losses ${loss_first} and ${loss_last} are not ${figures[name]?.loss.join(' and ')}\n`,
  );
}
process.exitCode = wrong.length > 0 ? 1 : 0;
