/** One site's figures: sizes, what was found, the plants, the distances. */
import type { GateReport } from '../gate.ts';
import { percent, thousands } from '../gates/finding.ts';
import type { SiteAudit } from '../site-audit-schema.ts';
import { wilson } from '../statistics/binomial.ts';
import { escapeHtml } from './escape.ts';
import { histogramPlot } from './histogram-plot.ts';
import { badge, type Cell, table } from './table.ts';

/** Standard deviations of a two-sided 95 % interval. */
const Z95 = 1.959964;

const number = (title: string) => ({ title, numeric: true });

function rate(hits: number, n: number): Cell {
  if (n === 0) return null;
  const [low, high] = wilson(hits, n, Z95);
  return `${percent(hits / n)} (${percent(low)} – ${percent(high)})`;
}

export function siteSection(site: string, audit: SiteAudit | null): string {
  if (audit === null) return `<h3>Site ${escapeHtml(site)}</h3><p>No audit came from this site.</p>`;
  return `<h3>Site ${escapeHtml(site)}</h3>
${histogramPlot(site, audit.images)}
${table(
  `Reports at site ${site}: how often they are near a training report, with 95 % intervals (Wilson)`,
  [
    { title: 'hit' },
    number('generated'),
    number('rate'),
    number('holdout'),
    number('rate'),
    number('copies that would hit'),
  ],
  reportRows(audit),
)}
${table(
  `Planted copies at site ${site}`,
  [{ title: 'planted' }, ...plantSeeds(audit).map(seed => number(`found under seed ${seed}`))],
  plantRows(audit),
)}`;
}

function reportRows({ reports, generated, holdout }: SiteAudit): Cell[][] {
  const row = (name: string, hits: { generated: number; holdout: number; copyable?: number }): Cell[] => [
    name,
    hits.generated,
    rate(hits.generated, generated.reports),
    hits.holdout,
    rate(hits.holdout, holdout.reports),
    hits.copyable === undefined ? null : percent(hits.copyable),
  ];
  const longest = (of: 'generated' | 'holdout') => {
    const { median, p95, max } = reports.longestShared[of];
    return `${median} / ${p95} / ${max}`;
  };
  return [
    row('rare (decides)', reports.rare),
    row('distinctive (decides)', reports.distinctive),
    row('nearly equal to any', reports.near),
    row('equal to any', reports.exact),
    [
      'longest shared run of words, characters: median / 95 % / longest',
      null,
      longest('generated'),
      null,
      longest('holdout'),
      null,
    ],
  ];
}

/** One row a kind; under each seed, found of planted. */
function plantRows({ images, reports, phi }: SiteAudit): Cell[][] {
  const rows = new Map<string, Map<number, string>>();
  const put = (what: string, seed: number, planted: number, found: number) => {
    const row = rows.get(what) ?? new Map<number, string>();
    row.set(seed, `${thousands(found)} of ${thousands(planted)}`);
    rows.set(what, row);
  };
  for (const { kind, seed, planted, found } of images.plants) put(`image, ${kind}`, seed, planted, found);
  for (const { seed, planted, found } of reports.plants) put('report, verbatim', seed, planted, found);
  put('identifiers', 0, phi.planted, phi.found);
  const seeds = plantSeeds({ images, reports });
  return [...rows].map(([what, row]) => [what, ...seeds.map(seed => row.get(seed) ?? null)]);
}

const plantSeeds = ({ images, reports }: Pick<SiteAudit, 'images' | 'reports'>): number[] =>
  [...new Set([0, ...images.plants.map(({ seed }) => seed), ...reports.plants.map(({ seed }) => seed)])].sort(
    (a, b) => a - b,
  );

const MEASURES: readonly (readonly [string, (audit: SiteAudit) => Cell])[] = [
  ['training images', audit => audit.train.images],
  ['training patients', audit => audit.train.patients],
  ['training reports', audit => audit.train.reports],
  ['holdout images', audit => audit.holdout.images],
  ['holdout patients', audit => audit.holdout.patients],
  ['holdout reports', audit => audit.holdout.reports],
  ['closest control (distance)', audit => audit.images.controlMinimum],
  ['cut-off (distance)', audit => audit.images.cutoff],
  ['closest generated image (distance)', audit => audit.images.generatedMinimum],
  ['copied images', audit => audit.images.marginHits],
  ['images with equal pixels', audit => audit.images.exactCopies],
  ['distinct generated images', audit => audit.generated.distinctImages],
  ['copied pairs', audit => audit.pairs.copies],
  ['reports with identifiers', audit => audit.phi.reportsWithHits],
];

/** All sites beside each other: the verdicts of the gates that look at sites, then the figures. */
export function sitesTable({ sites, gates }: Pick<GateReport, 'sites' | 'gates'>): string {
  const verdicts = gates
    .filter(gate => gate.sites.length > 0)
    .map((gate): Cell[] => [`${gate.id} ${gate.name}`, ...gate.sites.map(({ verdict }) => badge(verdict))]);
  const figures = MEASURES.map(([name, of]): Cell[] => [
    name,
    ...sites.map(({ audit }) => (audit === null ? null : of(audit))),
  ]);
  return table(
    'What each site found, and what it compared',
    [{ title: '' }, ...sites.map(({ site }) => number(site))],
    [...verdicts, ...figures],
  );
}
