/** Figures off the wire that contradict each other would turn tests into NaN, and NaN is never above a threshold. */
import type { SiteAudit } from '../site-audit-schema.ts';

/** The first contradiction in a site's figures, or undefined. */
export function contradiction(audit: SiteAudit): string | undefined {
  const { images, reports, phi, pairs, generated, holdout, train } = audit;
  const sum = (counts: readonly number[]) => counts.reduce((a, b) => a + b, 0);
  const atMost: [string, number, number][] = [
    ['distinct images', generated.distinctImages, generated.images],
    ['flat images', generated.flatImages, generated.images],
    ['generated reports', generated.reports, generated.images],
    ['exact copies', images.exactCopies, generated.images],
    ['margin hits', images.marginHits, generated.images],
    ['image excess', images.excess.generated, generated.images],
    ['image excess in the holdout', images.excess.holdout, images.controlPatients],
    ['control patients', images.controlPatients, holdout.patients],
    ['training reports', train.reports, train.studies],
    ['holdout reports', holdout.reports, holdout.studies],
    ['rare hits', reports.rare.generated, generated.reports],
    ['rare hits in the holdout', reports.rare.holdout, holdout.reports],
    ['distinctive hits', reports.distinctive.generated, generated.reports],
    ['distinctive hits in the holdout', reports.distinctive.holdout, holdout.reports],
    ['exact reports', reports.exact.generated, reports.near.generated],
    ['near reports', reports.near.generated, generated.reports],
    ['near reports in the holdout', reports.near.holdout, holdout.reports],
    ['reports with PHI', phi.reportsWithHits, sum(phi.hits.map(hit => hit.count))],
    ['planted PHI', phi.found, phi.planted],
    ['pair copies', pairs.copies, pairs.compared],
    ...[...images.plants, ...reports.plants].map((p): [string, number, number] => ['plants found', p.found, p.planted]),
  ];
  const over = atMost.find(([, value, most]) => value > most);
  if (over !== undefined) return `${over[0]}: ${over[1]} of ${over[2]}`;
  if (sum(images.histograms.generated) !== generated.images) return 'the histogram does not hold every generated image';
  if (pairs.compared !== generated.reports) return 'not every pair was compared';
  if (phi.hits.length > 0 && phi.reportsWithHits === 0) return 'PHI hits in no report';
  return undefined;
}
