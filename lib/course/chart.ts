import type { TopLevelSpec } from 'vega-lite';
import { INK, page, QUIET, type Panel } from '../train/plot.js';
import { pngUrl } from './png.js';

/** A named curve or cloud of points. */
export interface Series {
  readonly name: string;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  /** `line` (the default), `points`, `steps`, or `both` lines and points. */
  readonly as?: 'line' | 'points' | 'steps' | 'both';
  /** Dashes for what is known beforehand. */
  readonly dashed?: boolean;
}

/** Axes and size of a panel. */
export interface PanelOptions {
  readonly title: string;
  readonly x?: string;
  readonly y?: string;
  readonly logX?: boolean;
  readonly logY?: boolean;
  readonly domainX?: readonly [number, number];
  readonly domainY?: readonly [number, number];
  readonly width?: number;
  readonly height?: number;
}

const PALETTE = [
  '#1f6feb',
  '#e08a1e',
  '#2f9e62',
  '#c2417c',
  '#7a5af0',
  '#0f9fb3',
  '#a06a3c',
  '#616e7c',
  '#b8860b',
  '#d64545',
];
/** Most points of a curve that are drawn. */
const POINTS = 600;

const heading = (text: string) => ({ text, anchor: 'start', fontSize: 14, fontWeight: 600, color: INK, offset: 10 });

function axis(
  title: string | undefined,
  log: boolean | undefined,
  domain: readonly [number, number] | undefined,
): Panel {
  return {
    type: 'quantitative',
    scale: { zero: false, nice: false, ...(log === true ? { type: 'log' } : {}), ...(domain ? { domain } : {}) },
    axis: { title: title ?? null, tickCount: 6, ...(log === true ? { format: '~e' } : {}) },
  };
}

/** A panel of curves and points over numbers. */
export function plot(series: readonly Series[], options: PanelOptions): Panel {
  const { title, width = 360, height = 260 } = options;
  const cloud = series.every(({ as }) => as === 'points');
  const clip = options.domainX !== undefined || options.domainY !== undefined;
  const symbol = cloud
    ? { symbolType: 'circle', symbolStrokeWidth: 4 }
    : { symbolType: 'stroke', symbolStrokeWidth: 2.5 };
  const names = series.map(({ name }) => name);
  const color = {
    field: 'name',
    type: 'nominal',
    scale: { domain: names, range: names.map((_, i) => PALETTE[i % PALETTE.length]) },
    legend: names.length > 1 ? { title: null, orient: 'bottom', columns: 3, labelColor: QUIET, ...symbol } : null,
  };
  const x = { field: 'x', ...axis(options.x, options.logX, options.domainX) };
  const y = { field: 'y', ...axis(options.y, options.logY, options.domainY) };
  const layer = series.flatMap(({ name, x: xs, y: ys, as = 'line', dashed = false }) => {
    const stride = as === 'line' ? Math.max(1, Math.floor(xs.length / POINTS)) : 1;
    const values: { x: number; y: number; name: string }[] = [];
    for (let i = 0; i < xs.length; i += stride) {
      const [a, b] = [xs[i]!, ys[i]!];
      const drawn = Number.isFinite(a) && Number.isFinite(b) && !(options.logX && a <= 0) && !(options.logY && b <= 0);
      if (drawn) values.push({ x: a, y: b, name });
    }
    const encoding = { x, y, color, order: { field: 'i' } };
    const marks: Panel[] = [];
    if (as !== 'points') {
      const interpolate = as === 'steps' ? 'step-after' : 'linear';
      const dash = dashed ? { strokeDash: [5, 4] } : {};
      marks.push({ type: 'line', strokeWidth: 2, interpolate, clip, aria: false, ...dash });
    }
    if (as === 'points' || as === 'both')
      marks.push({ type: 'point', filled: true, size: 26, opacity: 0.85, clip, aria: false });
    return marks.map((mark) => ({ data: { values: values.map((v, i) => ({ ...v, i })) }, mark, encoding }));
  });
  return { width, height, title: heading(title), layer };
}

/** Pixels of a picture: `at(x, y)` gives a number, or red, green and blue from 0 to 255. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly at: (x: number, y: number) => number | readonly [number, number, number];
}

/** What numbers of a {@link Raster} look like: `grey` from black to white, `signed` blue over white to orange about 0. */
export interface RasterOptions {
  readonly colours?: 'grey' | 'signed';
  /** The numbers at the ends of the scale; by default the extremes. */
  readonly range?: readonly [number, number];
}

/** Numbers that separate pictures in {@link tiles}; white. */
const GAP = NaN;

const BLUE = [31, 111, 235] as const;
const ORANGE = [224, 138, 30] as const;

function colour(value: number, low: number, high: number, signed: boolean): [number, number, number] {
  if (!Number.isFinite(value)) return [255, 255, 255];
  if (!signed) {
    const grey = Math.round((255 * (Math.min(Math.max(value, low), high) - low)) / (high - low || 1));
    return [grey, grey, grey];
  }
  const far = Math.min(1, Math.abs(value) / (Math.max(Math.abs(low), Math.abs(high)) || 1));
  const end = value < 0 ? BLUE : ORANGE;
  return end.map((c) => Math.round(255 + far * (c - 255))) as [number, number, number];
}

/** Pixels that an image has at least a side, so that viewers do not blur it. */
const SHARP = 240;

/** A raster as the URL of an image. */
function rasterUrl({ width, height, at }: Raster, { colours = 'grey', range }: RasterOptions): string {
  const values = Array.from({ length: width * height }, (_, i) => at(i % width, Math.floor(i / width)));
  let [low, high] = range ?? [Infinity, -Infinity];
  if (range === undefined) {
    for (const value of values) {
      if (typeof value !== 'number' || !Number.isFinite(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  const zoom = Math.ceil(SHARP / Math.min(width, height));
  const rgb = new Uint8Array(3 * zoom * zoom * values.length);
  values.forEach((value, i) => {
    const pixel = typeof value === 'number' ? colour(value, low, high, colours === 'signed') : value;
    const [x, y] = [zoom * (i % width), zoom * Math.floor(i / width)];
    for (let k = 0; k < zoom * zoom; k++) {
      rgb.set(pixel, 3 * ((y + Math.floor(k / zoom)) * zoom * width + x + (k % zoom)));
    }
  });
  return pngUrl(rgb, zoom * width, zoom * height);
}

/** A picture by itself, each of its pixels `scale` units wide. */
export function picture(
  raster: Raster,
  title: string,
  { scale = 2, ...options }: RasterOptions & { readonly scale?: number } = {},
): Panel {
  const [width, height] = [raster.width * scale, raster.height * scale];
  return {
    width,
    height,
    title: heading(title),
    layer: [image(rasterUrl(raster, options), blank, blank, { width, height })],
  };
}

/** A field of numbers over a plane, under points of classes. The raster's row 0 is at the top of the domain. */
export function field(raster: Raster, points: readonly Series[], options: PanelOptions & RasterOptions): Panel {
  const { domainX = [0, 1], domainY = [0, 1], width = 260, height = 260 } = options;
  const over = plot(points, { ...options, domainX, domainY, width, height });
  return {
    ...over,
    layer: [
      image(rasterUrl(raster, options), axis(options.x, false, domainX), axis(options.y, false, domainY), {
        width,
        height,
      }),
      ...(over.layer as Panel[]),
    ],
  };
}

/** The axis of a picture without one. */
const blank: Panel = { type: 'quantitative', scale: { domain: [0, 1], nice: false }, axis: null };

/** The image over the whole of both axes. */
function image(url: string, x: Panel, y: Panel, size: { width: number; height: number }): Panel {
  const middle = ({ scale }: Panel): number => {
    const [low, high] = (scale as { domain: readonly [number, number] }).domain;
    return (low + high) / 2;
  };
  return {
    data: { values: [{ x: middle(x), y: middle(y), url }] },
    mark: { type: 'image', align: 'center', baseline: 'middle', aspect: false, aria: false, ...size },
    encoding: { x: { field: 'x', ...x }, y: { field: 'y', ...y }, url: { field: 'url', type: 'nominal' } },
  };
}

/** Pictures of side `side` in `columns`, each a row-major list of numbers, with gaps between them. */
export function tiles(pictures: readonly ArrayLike<number>[], side: number, columns: number): Raster {
  const step = side + 1;
  const rows = Math.ceil(pictures.length / columns);
  return {
    width: columns * step - 1,
    height: rows * step - 1,
    at(x, y) {
      const tile = pictures[Math.floor(y / step) * columns + Math.floor(x / step)];
      const [i, j] = [x % step, y % step];
      return tile === undefined || i === side || j === side ? GAP : tile[j * side + i]!;
    },
  };
}

/** A page of panels. */
export function sheet(title: string, subtitle: string, panels: readonly Panel[], columns = 3): TopLevelSpec {
  const independent = {
    scale: { color: 'independent', x: 'independent', y: 'independent' },
    legend: { color: 'independent' },
  };
  return page(title, subtitle, { concat: panels, columns, spacing: { row: 40, column: 50 }, resolve: independent });
}
