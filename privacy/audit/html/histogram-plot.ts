/** Histograms of distances on one logarithmic axis, as inline SVG with the counts in a table below. */
import { DISTANCE_BINS, DISTANCE_EDGES } from '../histogram.ts';
import type { SiteAudit } from '../site-audit-schema.ts';
import { escapeHtml } from './escape.ts';
import { table } from './table.ts';

const WIDTH = 760;
const ROW = 84;
const LEFT = 120;
const BOTTOM = 40;
const PLOT = WIDTH - LEFT - 16;
const BIN = PLOT / DISTANCE_BINS;

const SERIES = [
  ['generated', 'Generated', 'against training'],
  ['holdout', 'Holdout', 'other patients'],
  ['train', 'Training', 'own patient left out'],
  ['planted', 'Planted', 'known copies'],
] as const;

/** Position of a distance on the axis; within a bin, by its logarithm. */
function position(distance: number): number {
  const next = DISTANCE_EDGES.findIndex(edge => edge > distance);
  if (next <= 1) return LEFT + (next < 0 ? PLOT : 0);
  const [low, high] = [DISTANCE_EDGES[next - 1] ?? 1, DISTANCE_EDGES[next] ?? 2];
  return LEFT + BIN * (next - 1 + Math.log(distance / low) / Math.log(high / low));
}

/** Four rows over one axis: a copy lies left of the cut-off, decades away from the holdout. */
export function histogramPlot(site: string, images: SiteAudit['images']): string {
  const height = ROW * SERIES.length + BOTTOM;
  const rows = SERIES.map(([key, name, note], row) => {
    const counts = images.histograms[key];
    const highest = Math.max(1, ...counts);
    const base = ROW * (row + 1);
    const bars = counts
      .map((count, bin) => {
        // A single copy among thousands must be seen: nothing is drawn lower than two pixels.
        const tall = count === 0 ? 0 : Math.max(2, (count / highest) * (ROW - 26));
        return count === 0
          ? ''
          : `<rect class="${key}" x="${(LEFT + bin * BIN + 0.5).toFixed(1)}" y="${(base - tall).toFixed(1)}" width="${(BIN - 1).toFixed(1)}" height="${tall.toFixed(1)}"/>`;
      })
      .join('');
    const total = counts.reduce((a, b) => a + b, 0).toLocaleString('en-US');
    return `${bars}<line class="axis" x1="${LEFT}" x2="${LEFT + PLOT}" y1="${base}" y2="${base}"/><text class="name" x="${LEFT - 10}" y="${base - 32}">${name}</text><text class="note" x="${LEFT - 10}" y="${base - 17}">${note}</text><text class="note" x="${LEFT - 10}" y="${base - 3}">n = ${total}</text>`;
  }).join('\n');
  const bottom = ROW * SERIES.length;
  const ticks = ['0.0001', '0.001', '0.01', '0.1', '1']
    .map(tick => {
      const x = tick === '0.0001' ? LEFT + BIN : position(Number(tick));
      return `<line class="tick" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${bottom}" y2="${bottom + 5}"/><text class="tick" x="${x.toFixed(1)}" y="${bottom + 18}">${tick}</text>`;
    })
    .join('');
  const cut = images.cutoff === null || images.cutoff === 0 ? null : position(images.cutoff);
  const line =
    cut === null
      ? ''
      : `<line class="cut" x1="${cut.toFixed(1)}" x2="${cut.toFixed(1)}" y1="12" y2="${bottom}"/><text class="cut" x="${(cut - 5).toFixed(1)}" y="12">cut-off ${images.cutoff}</text>`;
  const label = `Distances to the nearest training image at site ${site}`;
  return `<figure><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(label)}">${rows}${line}${ticks}<text class="title" x="${LEFT + PLOT / 2}" y="${bottom + 35}">distance 1 − r to the nearest training image (logarithmic)</text></svg><figcaption>${escapeHtml(label)}, under ${images.variants.toLocaleString('en-US')} transformations. Left of the cut-off lie copies. Each row has its own scale.</figcaption></figure>\n<details open><summary>The same numbers as a table</summary>${countsTable(label, images)}</details>`;
}

function countsTable(caption: string, { histograms }: SiteAudit['images']): string {
  const rows = DISTANCE_EDGES.slice(0, -1)
    .map((low, bin) => [
      `${short(low)} – ${short(DISTANCE_EDGES[bin + 1] ?? 2)}`,
      ...SERIES.map(([key]) => histograms[key][bin] ?? 0),
    ])
    .filter(row => row.slice(1).some(count => count !== 0));
  return table(caption, [{ title: 'distance' }, ...SERIES.map(([, name]) => ({ title: name, numeric: true }))], rows);
}

const short = (edge: number): string => String(Number(edge.toPrecision(2)));
