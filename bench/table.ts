import { figures } from './figures.js';
import { lossesAgree, type Result } from './result.js';

type Row = readonly string[];

/** Columns aligned: the first to the left, the others to the right. */
function aligned(rows: readonly Row[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const cell = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  const lines = rows.map((row) => row.map(cell).join('  ').trimEnd());
  lines.splice(1, 0, '─'.repeat(widths.reduce((a, b) => a + b + 2, -2)));
  return lines.join('\n');
}

const ms = (value: number | undefined): string =>
  value === undefined || !Number.isFinite(value) ? '–' : value < 1 ? value.toFixed(4) : value.toFixed(3);

/**
 * Step times beside the time that the matrix products alone would take at the machine's peak, and beside the peer at its best
 * number of threads: a ratio above 1 means that we are faster.
 */
export function stepTable(results: readonly Result[]): string {
  const peers = results.filter((result) => result.lib !== 'myelin');
  const header = ['workload', 'threads', 'median ms', 'min ms', 'rows/s', 'limit ms', 'of limit', 'peak MB', 'losses'];
  if (peers.length > 0) header.push(peers[0]?.lib ?? 'peer', 'ratio');
  const rows = results
    .filter((result) => result.lib === 'myelin')
    .map((result): Row => {
      const {
        name,
        threads,
        step_ms_median: median = NaN,
        step_ms_min,
        samples_per_s: rate = NaN,
        fma_peak_gflops: peak,
      } = result;
      const limit = peak === undefined ? undefined : (figures[name]?.flops ?? 0) / peak / 1e6;
      const row = [
        name,
        String(threads),
        ms(median),
        ms(step_ms_min),
        Math.round(rate).toLocaleString('en-US'),
        ms(limit),
        limit === undefined ? '–' : `${((limit / median) * 100).toFixed(1)} %`,
        String(result['peak_rss_mb'] ?? '–'),
        lossesAgree(result) ? 'ok' : 'WRONG',
      ];
      if (peers.length > 0) {
        const anchor = Math.min(
          ...peers.filter((peer) => peer.name === name).map((peer) => peer.step_ms_median ?? Infinity),
        );
        row.push(ms(anchor), Number.isFinite(anchor) ? `${(anchor / median).toFixed(2)}×` : '–');
      }
      return row;
    });
  return aligned([header, ...rows]);
}

/** Rates of kernels beside the peak. */
export function kernelTable(results: readonly Result[]): string {
  const rows = results.map(
    ({ name, threads, ms_median, ms_min, gflops_best: rate = NaN, fma_peak_gflops: peak }): Row => [
      name,
      String(threads),
      ms(ms_median),
      ms(ms_min),
      rate.toFixed(1),
      peak === undefined ? '–' : `${((rate / peak) * 100).toFixed(1)} %`,
    ],
  );
  return aligned([['kernel', 'threads', 'median ms', 'min ms', 'GFLOP/s', 'of peak'], ...rows]);
}
