import { show } from '../check.js';
import { ShapeError, ValueError } from '../errors.js';
import { page, renderSvg } from './plot.js';

/** What stands around the weights of {@link renderAttention}. */
export interface AttentionPictureOptions {
  /** A name for each column: what is looked at. */
  readonly source: readonly string[];
  /** A name for each row: what is written. */
  readonly target: readonly string[];
  readonly title?: string;
  readonly subtitle?: string;
}

const CELL = 30;
const MAX_CELLS = 250_000;

/**
 * Draws weights of attention as an SVG heat map: a row for each token that is written, a column for each that it can look at; the darker,
 * the more. Vega is loaded on the first call only.
 *
 * @param weights - (T, S), each row a distribution over the source.
 * @throws ShapeError where names and weights do not fit, ValueError where a weight is not in [0, 1].
 */
export async function renderAttention(
  weights: readonly (readonly number[])[],
  { source, target, title = 'Attention', subtitle }: AttentionPictureOptions,
): Promise<string> {
  const fn = 'renderAttention';
  const [rows, columns] = [target.length, source.length];
  if (rows * columns === 0 || rows * columns > MAX_CELLS)
    throw new ShapeError(`${fn}: expected 1 to ${MAX_CELLS} weights, got ${rows} × ${columns}`);
  const fits = weights.length === rows && weights.every((row) => row.length === columns);
  if (!fits)
    throw new ShapeError(
      `${fn}: expected weights of shape [${rows}, ${columns}], got [${weights.length}, ${weights[0]?.length ?? 0}]`,
    );
  const values = weights.flatMap((row, t) =>
    row.map((weight, s) => {
      if (!(weight >= 0 && weight <= 1.0001))
        throw new ValueError(`${fn}: expected weights in [0, 1], got ${show(weight)} at ${t}, ${s}`);
      return { t, s, weight };
    }),
  );
  // Names may repeat, so that places are numbers and names their labels.
  const axis = (names: readonly string[], more: object): object => ({
    title: null,
    labelExpr: `${JSON.stringify(names)}[datum.value]`,
    ticks: false,
    domain: false,
    labelPadding: 8,
    ...more,
  });
  const spec = page(title, subtitle, {
    width: CELL * columns,
    height: CELL * rows,
    data: { values },
    mark: { type: 'rect', stroke: '#ffffff', strokeWidth: 1 },
    encoding: {
      x: {
        field: 's',
        type: 'ordinal',
        axis: axis(source, { orient: 'top', labelAngle: source.some((name) => name.length > 2) ? -45 : 0 }),
      },
      y: { field: 't', type: 'ordinal', axis: axis(target, {}) },
      color: {
        field: 'weight',
        type: 'quantitative',
        scale: { domain: [0, 1], range: ['#f1f5f9', '#1f6feb'] },
        legend: { title: null, format: '~%', gradientLength: 120, tickCount: 3 },
      },
    },
  });
  return renderSvg(spec);
}
