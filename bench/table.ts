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

/** Our lines of one kind beside the limits and beside each peer. */
function table(results: readonly Result[], kind: string): Row[] | undefined {
  const ofKind = results.filter((result) => find(result.name)?.kind === kind);
  const ours = ofKind.filter((result) => result.lib === OURS);
  if (ours.length === 0) return undefined;
  const libs = [...new Set(ofKind.map((result) => result.lib))].filter((lib) => lib !== OURS);
  const kernels = kind === 'kernel';
  const header = [kind, 'threads', 'median ms', 'min ms', kernels ? 'best rate' : 'samples/s', 'limit ms', 'of limit'];
  if (!kernels) header.push('peak MB', 'check');
  for (const lib of libs) header.push(`${lib} ms`, 'ratio', ...(kernels ? [] : ['peak MB']));
  const rows = ours.map((result): Row => {
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
    for (const lib of libs) {
      const peer = ofKind.find((other) => other.lib === lib && other.name === name && other.threads === threads);
      row.push(...(peer === undefined ? [NONE, NONE] : [ms(medianMs(peer)), ratio(peer)]));
      if (!kernels) row.push(peer?.peak_rss_mb?.toFixed(0) ?? NONE);
    }
    return row;
  });
  return [header, ...rows];
}

/** The whole report as text. A ratio above 1 means that we are faster; an asterisk that the machine was never calm. */
export function reportText(
  results: readonly Result[],
  states: ReadonlyMap<number, MachineState>,
  layOut: (rows: readonly Row[]) => string,
): string {
  const machine = [...states].map(([threads, { gflops, gbs }]): Row => [
    'limits',
    String(threads),
    `${gflops.toFixed(1)} GFLOP/s`,
    `${gbs.cache.toFixed(0)} GB/s`,
    ...(['read', 'copy', 'write', 'memory'] as const).map((kind) => `${gbs[kind].toFixed(1)} GB/s`),
  ]);
  const parts = [
    machine.length === 0
      ? 'Limits: not measured (no C++ compiler)'
      : layOut([['measured', 'threads', 'multiply-add', 'last cache', 'read', 'copy', 'write', 'memory'], ...machine]),
    ...['kernel', 'training', 'inference'].flatMap((kind) => {
      const rows = table(results, kind);
      return rows === undefined ? [] : [layOut(rows)];
    }),
  ];
  const disturbed = results.some((result) => result.rounds !== undefined && result.disturbed === result.rounds);
  if (disturbed) parts.push('* the machine was slower than at its best around every round of this line');
  return `${parts.join('\n\n')}\n`;
}
