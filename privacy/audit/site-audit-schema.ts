/**
 * What one site says about one synthetic set, and all that leaves the site: counts, rates, histograms with fixed bins,
 * rounded minima. No record, no text, no identifier. Closed and bounded, since the coordinator reads it off the wire.
 */
import { type Static, Type } from 'typebox';
import { FedError } from '#proto/errors.ts';
import { parseWith } from '#proto/validate.ts';
import { DISTANCE_BINS } from './histogram.ts';
import { PHI_KINDS } from './phi-kinds.ts';

export const SITE_AUDIT_VERSION = 1;
/** Bytes of JSON beyond which an audit is refused unread. */
export const SITE_AUDIT_MAX_BYTES = 256 * 1024;

const closed = { additionalProperties: false };
const count = Type.Integer({ minimum: 0, maximum: 1e9 });
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
/** Null where nothing was measured. */
const distance = Type.Union([Type.Number({ minimum: 0, maximum: 2 }), Type.Null()]);
const histogram = Type.Array(count, { minItems: DISTANCE_BINS, maxItems: DISTANCE_BINS });
const records = Type.Object({ images: count, patients: count, studies: count, reports: count }, closed);
/** Hits among the generated reports and among the holdout's; copyable = share of training reports whose copy would be a hit. */
const reportHits = Type.Object(
  { generated: count, holdout: count, copyable: Type.Number({ minimum: 0, maximum: 1 }) },
  closed,
);
const lengths = Type.Object({ median: count, p95: count, max: count }, closed);
const planted = { planted: count, found: count };

export const IMAGE_PLANTS = ['exact', 'noise', 'mirrored', 'brightened', 'rotated', 'cropped'] as const;
export type ImagePlant = (typeof IMAGE_PLANTS)[number];

export const SiteAuditSchema = Type.Object(
  {
    schemaVersion: Type.Literal(SITE_AUDIT_VERSION),
    seed: Type.Integer(),
    /** Of the configuration the site used; the gate refuses an audit under another. */
    thresholdsSha256: sha256,
    /** Of the generated pixels and reports as audited: all sites must have seen the same. */
    generatedSha256: sha256,
    resolution: Type.Integer({ minimum: 1, maximum: 4096 }),
    imageChannels: Type.Union([Type.Literal(1), Type.Literal(3)]),
    generated: Type.Object({ images: count, distinctImages: count, flatImages: count, reports: count }, closed),
    train: records,
    holdout: records,
    disjoint: Type.Object({ sharedPatients: count, sharedStudies: count, identicalImages: count }, closed),
    images: Type.Object(
      {
        /** Side in pixels at which images were compared, and transformations searched. */
        side: Type.Integer({ minimum: 1, maximum: 64 }),
        variants: Type.Integer({ minimum: 1, maximum: 100_000 }),
        exactCopies: count,
        controlPatients: count,
        controlMinimum: distance,
        generatedMinimum: distance,
        cutoff: distance,
        marginHits: count,
        /** Below the excess quantile of the holdout patients' smallest distances. */
        excess: Type.Object({ generated: count, holdout: count }, closed),
        histograms: Type.Object(
          { generated: histogram, holdout: histogram, train: histogram, planted: histogram },
          closed,
        ),
        plants: Type.Array(Type.Object({ kind: Type.Enum([...IMAGE_PLANTS]), seed: count, ...planted }, closed), {
          maxItems: 20 * IMAGE_PLANTS.length,
        }),
      },
      closed,
    ),
    reports: Type.Object(
      {
        exact: Type.Object({ generated: count, holdout: count }, closed),
        near: Type.Object({ generated: count, holdout: count }, closed),
        rare: reportHits,
        distinctive: reportHits,
        /** Longest run of words shared with any training report, in characters. */
        longestShared: Type.Object({ generated: lengths, holdout: lengths }, closed),
        plants: Type.Array(Type.Object({ seed: count, ...planted }, closed), { maxItems: 20 }),
      },
      closed,
    ),
    phi: Type.Object(
      {
        reportsWithHits: count,
        hits: Type.Array(Type.Object({ kind: Type.Enum([...PHI_KINDS]), count }, closed), {
          maxItems: PHI_KINDS.length,
        }),
        ...planted,
      },
      closed,
    ),
    pairs: Type.Object({ compared: count, copies: count }, closed),
  },
  closed,
);

export type SiteAudit = Static<typeof SiteAuditSchema>;

/**
 * A site's audit as it came over the wire.
 * @throws FedError LIMIT_EXCEEDED beyond SITE_AUDIT_MAX_BYTES; MESSAGE_INVALID when it is not JSON of this shape and version
 */
export function parseSiteAudit(json: string): SiteAudit {
  if (Buffer.byteLength(json) > SITE_AUDIT_MAX_BYTES) {
    throw new FedError(
      'LIMIT_EXCEEDED',
      `a site audit of more than ${SITE_AUDIT_MAX_BYTES} bytes`,
      'audits hold aggregates only',
    );
  }
  try {
    return parseWith(SiteAuditSchema, JSON.parse(json), 'site audit');
  } catch (error) {
    const what = error instanceof FedError ? error.message : 'site audit: not JSON';
    throw new FedError(
      'MESSAGE_INVALID',
      what,
      'run the same version of the software at the site and the coordinator',
      {
        cause: error,
      },
    );
  }
}
