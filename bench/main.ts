import { appendFileSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { catalogue, find } from './catalogue.js';
import { HELP, parseOptions, UsageError, type Options } from './options.js';
import { bandwidths, GBS, type Bandwidth, type MachineState } from './probe.js';
import { lossesAgree, type Result } from './result.js';
import { runSuite, type Report } from './runner.js';
import { aligned, GrowingTable, markdown, notes, reportText } from './table.js';

function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`bench: ${error.message}\n\n${HELP}`);
    return 2;
  }
  if (options.help || options.list) {
    process.stdout.write(
      options.help ? HELP : catalogue.map(({ kind, name }) => `${kind.padEnd(9)}  ${name}\n`).join(''),
    );
    return 0;
  }
  let report: Report;
  try {
    report = options.from.length > 0 ? await showReport(options) : await measureSuite(options);
  } catch (error) {
    say('');
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    return 1;
  }
  if (options.chart !== undefined) {
    const { renderChart } = await import('./chart.js');
    const cpu = cpus()[0]?.model.trim() ?? 'unknown processor';
    await writeFile(
      options.chart,
      await renderChart(report.results, `${cpu}, Node ${process.version}, float32, medians`),
    );
  }
  const wrong = report.results.filter((result) => !lossesAgree(result));
  for (const { name, lib, loss_first, loss_last } of wrong) {
    const entry = find(name);
    const wanted = entry === undefined || entry.kind === 'kernel' ? [] : entry.workload.check;
    process.stderr.write(
      `bench: ${lib} ${name}: got ${loss_first} and ${loss_last}, expected ${wanted.join(' and ')}\n`,
    );
  }
  for (const failure of report.failures) process.stderr.write(`bench: ${failure}\n`);
  return wrong.length + report.failures.length > 0 ? 1 : 0;
}

/** Runs the suite. Every line is printed and written as soon as it is there, so that a run cut short leaves what it has. */
async function measureSuite(options: Options): Promise<Report> {
  const { entries, against, json } = options;
  const layOut = options.markdown ? markdown : aligned;
  const names = entries.map(({ name }) => name);
  const table = new GrowingTable(names, against, layOut);
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once('SIGINT', end).once('SIGTERM', end);
  if (json !== undefined) writeFileSync(json, '');
  const done = (lines: readonly Result[], state: MachineState | undefined): void => {
    say('');
    process.stdout.write(table.add(lines));
    if (json !== undefined) appendFileSync(json, jsonLines(lines, state));
  };
  const report = await runSuite(options, { say, done }, stop.signal);
  say('');
  const { limits, disturbed } = notes(report.results, report.states, layOut);
  process.stdout.write(`\n${[limits, ...disturbed].join('\n\n')}\n`);
  return stop.signal.aborted ? { ...report, failures: ['stopped before the end'] } : report;
}

async function showReport(options: Options): Promise<Report> {
  const report = await readReport(options.from);
  const { results, states } = report;
  process.stdout.write(reportText(results, states, options.markdown ? markdown : aligned));
  if (options.json !== undefined)
    writeFileSync(options.json, results.map((result) => jsonLines([result], states.get(result.threads))).join(''));
  return report;
}

function jsonLines(results: readonly Result[], state: MachineState | undefined): string {
  const limits =
    state === undefined
      ? {}
      : { fma_peak_gflops: state.gflops, ...Object.fromEntries(GBS.map((kind) => [`${kind}_gbs`, state.gbs[kind]])) };
  return results.map((result) => `${JSON.stringify({ ...result, ...limits })}\n`).join('');
}

/** Runs that were written as JSON lines, as one; where they tell of the same thing the last counts. */
async function readReport(files: readonly string[]): Promise<Report> {
  const results = new Map<string, Result>();
  const states = new Map<number, MachineState>();
  for (const file of files) {
    for (const line of (await readFile(file, 'utf8')).split('\n').filter(Boolean)) {
      const result = JSON.parse(line) as Result & Record<'fma_peak_gflops' | `${Bandwidth}_gbs`, number>;
      results.set(`${result.name} ${result.threads} ${result.lib}`, result);
      const { threads, fma_peak_gflops: gflops } = result;
      if (gflops === undefined) continue;
      states.set(threads, { gflops, gbs: bandwidths((kind) => result[`${kind}_gbs`]), cacheBytes: NaN });
    }
  }
  const order = new Map(catalogue.map(({ name }, i) => [name, i]));
  const place = ({ name }: Result): number => order.get(name) ?? catalogue.length;
  const sorted = [...results.values()].sort((a, b) => place(a) - place(b) || a.threads - b.threads);
  return { results: sorted, states, failures: [] };
}

process.exitCode = await main();
