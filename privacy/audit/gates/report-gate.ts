/** G3: generated reports do not hit single training studies more often than reports of new patients do. */
import type { SiteAudit } from '../site-audit-schema.ts';
import { detectionLimit } from '../statistics/detection-limit.ts';
import type { Thresholds } from '../thresholds.ts';
import { type Finding, percent, type SiteEvidence, thousands } from './finding.ts';

export function reportGate({ audit, thresholds, tests }: SiteEvidence): Finding {
  const { reports, generated, holdout, train } = audit;
  const adjusted = Math.min(tests.rareReports, tests.distinctiveReports);
  const limit = reportDetectionLimit(audit, thresholds, tests.strictestAlpha);
  const base = { statistic: adjusted, bound: limit, threshold: thresholds.detectionLimit, n: generated.reports };
  if (generated.reports === 0) return { ...base, bound: null, verdict: 'pass', reason: 'no report was generated' };
  if (train.reports === 0) {
    return { ...base, bound: null, verdict: 'pass', reason: 'the site holds no training report that could be copied' };
  }
  if (adjusted <= thresholds.familywiseAlpha) {
    const [what, hits] =
      tests.rareReports <= tests.distinctiveReports ? ['rare', reports.rare] : ['distinctive', reports.distinctive];
    return {
      ...base,
      verdict: 'fail',
      reason: `${thousands(hits.generated)} of ${thousands(generated.reports)} generated reports are ${what} hits on training studies, against ${thousands(hits.holdout)} of ${thousands(holdout.reports)} reports of other patients (adjusted p = ${adjusted.toPrecision(2)})`,
    };
  }
  if (limit > thresholds.detectionLimit) {
    return {
      ...base,
      verdict: 'insufficient-evidence',
      reason: `no excess of copied reports, but a share of copies below ${percent(limit)} could have been missed with ${thousands(generated.reports)} generated and ${thousands(holdout.reports)} holdout reports: the limit has to be ${percent(thresholds.detectionLimit)} or less (about 1,000 against 1,000)`,
    };
  }
  return {
    ...base,
    verdict: 'pass',
    reason: `no excess of copied reports over the holdout; ${percent(limit)} copies would have been found with power ${thresholds.detectionPower}`,
  };
}

/** Either test may find the copies; each is held to the strictest level of Holm's procedure. */
export function reportDetectionLimit(audit: SiteAudit, thresholds: Thresholds, alpha: number): number {
  const limits = [audit.reports.rare, audit.reports.distinctive].map(hits =>
    detectionLimit(
      {
        generatedTrials: audit.generated.reports,
        holdout: hits.holdout,
        holdoutTrials: audit.holdout.reports,
        copyable: hits.copyable,
      },
      alpha,
      thresholds.detectionPower,
    ),
  );
  return Math.min(...limits);
}
