/** Test support: a well-formed audit of a site with a handful of records, which can prove nothing and says so. */
import { modelConfigOf, type RunConfig } from '#model/federated.ts';
import { DISTANCE_BINS } from '#privacy/audit/histogram.ts';
import { SITE_AUDIT_VERSION, type SiteAudit } from '#privacy/audit/site-audit-schema.ts';
import { resolveThresholds, thresholdsSha256 } from '#privacy/audit/thresholds.ts';

export function emptyHandedAudit(run: RunConfig, generatedSha256: string): SiteAudit {
  const { resolution, imageChannels } = modelConfigOf(run);
  const { pairs } = run;
  const none = Array.from({ length: DISTANCE_BINS }, () => 0);
  const records = { images: 3, patients: 3, studies: 3, reports: 3 };
  const lengths = { median: 0, p95: 0, max: 0 };
  return {
    schemaVersion: SITE_AUDIT_VERSION,
    seed: 1,
    thresholdsSha256: thresholdsSha256(resolveThresholds(run.audit)),
    generatedSha256,
    resolution,
    imageChannels,
    generated: { images: pairs, distinctImages: 1, flatImages: pairs, reports: pairs },
    train: records,
    holdout: records,
    disjoint: { sharedPatients: 0, sharedStudies: 0, identicalImages: 0 },
    images: {
      side: 16,
      variants: 1,
      exactCopies: 0,
      controlPatients: 3,
      controlMinimum: 1,
      generatedMinimum: 1,
      cutoff: 0.4,
      marginHits: 0,
      excess: { generated: 0, holdout: 0 },
      histograms: { generated: [pairs, ...none.slice(1)], holdout: none, train: none, planted: none },
      plants: [],
    },
    reports: {
      exact: { generated: 0, holdout: 0 },
      near: { generated: 0, holdout: 0 },
      rare: { generated: 0, holdout: 0, copyable: 1 },
      distinctive: { generated: 0, holdout: 0, copyable: 1 },
      longestShared: { generated: lengths, holdout: lengths },
      plants: [],
    },
    phi: { reportsWithHits: 0, hits: [], planted: 0, found: 0 },
    pairs: { compared: pairs, copies: 0 },
  };
}
