/**
 * Every number that decides a verdict, as configuration, with the reason for it. The reasons are printed beside the
 * thresholds in the report; they were chosen on Open-i (frontal radiographs and their reports), split by patient.
 */
import { createHash } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { parseWith } from '#proto/validate.ts';

const closed = { additionalProperties: false };
const share = (fallback: number, description: string) =>
  Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1, default: fallback, description });
const count = (minimum: number, maximum: number, fallback: number, description: string) =>
  Type.Integer({ minimum, maximum, default: fallback, description });

/** Transformations of the training side under which a copy is looked for: the product of the four lists. */
export const SearchSchema = Type.Object(
  {
    flip: Type.Boolean({
      default: true,
      description: 'without mirror images in the search, mirrored copies were found at 0.7 %; with them, all were',
    }),
    anglesDegrees: Type.Array(Type.Number({ minimum: -45, maximum: 45 }), {
      minItems: 1,
      maxItems: 15,
      default: [-3, 0, 3],
      description: 'copies rotated by 3 degrees are found at 1.0 with rotations in the search, at .44 without',
    }),
    crops: Type.Array(Type.Number({ minimum: 0.5, maximum: 1 }), {
      minItems: 1,
      maxItems: 9,
      default: [1, 0.97, 0.94],
      description:
        'share of the side kept; copies cropped to 94 % are found at 1.0 with crops in the search, at .11 without',
    }),
    shifts: Type.Array(
      Type.Tuple([Type.Number({ minimum: -0.5, maximum: 0.5 }), Type.Number({ minimum: -0.5, maximum: 0.5 })]),
      {
        minItems: 1,
        maxItems: 25,
        default: [[0, 0]],
        description:
          'shares of the side, [right, down]; each entry multiplies the cost, and shifted copies are missed without it',
      },
    ),
  },
  { ...closed, default: {} },
);

export const ThresholdsSchema = Type.Object(
  {
    confidence: share(0.95, 'of every one-sided bound'),
    familywiseAlpha: share(
      0.05,
      'shared by all statistical tests of all sites by Holm: one false alarm in twenty audits',
    ),
    marginFactor: share(
      0.4,
      'an image this many times closer than the closest control is a copy: no false alarm in 250 random splits of real data, all exact, noisy, mirrored and brightened copies found',
    ),
    hitRateBound: share(
      0.001,
      'at most one copy in a thousand released images may have been missed: 2,995 pairs without a hit show that',
    ),
    excessQuantile: share(0.001, 'where the lower tail of the distances is compared with the holdout'),
    editSimilarity: share(
      0.8,
      'below it, reports of different patients written from one template are no longer told apart',
    ),
    distinctiveBits: Type.Number({
      exclusiveMinimum: 0,
      maximum: 10_000,
      default: 150,
      description:
        'information that two reports share beyond what the template explains, in bits of inverse document frequency',
    }),
    detectionLimit: share(
      0.05,
      'reports are templated: a smaller share of copies cannot be told from chance at 1,000 against 1,000',
    ),
    detectionPower: share(0.8, 'the usual power at which a detection limit is stated'),
    plants: count(
      59,
      10_000,
      200,
      'at 200, four may be missed for a recall of at least .95 with 95 % confidence; at 59, the fewest that can show it, none',
    ),
    plantRecall: share(0.95, 'an audit that misses more than one planted copy in twenty proves nothing'),
    minControls: count(
      1,
      1_000_000,
      30,
      'holdout patients below which the closest control says little about the next patient',
    ),
    trainControls: count(
      0,
      100_000,
      256,
      'training images compared with the training set without their own patient: more controls than the holdout alone has',
    ),
    seeds: count(1, 20, 3, 'the plants are drawn anew under so many seeds: no verdict rests on one draw'),
    search: SearchSchema,
  },
  closed,
);

export type Thresholds = Static<typeof ThresholdsSchema>;
export type SearchConfig = Static<typeof SearchSchema>;

/**
 * The `audit` section of a run configuration, with defaults filled in.
 * @throws FedError CONFIG_INVALID on unknown keys (naming the nearest known one) or values out of range
 */
export const resolveThresholds = (value: unknown = {}): Thresholds =>
  parseWith(ThresholdsSchema, value, 'audit thresholds');

/** SHA-256 in hex over the thresholds with sorted keys: equal configurations have equal hashes, whatever their key order. */
export function thresholdsSha256(thresholds: Thresholds): string {
  const sorted = JSON.stringify(thresholds, (_key, node: unknown) =>
    node !== null && typeof node === 'object' && !Array.isArray(node)
      ? Object.fromEntries(Object.entries(node).sort(([a], [b]) => (a < b ? -1 : 1)))
      : node,
  );
  return createHash('sha256').update(sorted).digest('hex');
}
