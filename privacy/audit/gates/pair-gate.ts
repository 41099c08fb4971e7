/** G4: no pair copies image and report of one study. */
import { type Finding, type SiteEvidence, thousands } from './finding.ts';

export function pairGate({ audit: { pairs } }: SiteEvidence): Finding {
  const base = { statistic: pairs.copies, bound: null, threshold: 0, n: pairs.compared };
  if (pairs.copies > 0) {
    return {
      ...base,
      verdict: 'fail',
      reason: `${thousands(pairs.copies)} of ${thousands(pairs.compared)} generated pairs copy image and report of the same training study`,
    };
  }
  return {
    ...base,
    verdict: 'insufficient-evidence',
    reason: `no pair copy among ${thousands(pairs.compared)} pairs; residual linkability: not measured in this version`,
  };
}
