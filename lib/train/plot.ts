import type { TopLevelSpec } from 'vega-lite';

/** Colours and typefaces of every picture that the library draws. */
export const INK = '#1f2933';
export const QUIET = '#616e7c';
const GRID = '#e8ecf0';
const FONT = 'Inter, "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif';

/** A part of a Vega-Lite specification. */
export type Panel = Record<string, unknown>;

/** A white page with a title, and a smaller second line, over what `content` holds (`hconcat`, `concat`, …). */
export function page(title: string, subtitle: string | undefined, content: Panel): TopLevelSpec {
  return {
    background: '#ffffff',
    padding: 26,
    title: {
      text: title,
      ...(subtitle === undefined ? {} : { subtitle }),
      anchor: 'start',
      frame: 'bounds',
      offset: 30,
      fontSize: 20,
      fontWeight: 600,
      subtitleFontSize: 13,
      subtitlePadding: 7,
    },
    ...content,
    config: {
      font: FONT,
      view: { stroke: null },
      title: { color: INK, subtitleColor: QUIET },
      axis: {
        labelColor: QUIET,
        titleColor: QUIET,
        labelFontSize: 11.5,
        titleFontSize: 12,
        titleFontWeight: 'normal',
        domain: false,
        ticks: false,
        labelPadding: 8,
        titlePadding: 10,
        gridColor: GRID,
      },
    },
  } as unknown as TopLevelSpec;
}

/** The specification as SVG. Vega is loaded on the first call only. */
export async function renderSvg(spec: TopLevelSpec): Promise<string> {
  const [vega, vegaLite] = await Promise.all([import('vega'), import('vega-lite')]);
  const compiled = vegaLite.compile(spec, { logger: silent });
  const view = new vega.View(vega.parse(compiled.spec), { renderer: 'none', logLevel: vega.Error });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

const silent = {
  level: () => silent,
  error: () => silent,
  warn: () => silent,
  info: () => silent,
  debug: () => silent,
};
