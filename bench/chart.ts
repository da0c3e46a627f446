import { INK, page, type Panel, QUIET, renderSvg } from '#plot';
import type { TopLevelSpec } from 'vega-lite';
import { find } from './catalogue.js';
import { medianMs, OURS, type Result } from './result.js';
import { ms } from './table.js';

const LIMIT = 'limit of the machine';
const OUR_COLOUR = '#1f6feb';
const LIMIT_COLOUR = '#9aa5b1';
const PEER_COLOURS = ['#e08a1e', '#2f9e6e', '#b5478f', '#7a5cd6', '#8d6e3f'];
const ROW = 21;
const WIDTH = 330;

/** One mark: how long a library takes, as a multiple of our time. */
export interface Point {
  readonly name: string;
  readonly kind: string;
  readonly threads: string;
  readonly lib: string;
  /** 1 is our time; smaller is faster. */
  readonly times: number;
  /** Our time, spelt out. */
  readonly label: string;
}

/** What the picture shows: for each entry and number of threads ours, the limit and every peer. */
export function chartPoints(results: readonly Result[]): Point[] {
  return results
    .filter((result) => result.lib === OURS)
    .flatMap((ours) => {
      const own = medianMs(ours);
      const common = {
        name: ours.name,
        kind: find(ours.name)?.kind ?? 'kernel',
        threads: ours.threads === 1 ? '1 thread' : `${ours.threads} threads`,
        label: own < 0.01 ? `${(own * 1e3).toFixed(2)} µs` : `${ms(own)} ms`,
      };
      const points: Point[] = [{ ...common, lib: OURS, times: 1 }];
      // Work that arithmetic and memory do not bound has a limit that says nothing.
      if (ours.limit_ms !== undefined && ours.limit_ms > own / 100)
        points.push({ ...common, lib: LIMIT, times: ours.limit_ms / own });
      for (const peer of results) {
        if (peer.lib === OURS || peer.name !== ours.name || peer.threads !== ours.threads) continue;
        points.push({ ...common, lib: peer.lib, times: peer.ratio_median ?? medianMs(peer) / own });
      }
      return points;
    });
}

/** Draws a run as SVG: a row an entry, a column a number of threads, times relative to ours. */
export function renderChart(results: readonly Result[], subtitle: string): Promise<string> {
  return renderSvg(chartSpec(chartPoints(results), subtitle));
}

function chartSpec(points: readonly Point[], subtitle: string): TopLevelSpec {
  const kinds = ['kernel', 'training', 'inference'].filter((kind) => points.some((point) => point.kind === kind));
  const libs = [...new Set(points.map((point) => point.lib))].filter((lib) => lib !== OURS && lib !== LIMIT);
  const domain = [OURS, ...libs, LIMIT];
  const range = [OUR_COLOUR, ...libs.map((_, i) => PEER_COLOURS[i % PEER_COLOURS.length] ?? QUIET), LIMIT_COLOUR];
  const times = points.map((point) => point.times);
  const x = {
    field: 'times',
    type: 'quantitative',
    scale: { type: 'log', domain: [Math.min(0.5, ...times) / 1.1, Math.max(2, ...times) * 1.1], nice: false },
    axis: { title: 'time as a multiple of ours (to the right: slower)', format: '~g', tickCount: 6 },
  };
  const colour = { field: 'lib', type: 'nominal', scale: { domain, range }, legend: null };
  const rows = kinds.map((kind) => {
    const ofKind = points.filter((point) => point.kind === kind);
    const threads = [...new Set(ofKind.map((point) => point.threads))];
    return { hconcat: threads.map((each, column) => panel(kind, each, ofKind, column, x, colour)), spacing: 34 };
  });
  return page('Myelin beside the machine’s limits and its peers', subtitle, {
    vconcat: [key(domain, range), ...rows],
    spacing: 30,
  });
}

/** Which colour is whom, in one line. */
function key(domain: readonly string[], range: readonly string[]): Panel {
  let at = 0;
  const entries = domain.map((lib, i) => {
    const entry = { lib, at, colour: range[i] };
    at += 34 + lib.length * 7.2;
    return entry;
  });
  const place = { x: { field: 'at', type: 'quantitative', scale: null, axis: null }, y: { value: 8 } };
  const fill = { color: { field: 'colour', type: 'nominal', scale: null } };
  return {
    data: { values: entries },
    width: at,
    height: 16,
    layer: [
      { mark: { type: 'point', filled: true, size: 80, opacity: 1 }, encoding: { ...place, ...fill } },
      {
        mark: { type: 'text', align: 'left', baseline: 'middle', dx: 10, fontSize: 12.5, color: INK },
        encoding: { ...place, text: { field: 'lib' } },
      },
    ],
  };
}

function panel(
  kind: string,
  threads: string,
  points: readonly Point[],
  column: number,
  x: Panel,
  colour: Panel,
): Panel {
  const order = [...new Set(points.map((point) => point.name))];
  const y = {
    field: 'name',
    type: 'nominal',
    sort: order,
    scale: { domain: order },
    axis: {
      title: null,
      labels: column === 0,
      labelLimit: 260,
      labelColor: INK,
      grid: true,
    },
  };
  const own = points.filter((point) => point.threads === threads);
  const ours = own.filter((point) => point.lib === OURS);
  return {
    title: { text: `${kind}, ${threads}`, anchor: 'start', fontSize: 13, fontWeight: 600, offset: 10 },
    width: WIDTH,
    height: { step: ROW },
    layer: [
      {
        data: { values: [{ times: 1 }] },
        mark: { type: 'rule', color: OUR_COLOUR, strokeWidth: 1.5, opacity: 0.35 },
        encoding: { x },
      },
      {
        data: { values: own.filter((point) => point.lib === LIMIT) },
        mark: { type: 'tick', thickness: 3, size: 13, opacity: 1 },
        encoding: { x, y, color: colour },
      },
      {
        data: { values: own.filter((point) => point.lib !== LIMIT) },
        mark: { type: 'point', filled: true, size: 62, opacity: 0.95, stroke: '#ffffff', strokeWidth: 1 },
        encoding: { x, y, color: colour },
      },
      {
        data: { values: ours },
        mark: { type: 'text', align: 'left', baseline: 'middle', dx: 8, fontSize: 11, color: QUIET },
        encoding: { x: { value: WIDTH }, y, text: { field: 'label', type: 'nominal' } },
      },
    ],
  };
}
