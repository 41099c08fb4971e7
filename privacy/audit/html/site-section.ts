/** One site's figures: sizes, what was found, the plants, the distances. */
import { percent } from '../gates/finding.ts';
import type { SiteAudit } from '../site-audit-schema.ts';
import { wilson } from '../statistics/binomial.ts';
import { escapeHtml } from './escape.ts';
import { histogramPlot } from './histogram-plot.ts';
import { type Cell, table } from './table.ts';

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
  [{ title: 'planted' }, number('seed'), number('planted'), number('found'), number('recall')],
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

function plantRows({ images, reports, phi }: SiteAudit): Cell[][] {
  const recall = (planted: number, found: number) => (planted === 0 ? null : percent(found / planted));
  return [
    ...images.plants.map(({ kind, seed, planted, found }) => [
      `image, ${kind}`,
      seed,
      planted,
      found,
      recall(planted, found),
    ]),
    ...reports.plants.map(({ seed, planted, found }) => [
      'report, verbatim',
      seed,
      planted,
      found,
      recall(planted, found),
    ]),
    ['identifiers', null, phi.planted, phi.found, recall(phi.planted, phi.found)],
  ];
}

/** All sites beside each other. */
export function sitesTable(sites: readonly { readonly site: string; readonly audit: SiteAudit | null }[]): string {
  return table(
    'What each site compared, and what it found',
    [
      { title: 'site' },
      number('training images'),
      number('patients'),
      number('reports'),
      number('holdout images'),
      number('patients'),
      number('reports'),
      number('closest control'),
      number('closest generated'),
      number('copies'),
      number('equal pixels'),
      number('pair copies'),
      number('PHI reports'),
    ],
    sites.map(({ site, audit }) =>
      audit === null
        ? [site, ...Array.from({ length: 12 }, () => null)]
        : [
            site,
            audit.train.images,
            audit.train.patients,
            audit.train.reports,
            audit.holdout.images,
            audit.holdout.patients,
            audit.holdout.reports,
            audit.images.controlMinimum,
            audit.images.generatedMinimum,
            audit.images.marginHits,
            audit.images.exactCopies,
            audit.pairs.copies,
            audit.phi.reportsWithHits,
          ],
    ),
  );
}
