/** One site's audit of one synthetic set against its own records; what it returns is all that may leave the site. */
import { createHash } from 'node:crypto';
import { FedError } from '#proto/errors.ts';
import { seededRandom } from '../random.ts';
import { auditImages } from './audit-images.ts';
import { type AuditRecords, type RecordSet, recordSet } from './audit-records.ts';
import { auditReports } from './audit-reports.ts';
import { countAmong, pixelHashes } from './image-exact.ts';
import { greyImage, imageCount, standardise } from './image-pixels.ts';
import type { Multiply } from './matrix.ts';
import { scanPhi } from './phi.ts';
import { PHI_KINDS } from './phi-kinds.ts';
import { plantPhi } from './plant-phi.ts';
import { normaliseReport } from './report-text.ts';
import { SITE_AUDIT_VERSION, type SiteAudit } from './site-audit-schema.ts';
import { type Thresholds, thresholdsSha256 } from './thresholds.ts';

export interface SiteAuditInput {
  /** Side of the square images in pixels. */
  readonly resolution: number;
  readonly imageChannels: 1 | 3;
  /** Bytes [N, H, W, C] and N reports, null where a pair has none. */
  readonly generated: { readonly images: Uint8Array; readonly reports: readonly (string | null)[] };
  readonly train: AuditRecords;
  readonly holdout: AuditRecords;
  readonly seed: number;
  readonly thresholds: Thresholds;
  /** Matrix product of the backend, if faster than the plain one. */
  readonly multiply?: Multiply | undefined;
  readonly onProgress?: ((doneShare: number) => void) | undefined;
}

/**
 * Runs every detector with its positive controls. Problems of the data (shared patients, too few controls) are counted,
 * not thrown: the gate turns them into `insufficient-evidence`.
 * @throws FedError DATA_INVALID when images, ids and reports do not belong together
 */
export async function auditSite(input: SiteAuditInput): Promise<SiteAudit> {
  const { resolution, imageChannels, thresholds, seed } = input;
  const train = recordSet(input.train, resolution, imageChannels, 'training records');
  const holdout = recordSet(input.holdout, resolution, imageChannels, 'holdout records');
  const generated = { pixels: input.generated.images, side: resolution, channels: imageChannels };
  const count = imageCount(generated);
  if (count !== input.generated.reports.length) {
    throw new FedError(
      'DATA_INVALID',
      `${count} generated images came with ${input.generated.reports.length} reports`,
      'pass one report, or null, for each generated image',
    );
  }
  const texts = input.generated.reports.map(report => normaliseReport(report ?? ''));
  const images = await auditImages({ ...input, generated, train, holdout });
  const reports = auditReports(
    texts.filter(text => text !== ''),
    train,
    holdout,
    thresholds,
    seed,
  );

  return {
    schemaVersion: SITE_AUDIT_VERSION,
    seed,
    thresholdsSha256: thresholdsSha256(thresholds),
    generatedSha256: generatedSha256(input),
    resolution,
    imageChannels,
    generated: {
      images: count,
      distinctImages: new Set(pixelHashes(generated)).size,
      flatImages: Array.from({ length: count }, (_, i) => standardise(greyImage(generated, i))).filter(ok => !ok)
        .length,
      reports: texts.filter(text => text !== '').length,
    },
    train: sizes(train),
    holdout: sizes(holdout),
    disjoint: {
      sharedPatients: shared(holdout.patients, train.patients),
      sharedStudies: shared(holdout.studies, train.studies),
      identicalImages: countAmong(pixelHashes(holdout.stack), pixelHashes(train.stack)),
    },
    images: images.audit,
    reports: reports.audit,
    phi: auditPhi(input.generated.reports, thresholds, seed),
    pairs: {
      compared: texts.filter(text => text !== '').length,
      copies: texts.filter((text, i) => {
        const studies = reports.copiedStudies(text);
        return [...(images.copied.get(i) ?? [])].some(record => studies.has(train.studies[record] ?? ''));
      }).length,
    },
  };
}

/** SHA-256 in hex over what was audited: sizes, pixels, then one JSON line a report. */
function generatedSha256({ resolution, imageChannels, generated }: SiteAuditInput): string {
  const hash = createHash('sha256').update(
    `${generated.reports.length}x${resolution}x${resolution}x${imageChannels}\n`,
  );
  hash.update(generated.images);
  for (const report of generated.reports) hash.update(`${JSON.stringify(report)}\n`);
  return hash.digest('hex');
}

const sizes = (set: RecordSet): SiteAudit['train'] => ({
  images: imageCount(set.stack),
  patients: new Set(set.patients).size,
  studies: new Set(set.studies).size,
  reports: set.studyReports.size,
});

const shared = (a: readonly string[], b: readonly string[]): number => {
  const known = new Set(b);
  return new Set(a.filter(id => known.has(id))).size;
};

/** Raw texts, not normalised ones: capitals tell names. The plants hold every kind at least `plants` in all. */
function auditPhi(reports: readonly (string | null)[], thresholds: Thresholds, seed: number): SiteAudit['phi'] {
  const hits = reports.map(report => scanPhi(report ?? ''));
  const perKind = PHI_KINDS.map(kind => ({ kind, count: hits.flat().filter(hit => hit.kind === kind).length }));
  const random = seededRandom(seed, 'planted phi');
  const rounds = Math.ceil(thresholds.plants / plantPhi(1, random).length);
  const plants = plantPhi(rounds, random);
  return {
    reportsWithHits: hits.filter(found => found.length > 0).length,
    hits: perKind.filter(({ count }) => count > 0),
    planted: plants.length,
    found: plants.filter(({ kind, text }) => scanPhi(text).some(hit => hit.kind === kind)).length,
  };
}
