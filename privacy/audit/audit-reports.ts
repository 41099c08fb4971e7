/** The report part of a site's audit: rare and distinctive hits, counted alike for generated and holdout reports. */
import { seededRandom } from '../random.ts';
import type { RecordSet } from './audit-records.ts';
import { isDistinctiveHit, isRareHit, type NearReports, ReportIndex } from './report-index.ts';
import { SharedRuns } from './report-substring.ts';
import type { SiteAudit } from './site-audit-schema.ts';
import type { Thresholds } from './thresholds.ts';

/** Training reports whose own rarity is looked up, for the share whose copy would be noticed. */
const COPYABLE_SAMPLE = 1_000;

export interface ReportAudit {
  readonly audit: SiteAudit['reports'];
  /** Training studies whose report a text copies; normalised text in. */
  readonly copiedStudies: (text: string) => ReadonlySet<string>;
}

/** @param generated normalised texts of the generated reports that have any */
export function auditReports(
  generated: readonly string[],
  train: RecordSet,
  holdout: RecordSet,
  thresholds: Thresholds,
  seed: number,
): ReportAudit {
  const index = new ReportIndex(train.studyReports, thresholds.editSimilarity, seededRandom(seed, 'minhash'));
  const near = (texts: readonly string[]) => texts.map(text => index.near(text));
  const own = [...train.studyReports.values()];
  const holdoutTexts = [...holdout.studyReports.values()];
  const sample = seededRandom(seed, 'copyable').sample(own.length, COPYABLE_SAMPLE);
  const groups = {
    generated: near(generated),
    holdout: near(holdoutTexts),
    own: near(sample.map(i => own[i] ?? '')),
  };
  const distinctive = (hit: NearReports) => isDistinctiveHit(hit, thresholds.distinctiveBits);
  const counted = (is: (hit: NearReports) => boolean) => ({
    generated: groups.generated.filter(is).length,
    holdout: groups.holdout.filter(is).length,
  });
  const hits = (is: (hit: NearReports) => boolean) => ({
    ...counted(is),
    copyable: groups.own.length === 0 ? 0 : groups.own.filter(is).length / groups.own.length,
  });

  const runs = new SharedRuns(own);
  const lengths = (texts: readonly string[]) => summary(texts.map(text => runs.longest(text)));

  // Verbatim copies of distinctive training reports, through the same index.
  const plantable = own.filter(text => distinctive(index.near(text)));
  const plants = Array.from({ length: thresholds.seeds }, (_, draw) => {
    const chosen = seededRandom(seed, `report plants ${draw}`).sample(plantable.length, thresholds.plants);
    const copies = chosen.map(i => plantable[i] ?? '');
    return { seed: draw, planted: copies.length, found: near(copies).filter(distinctive).length };
  });

  return {
    copiedStudies: text => index.near(text).studies,
    audit: {
      exact: counted(hit => hit.exact),
      near: counted(hit => hit.studies.size > 0),
      rare: hits(isRareHit),
      distinctive: hits(distinctive),
      longestShared: { generated: lengths(generated), holdout: lengths(holdoutTexts) },
      plants,
    },
  };
}

function summary(values: readonly number[]): { median: number; p95: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q: number) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
  return { median: at(0.5), p95: at(0.95), max: at(1) };
}
