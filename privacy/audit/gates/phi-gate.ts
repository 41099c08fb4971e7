/** G1: no generated report holds protected health information. */
import { type Finding, type SiteEvidence, thousands } from './finding.ts';

export function phiGate({ audit: { phi, generated } }: SiteEvidence): Finding {
  const base = { statistic: phi.reportsWithHits, bound: null, threshold: 0, n: generated.reports };
  if (phi.hits.length === 0 && phi.reportsWithHits === 0) {
    return { ...base, verdict: 'pass', reason: `no hit in ${thousands(generated.reports)} generated reports` };
  }
  const kinds = phi.hits.map(({ kind, count }) => `${kind} ${thousands(count)}`).join(', ');
  return {
    ...base,
    verdict: 'fail',
    reason: `${thousands(phi.reportsWithHits)} of ${thousands(generated.reports)} generated reports hold what looks like protected health information (${kinds})`,
  };
}
