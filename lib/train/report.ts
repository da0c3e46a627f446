import type { TopLevelSpec } from 'vega-lite';
import type { EpochRecord } from './record.js';
import { curvesOf, quantitiesOf } from './record.js';
import { ValueError } from '../errors.js';
import { INK, page, QUIET, renderSvg, type Panel } from './plot.js';

/** What stands around the curves of a report. */
export interface ReportOptions {
  /** First line: the run's name. */
  title: string;
  /** Second line, smaller: model, data set, optimizer, figures. */
  subtitle?: string;
}

const WIDTH = 430;
const HEIGHT = 270;
const COLOURS = { train: '#e08a1e', test: '#1f6feb' } as const;

/**
 * Draws loss and every metric over the epochs as one SVG picture, a panel each, train and test in two colours with
 * their final figures at the ends of the lines. Vega is loaded on the first call only.
 *
 * @param records - at least one epoch.
 * @throws ValueError if there is no record.
 */
export async function renderReport(records: readonly EpochRecord[], options: ReportOptions): Promise<string> {
  if (records.length === 0) throw new ValueError('renderReport: expected at least one record, got none');
  return renderSvg(reportSpec(records, options));
}

/** The Vega-Lite specification behind {@link renderReport}: one panel a quantity, side by side. */
function reportSpec(records: readonly EpochRecord[], { title, subtitle }: ReportOptions): TopLevelSpec {
  const hconcat = quantitiesOf(records).map((quantity) => panel(records, quantity));
  return page(title, subtitle, { hconcat, bounds: 'flush', spacing: 176 });
}

interface Point {
  epoch: number;
  value: number;
  curve: string;
}

function panel(records: readonly EpochRecord[], quantity: string): Panel {
  const names = curvesOf(records, quantity);
  const points: Point[] = [];
  for (const record of records) {
    for (const name of names) {
      const value = record[name];
      if (value !== undefined && Number.isFinite(value))
        points.push({ epoch: record.epoch, value, curve: curveOf(name) });
    }
  }
  const percent = isShare(quantity);
  const domain = valueDomain(points, percent);
  const first = records[0]?.epoch ?? 0;
  const last = records.at(-1)?.epoch ?? first;
  const colour = {
    field: 'curve',
    type: 'nominal',
    scale: { domain: Object.keys(COLOURS), range: Object.values(COLOURS) },
    legend: null,
  };
  const x = {
    field: 'epoch',
    type: 'quantitative',
    scale: { domain: last > first ? [first, last] : [first - 1, first + 1], nice: false },
    axis: {
      title: 'epoch',
      grid: false,
      format: 'd',
      tickMinStep: 1,
      tickCount: 6,
      domain: true,
      domainColor: '#cbd2d9',
    },
  };
  const y = {
    field: 'value',
    type: 'quantitative',
    scale: { domain, zero: false, nice: false },
    axis: { title: null, tickCount: 6, format: percent ? '~%' : '~g' },
  };
  const ends = endLabels(points, domain, percent);
  return {
    width: WIDTH,
    height: HEIGHT,
    layer: [
      heading(capitalised(quantity), -50, { fontSize: 14, fontWeight: 600, color: INK }),
      heading(bestLine(points, quantity, percent), -31, { fontSize: 12, color: QUIET }),
      {
        data: { values: points },
        mark: { type: 'line', strokeWidth: 2.25, strokeJoin: 'round', strokeCap: 'round', clip: true },
        encoding: { x, y, color: colour },
      },
      {
        data: { values: ends },
        mark: { type: 'point', filled: true, size: 46, opacity: 1, stroke: '#ffffff', strokeWidth: 1.5 },
        encoding: { x, y, color: colour },
      },
      {
        data: { values: ends },
        mark: { type: 'text', align: 'left', baseline: 'middle', dx: 10, fontSize: 12, fontWeight: 600 },
        encoding: { x, y: { ...y, field: 'at' }, text: { field: 'label', type: 'nominal' }, color: colour },
      },
    ],
  };
}

/** Words above a panel, `y` pixels from its top; a mark and not a title, so that panels align whatever their axes need. */
function heading(text: string, y: number, style: Record<string, unknown>): Panel {
  return {
    data: { values: [{}] },
    mark: { type: 'text', text, align: 'left', baseline: 'middle', clip: false, ...style },
    encoding: { x: { value: -40 }, y: { value: y } },
  };
}

/** The last point of each curve with its label; labels closer than a line's height are pushed apart, order kept. */
function endLabels(
  points: readonly Point[],
  domain: [number, number],
  percent: boolean,
): (Point & { at: number; label: string })[] {
  const ends = Object.keys(COLOURS)
    .map((curve) => points.filter((point) => point.curve === curve).at(-1))
    .filter((point) => point !== undefined)
    .map((point) => ({ ...point, at: point.value, label: `${point.curve} ${figure(point.value, percent)}` }))
    .sort((a, b) => a.value - b.value);
  const [lower, upper] = ends;
  const apart = ((domain[1] - domain[0]) * 16) / HEIGHT;
  if (lower !== undefined && upper !== undefined && upper.at - lower.at < apart) {
    const middle = Math.min(Math.max((upper.at + lower.at) / 2, domain[0] + apart / 2), domain[1] - apart / 2);
    lower.at = middle - apart / 2;
    upper.at = middle + apart / 2;
  }
  return ends;
}

function valueDomain(points: readonly Point[], percent: boolean): [number, number] {
  if (points.length === 0) return [0, 1];
  let low = Infinity;
  let high = -Infinity;
  for (const { value } of points) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const margin = Math.max((high - low) * 0.06, Math.abs(high) * 1e-3, 1e-9);
  if (percent) return [Math.max(0, low - margin), Math.min(1, high + margin)];
  return [low >= 0 && low < 0.35 * high ? 0 : low - margin, high + margin];
}

function bestLine(points: readonly Point[], quantity: string, percent: boolean): string {
  const curve = points.some((point) => point.curve === 'test') ? 'test' : 'train';
  const higher = quantity !== 'loss' && percent;
  let best: Point | undefined;
  for (const point of points) {
    if (point.curve !== curve) continue;
    if (best === undefined || (higher ? point.value > best.value : point.value < best.value)) best = point;
  }
  if (best === undefined) return 'no finite value';
  return `${higher ? 'best' : 'lowest'} ${curve} ${quantity} ${figure(best.value, percent)} at epoch ${best.epoch}`;
}

const isShare = (quantity: string): boolean => /accuracy|precision|recall|f1/.test(quantity);
const curveOf = (name: string): string => name.slice(0, name.indexOf('_'));
const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1).replaceAll('_', ' ');
const figure = (value: number, percent: boolean): string =>
  percent ? `${(value * 100).toFixed(2)} %` : value >= 100 ? value.toFixed(1) : value.toPrecision(4);
