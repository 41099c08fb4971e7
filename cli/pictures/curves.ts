/** Line charts of a training run: one panel a quantity, one line a site; as a PNG, and as a page with its numbers. */
import sharp from 'sharp';
import { escapeHtml } from '#privacy/audit/html/escape.ts';
import { niceScale, type Scale, tickText } from './axis.ts';
import { type TextStyle, textPath, textWidth } from './text.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}
export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}
export interface Panel {
  readonly title: string;
  readonly xLabel: string;
  readonly series: readonly Series[];
  /** Dashed horizontal lines, e.g. the unigram model's perplexity. */
  readonly references?: readonly { readonly name: string; readonly y: number }[];
}

const WIDTH = 520;
const HEIGHT = 300;
const GAP = 16;
const HEADER = 56;
const PLOT = { left: 64, top: 40, right: 16, bottom: 64 } as const;
/** Okabe and Ito's colours, told apart by colour-blind readers too; the dash pattern differs as well. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'] as const;
const DASHES = ['', '7 3', '2 3', '9 3 2 3'] as const;

const heading: TextStyle = { size: 20, weight: 'bold' };
const panelTitle: TextStyle = { size: 14, weight: 'bold' };
const small: TextStyle = { size: 11, fill: '#444' };

/** The panels in two columns, many of them in three. */
export function renderCurvesSvg(title: string, panels: readonly Panel[]): string {
  const columns = Math.max(1, Math.min(panels.length > 6 ? 3 : 2, panels.length));
  const rows = Math.max(1, Math.ceil(panels.length / columns));
  const width = columns * (WIDTH + GAP) + GAP;
  const height = HEADER + rows * (HEIGHT + GAP);
  const drawn = panels.map((panel, i) => {
    const x = GAP + (i % columns) * (WIDTH + GAP);
    const y = HEADER + Math.floor(i / columns) * (HEIGHT + GAP);
    return `<g transform="translate(${x} ${y})">${renderPanel(panel)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<rect width="${width}" height="${height}" fill="#f3f4f6"/>`,
    textPath(title, GAP, 36, heading),
    ...drawn,
    '</svg>',
  ].join('');
}

export const renderCurvesPng = (title: string, panels: readonly Panel[]): Promise<Buffer> =>
  sharp(Buffer.from(renderCurvesSvg(title, panels)))
    .png({ compressionLevel: 9 })
    .toBuffer();

function renderPanel({ title, xLabel, series, references = [] }: Panel): string {
  const points = series.flatMap(line => line.points);
  const x = niceScale(points.map(point => point.x));
  const y = niceScale([...points.map(point => point.y), ...references.map(reference => reference.y)]);
  const atX = position(x, PLOT.left, WIDTH - PLOT.right);
  const atY = position(y, HEIGHT - PLOT.bottom, PLOT.top);
  const finite = (point: Point): boolean => Number.isFinite(point.x) && Number.isFinite(point.y);
  const lines = series.map((line, i) => {
    const shown = line.points.filter(finite).map(point => [atX(point.x).toFixed(1), atY(point.y).toFixed(1)] as const);
    const stroke = `stroke="${colour(i)}" stroke-dasharray="${DASHES[i % DASHES.length]}"`;
    const path = `<polyline fill="none" stroke-width="1.8" ${stroke} points="${shown.map(at => at.join(',')).join(' ')}"/>`;
    // A single point draws no line, and few points are easier to read marked.
    const marks =
      shown.length > 30 ? [] : shown.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="2.6" fill="${colour(i)}"/>`);
    return [path, ...marks].join('');
  });
  return [
    `<rect width="${WIDTH}" height="${HEIGHT}" rx="4" fill="#fff" stroke="#d0d4da"/>`,
    textPath(title, 14, 24, panelTitle),
    axes(x, y, atX, atY),
    ...references.map(({ name, y: value }) => referenceLine(name, atY(value))),
    ...lines,
    textPath(xLabel, (PLOT.left + WIDTH - PLOT.right) / 2, HEIGHT - 30, { ...small, anchor: 'middle' }),
    legend(series.map(line => line.name)),
  ].join('');
}

function axes(x: Scale, y: Scale, atX: (value: number) => number, atY: (value: number) => number): string {
  const right = WIDTH - PLOT.right;
  const bottom = HEIGHT - PLOT.bottom;
  const horizontal = y.ticks.map(tick => {
    const at = atY(tick).toFixed(1);
    const label = textPath(tickText(tick, stepOf(y)), PLOT.left - 6, Number(at) + 4, { ...small, anchor: 'end' });
    return `<path stroke="#e5e7eb" d="M${PLOT.left} ${at}H${right}"/>${label}`;
  });
  const vertical = x.ticks.map(tick =>
    textPath(tickText(tick, stepOf(x)), atX(tick), bottom + 16, { ...small, anchor: 'middle' }),
  );
  return [
    ...horizontal,
    ...vertical,
    `<path stroke="#9ca3af" fill="none" d="M${PLOT.left} ${PLOT.top}V${bottom}H${right}"/>`,
  ].join('');
}

function referenceLine(name: string, at: number): string {
  const right = WIDTH - PLOT.right;
  return [
    `<path stroke="#b91c1c" stroke-dasharray="4 4" d="M${PLOT.left} ${at.toFixed(1)}H${right}"/>`,
    textPath(name, right - 4, at - 4, { ...small, fill: '#b91c1c', anchor: 'end' }),
  ].join('');
}

function legend(names: readonly string[]): string {
  const parts: string[] = [];
  let left: number = PLOT.left;
  for (const [i, name] of names.entries()) {
    const width = 30 + textWidth(name, small) + 14;
    if (left + width > WIDTH && parts.length > 0) {
      parts.push(textPath(`+ ${names.length - i}`, left, HEIGHT - 10, small));
      break;
    }
    const stroke = `stroke="${colour(i)}" stroke-width="2" stroke-dasharray="${DASHES[i % DASHES.length]}"`;
    parts.push(
      `<path ${stroke} d="M${left.toFixed(1)} ${HEIGHT - 14}h24"/>`,
      textPath(name, left + 30, HEIGHT - 10, small),
    );
    left += width;
  }
  return parts.join('');
}

const colour = (i: number): string => COLOURS[i % COLOURS.length] ?? '#000000';
const stepOf = ({ ticks }: Scale): number => (ticks[1] ?? 1) - (ticks[0] ?? 0);
const position =
  ({ minimum, maximum }: Scale, from: number, to: number) =>
  (value: number): number =>
    from + ((value - minimum) / (maximum - minimum)) * (to - from);

/** One self-contained page without scripts: the picture and, below it, every number in it. */
export function renderCurvesHtml(title: string, panels: readonly Panel[]): string {
  const tables = panels.map(panel => {
    const rows = panel.series.flatMap(({ name, points }) =>
      points.map(
        ({ x, y }) => `<tr><td>${escapeHtml(name)}</td><td>${x}</td><td>${Number(y.toPrecision(6))}</td></tr>`,
      ),
    );
    const references = (panel.references ?? []).map(
      ({ name, y }) => `<tr><td>${escapeHtml(name)}</td><td></td><td>${Number(y.toPrecision(6))}</td></tr>`,
    );
    const head = `<tr><th>line</th><th>${escapeHtml(panel.xLabel)}</th><th>value</th></tr>`;
    return `<details><summary>${escapeHtml(panel.title)}</summary><table>${head}${[...rows, ...references].join('')}</table></details>`;
  });
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    `<title>${escapeHtml(title)}</title>`,
    '<style>body{font:14px system-ui,sans-serif;margin:24px;background:#f3f4f6}svg{max-width:100%;height:auto}',
    'table{border-collapse:collapse;margin:8px 0}td,th{border:1px solid #d0d4da;padding:2px 8px;text-align:right}',
    'td:first-child,th:first-child{text-align:left}summary{cursor:pointer;margin-top:8px}</style></head><body>',
    renderCurvesSvg(title, panels),
    '<h2>Numbers</h2>',
    ...tables,
    '</body></html>\n',
  ].join('');
}
