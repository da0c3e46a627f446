import { find } from './catalogue.js';
import type { MachineState } from './probe.js';
import { lossesAgree, medianMs, OURS, type Result } from './result.js';

type Row = readonly string[];

/** Columns aligned: the first to the left, the others to the right, a rule below the first row. */
export function aligned(rows: readonly Row[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const cell = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  const lines = rows.map((row) => row.map(cell).join('  ').trimEnd());
  lines.splice(1, 0, '─'.repeat(widths.reduce((a, b) => a + b + 2, -2)));
  return lines.join('\n');
}

/** The same as a table of Markdown. */
export function markdown(rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const [header = [], ...rest] = rows;
  return [line(header), line(header.map((_, column) => (column === 0 ? '---' : '---:'))), ...rest.map(line)].join('\n');
}

const NONE = '–';

/** Milliseconds with three or four digits that say something. */
export function ms(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return NONE;
  return value >= 100 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toPrecision(3);
}

const percent = (share: number): string => (Number.isFinite(share) ? `${(share * 100).toFixed(0)} %` : NONE);

/** The median ratio of the pairs, and the least and the greatest: `1.43 (1.38–1.50)`, marked when no pair was undisturbed. */
export function ratio({ ratio_median: middle, ratio_low, ratio_high, pairs = 0, rounds, disturbed }: Result): string {
  if (middle === undefined) return NONE;
  const digits = middle >= 10 ? 1 : 2;
  const spread = pairs > 1 ? ` (${ratio_low?.toFixed(digits)}–${ratio_high?.toFixed(digits)})` : '';
  return `${middle.toFixed(digits)}${spread}${disturbed === rounds ? ' *' : ''}`;
}

/** A rate of a kernel in the unit that bounds it, or the time of a call where nothing does. */
function rate(result: Result): string {
  if (result.gflops_best !== undefined) return `${result.gflops_best.toFixed(1)} GFLOP/s`;
  if (result.gbs_best !== undefined) return `${result.gbs_best.toFixed(1)} GB/s`;
  return `${((result.ms_median ?? NaN) * 1e3).toFixed(2)} µs`;
}

const least = (result: Result): number => result.step_ms_min ?? result.ms_min ?? NaN;

/** The heads of a table's columns: ours, then those of each peer. */
function heads(kind: string, libs: readonly string[]): Row {
  const kernels = kind === 'kernel';
  const header = [kind, 'threads', 'median ms', 'min ms', kernels ? 'best rate' : 'samples/s', 'limit ms', 'of limit'];
  if (!kernels) header.push('peak MB', 'check');
  for (const lib of libs) header.push(`${lib} ms`, 'ratio', ...(kernels ? [] : ['peak MB']));
  return header;
}

/** One line of ours beside the limits and beside each peer's, where it has one. */
function cells(kind: string, result: Result, peers: readonly (Result | undefined)[]): Row {
  const kernels = kind === 'kernel';
  const { name, threads, limit_ms: limit, samples_per_s: samples = NaN } = result;
  const row = [
    name,
    String(threads),
    ms(medianMs(result)) + (result.disturbed === result.rounds ? ' *' : ''),
    ms(least(result)),
    kernels ? rate(result) : samples.toLocaleString('en-US', { maximumFractionDigits: samples < 100 ? 1 : 0 }),
    ms(limit),
    limit === undefined ? NONE : percent(limit / (kernels ? least(result) : medianMs(result))),
  ];
  if (!kernels) row.push(result.peak_rss_mb?.toFixed(0) ?? NONE, lossesAgree(result) ? 'ok' : 'WRONG');
  for (const peer of peers) {
    row.push(...(peer === undefined ? [NONE, NONE] : [ms(medianMs(peer)), ratio(peer)]));
    if (!kernels) row.push(peer?.peak_rss_mb?.toFixed(0) ?? NONE);
  }
  return row;
}

/** Our lines of one kind. */
function table(results: readonly Result[], kind: string): Row[] | undefined {
  const ofKind = results.filter((result) => find(result.name)?.kind === kind);
  const ours = ofKind.filter((result) => result.lib === OURS);
  if (ours.length === 0) return undefined;
  const libs = [...new Set(ofKind.map((result) => result.lib))].filter((lib) => lib !== OURS);
  const rows = ours.map((result) => {
    const { name, threads } = result;
    const beside = libs.map((lib) =>
      ofKind.find((peer) => peer.lib === lib && peer.name === name && peer.threads === threads),
    );
    return cells(kind, result, beside);
  });
  return [heads(kind, libs), ...rows];
}

/** The limits of the machine, and what an asterisk means if there is one. */
export function notes(
  results: readonly Result[],
  states: ReadonlyMap<number, MachineState>,
  layOut: (rows: readonly Row[]) => string,
): { limits: string; disturbed: string[] } {
  const machine = [...states].map(([threads, { gflops, gbs }]): Row => [
    'limits',
    String(threads),
    `${gflops.toFixed(1)} GFLOP/s`,
    `${gbs.cache.toFixed(0)} GB/s`,
    ...(['read', 'copy', 'write', 'memory'] as const).map((kind) => `${gbs[kind].toFixed(1)} GB/s`),
  ]);
  const limits =
    machine.length === 0
      ? 'Limits: not measured (no C++ compiler)'
      : layOut([['measured', 'threads', 'multiply-add', 'last cache', 'read', 'copy', 'write', 'memory'], ...machine]);
  const disturbed = results.some((result) => result.rounds !== undefined && result.disturbed === result.rounds);
  return {
    limits,
    disturbed: disturbed ? ['* the machine was slower than at its best around every round of this line'] : [],
  };
}

/** The whole report as text. A ratio above 1 means that we are faster; an asterisk that the machine was never calm. */
export function reportText(
  results: readonly Result[],
  states: ReadonlyMap<number, MachineState>,
  layOut: (rows: readonly Row[]) => string,
): string {
  const { limits, disturbed } = notes(results, states, layOut);
  const parts = ['kernel', 'training', 'inference'].flatMap((kind) => {
    const rows = table(results, kind);
    return rows === undefined ? [] : [layOut(rows)];
  });
  return `${[limits, ...parts, ...disturbed].join('\n\n')}\n`;
}

/** A table whose lines come one after the other: columns are as wide as what may come, and a new head stands where the kind changes. */
export class GrowingTable {
  #kind = '';
  #libs: readonly string[] = [];

  /** @param peers - names under which the peers' lines may come, or the beginnings of those: `onednn` for `onednn2.6` */
  constructor(
    private readonly names: readonly string[],
    private readonly peers: readonly string[],
    private readonly layOut: (rows: readonly Row[]) => string,
  ) {}

  /** What to print for these lines: ours and the peers' of one entry and number of threads. */
  add(lines: readonly Result[]): string {
    const ours = lines.find(({ lib }) => lib === OURS);
    if (ours === undefined) return '';
    const kind = find(ours.name)?.kind ?? 'kernel';
    const beside = this.peers.map((peer) => lines.find(({ lib }) => lib !== OURS && lib.startsWith(peer)));
    const first = kind !== this.#kind;
    if (first) {
      this.#libs = this.peers.map((peer, i) => beside[i]?.lib ?? peer);
      this.#kind = kind;
    }
    const head = heads(kind, this.#libs);
    const widest = head.map((text, i) => {
      const name = i === 0 ? Math.max(...this.names.map(({ length }) => length)) : 0;
      const number = text === 'ratio' ? '1.23 (1.12–1.34) *' : text === 'best rate' ? '123.4 GFLOP/s' : '1234.5 *';
      return ' '.repeat(Math.max(name, i > 1 ? number.length : 0));
    });
    const text = this.layOut([head, cells(kind, ours, beside), widest])
      .split('\n')
      .slice(0, -1);
    return `${(first ? text : text.slice(-1)).join('\n')}\n`;
  }
}
