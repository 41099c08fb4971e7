/** What the coordinator, the agents and the training workers agree on about one federated run, free of TensorFlow. */
import { createHash } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { FedError } from '#proto/errors.ts';
import { parseWith } from '#proto/validate.ts';
import { type ModelConfig, resolveModelConfig } from './config.ts';
import { LABELS } from './labels.ts';

const closed = { additionalProperties: false };
const integer = (minimum: number, maximum: number, fallback: number, description: string) =>
  Type.Integer({ minimum, maximum, default: fallback, description });
const stage = (rounds: number, steps: number, roundsDescription: string) =>
  Type.Object(
    {
      rounds: integer(0, 100_000, rounds, roundsDescription),
      steps: integer(1, 1_000_000, steps, 'local steps of every site in a round'),
    },
    { ...closed, default: {} },
  );

/** The stages of a run, in order (the table of docs/architecture.md). */
export const STAGES = [
  'statistics',
  'encoder-pretraining',
  'report-pretraining',
  'adversarial',
  'generation',
  'audit',
] as const;
export type StageName = (typeof STAGES)[number];

export const RunConfigSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100, default: 'emixer', description: 'for people; ids are made' }),
    preset: Type.String({ default: 'phantom32', description: 'a model by name, see the presets below' }),
    model: Type.Record(Type.String(), Type.Unknown(), {
      default: {},
      description: 'overrides of any field of the preset, see the model configuration below',
    }),
    seed: integer(0, 2 ** 31 - 1, 1, 'of initial weights, batches, noise and generation'),
    sites: Type.Array(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }), {
      minItems: 1,
      maxItems: 64,
      uniqueItems: true,
      description: 'names of enrolled sites',
    }),
    quorum: integer(
      0,
      64,
      0,
      'a step closes when every site has answered, or at its deadline with at least this many; with fewer the run stops. 0 means all',
    ),
    roundDeadlineMs: integer(1_000, 30 * 24 * 3_600_000, 3_600_000, 'how long a step waits for its sites'),
    federation: Type.Literal('local-d', {
      default: 'local-d',
      description: 'G and F are averaged; discriminators and optimiser state stay at the site',
    }),
    vocabulary: Type.Object(
      {
        minPatients: integer(
          1,
          1_000,
          3,
          'a token is revealed by a site only when at least this many of its patients used it',
        ),
        minSites: integer(1, 64, 2, 'a token enters the vocabulary only when at least this many sites revealed it'),
        maxTokens: integer(4, 100_000, 5_000, 'the most frequent tokens are kept'),
      },
      { ...closed, default: {} },
    ),
    minCell: integer(1, 100, 5, 'label counts below this are reported as null'),
    encoderPretraining: stage(1, 60, 'rounds of encoder pre-training; 0 leaves it out'),
    reportPretraining: stage(1, 60, 'rounds of report pre-training; 0 leaves it out'),
    adversarial: stage(3, 20, 'adversarial rounds, at least 1'),
    emaDecay: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      default: 0.9999,
      description: 'of the average over the global weights, a step; smaller in the first steps',
    }),
    evaluationImages: integer(2, 100_000, 600, 'images generated for each FID'),
    pairs: integer(
      1,
      1_000_000,
      600,
      'synthetic pairs generated at the end, audited, and released or withheld; the image gate needs 2,995 to pass',
    ),
    audit: Type.Record(Type.String(), Type.Unknown(), {
      default: {},
      description: 'overrides of audit thresholds, see below',
    }),
  },
  closed,
);

export type RunConfig = Static<typeof RunConfigSchema>;

/** @throws FedError CONFIG_INVALID on unknown keys, impossible values, unknown preset, another number of labels than the records have */
export function parseRunConfig(value: unknown, what = 'run configuration'): RunConfig {
  const config = parseWith(RunConfigSchema, value, what);
  const { labels } = resolveModelConfig(config.preset, config.model);
  if (labels !== LABELS.length) {
    const message = `model.labels is ${labels}; the records of every site have ${LABELS.length}`;
    throw new FedError('CONFIG_INVALID', message, 'leave model.labels out');
  }
  return config;
}

export const modelConfigOf = (run: RunConfig): ModelConfig => resolveModelConfig(run.preset, run.model);

/** JSON with sorted keys: the same configuration has the same bytes, and so the same hash, everywhere. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, node: unknown) =>
    node !== null && typeof node === 'object' && !Array.isArray(node)
      ? Object.fromEntries(Object.entries(node).sort(([a], [b]) => (a < b ? -1 : 1)))
      : node,
  );
}

export const runHash = (run: RunConfig): Buffer => createHash('sha256').update(canonicalJson(run)).digest();

/** What one site reveals about its training records in STAGE_STATISTICS. Counts below the run's minCell are null. */
export const SiteStatisticsSchema = Type.Object(
  {
    patients: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    records: Type.Integer({ minimum: 0 }),
    recordsWithReport: Type.Integer({ minimum: 0 }),
    /** Positive training records by label name; null where suppressed. */
    labels: Type.Record(Type.String(), Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])),
    /** Tokens that at least minPatients patients used, with the number of patients. */
    tokens: Type.Record(Type.String({ maxLength: 64 }), Type.Integer({ minimum: 1 })),
  },
  closed,
);
export type SiteStatistics = Static<typeof SiteStatisticsSchema>;

/** What every site is told before training: totals only. */
export interface GlobalStatistics {
  readonly records: number;
  readonly sites: number;
  /** Sum over sites of the unsuppressed counts. */
  readonly labels: Readonly<Record<string, number>>;
}

/** Metrics of one site's evaluation of the global weights on its own records; sums, so that totals are exact. */
export interface SiteEvaluation {
  /** Validation + test reports: sum of negative log-likelihoods (nats) of F's words, and the tokens, end tokens counted. */
  readonly nllSum: number;
  readonly tokens: number;
  /** The same under an add-one unigram model of this site's training reports over the same vocabulary. */
  readonly unigramNllSum: number;
  /** Null where the site has too few images, or no label to train the extractor with. */
  readonly fid: number | null;
  readonly fidUntrained: number | null;
  /** SHA-256 of the extractor's weights: FIDs are comparable only under the same one. */
  readonly extractorSha256: string;
  readonly images: number;
}

/** Where the report half of a tensor name falls: the encoder is part of F, but counts the records that trained it. */
export type WeightGroup = 'G' | 'F/encoder' | 'F/decoder';
export const WEIGHT_GROUPS: readonly WeightGroup[] = ['G', 'F/encoder', 'F/decoder'];

/** The group (ModuleRecords.module) that decides a tensor's weight in the average, or undefined if it may not travel. */
export const weightGroupOf = (tensor: string): WeightGroup | undefined =>
  WEIGHT_GROUPS.find(group => tensor.startsWith(`${group}/`));
