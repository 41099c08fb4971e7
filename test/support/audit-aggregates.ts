/** A site's aggregates with which every measured gate passes, to change one figure of at a time. */
import { DISTANCE_BINS } from '#privacy/audit/histogram.ts';
import { IMAGE_PLANTS, type SiteAudit } from '#privacy/audit/site-audit-schema.ts';
import { type Thresholds, thresholdsSha256 } from '#privacy/audit/thresholds.ts';

const bin = (index: number, count: number): number[] =>
  Array.from({ length: DISTANCE_BINS }, (_, i) => (i === index ? count : 0));

/** 3,000 pairs against 4,000 patients, 1,200 of them held out. */
export function passingAudit(thresholds: Thresholds): SiteAudit {
  const seeds = Array.from({ length: thresholds.seeds }, (_, seed) => seed);
  return {
    schemaVersion: 1,
    seed: 1,
    thresholdsSha256: thresholdsSha256(thresholds),
    generatedSha256: 'd'.repeat(64),
    resolution: 64,
    imageChannels: 1,
    generated: { images: 3_000, distinctImages: 3_000, flatImages: 0, reports: 3_000 },
    train: { images: 3_000, patients: 2_800, studies: 2_900, reports: 2_900 },
    holdout: { images: 1_300, patients: 1_200, studies: 1_250, reports: 1_250 },
    disjoint: { sharedPatients: 0, sharedStudies: 0, identicalImages: 0 },
    images: {
      side: 64,
      variants: 18,
      exactCopies: 0,
      controlPatients: 1_200,
      controlMinimum: 0.03,
      generatedMinimum: 0.028,
      cutoff: 0.012,
      marginHits: 0,
      excess: { generated: 4, holdout: 2 },
      histograms: { generated: bin(24, 3_000), holdout: bin(24, 1_300), train: bin(23, 256), planted: bin(3, 3_600) },
      plants: IMAGE_PLANTS.flatMap(kind => seeds.map(seed => ({ kind, seed, planted: 200, found: 200 }))),
    },
    reports: {
      exact: { generated: 600, holdout: 250 },
      near: { generated: 960, holdout: 400 },
      rare: { generated: 190, holdout: 80, copyable: 0.7 },
      distinctive: { generated: 100, holdout: 42, copyable: 0.75 },
      longestShared: { generated: { median: 80, p95: 150, max: 300 }, holdout: { median: 80, p95: 150, max: 300 } },
      plants: seeds.map(seed => ({ seed, planted: 200, found: 200 })),
    },
    phi: { reportsWithHits: 0, hits: [], planted: 220, found: 220 },
    pairs: { compared: 3_000, copies: 0 },
  };
}
