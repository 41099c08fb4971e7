/** The configuration of one EMIXER: architecture, losses and optimiser, with the presets a run may name. */

import { type Static, Type } from 'typebox';
import { FedError } from '#proto/errors.ts';
import { parseWith } from '#proto/validate.ts';

const closed = { additionalProperties: false };
const count = (minimum: number, maximum: number, description: string) =>
  Type.Integer({ minimum, maximum, description });
const rate = (description: string) => Type.Number({ exclusiveMinimum: 0, maximum: 1, description });
const weight = (description: string) => Type.Number({ minimum: 0, description });
const share = (description: string) => Type.Number({ minimum: 0, maximum: 1, description });

export const ModelConfigSchema = Type.Object(
  {
    resolution: Type.Union([Type.Literal(32), Type.Literal(64), Type.Literal(128)], {
      description: 'side of the square image in pixels',
    }),
    imageChannels: Type.Union([Type.Literal(1), Type.Literal(3)], { description: '1 grey, 3 colour' }),
    channels: count(8, 256, 'ch: the width multiplier of G and D_image, a multiple of 8 (96 in the paper)'),
    labels: count(1, 64, "length of y; the loaders give CheXpert's 14"),
    labelMode: Type.Union([Type.Literal('multihot'), Type.Literal('onehot')], {
      description: 'y of real and generated images: a whole row of labels, or one of its positives drawn at random',
    }),
    labelledFraction: Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      description: "share of a site's labelled training records whose labels are used, stratified over the labels",
    }),
    unlabelled: Type.Union([Type.Literal('masked'), Type.Literal('predicted')], {
      description: 'a real image without labels in D_image: no projection term, or the label head predicts y (S3GAN)',
    }),
    encoder: Type.Object(
      {
        growth: count(4, 64, "DenseNet's growth; 32 with blocks 6, 12, 24, 16 is DenseNet-121"),
        blocks: Type.Array(count(1, 32, 'layers of a block'), {
          minItems: 4,
          maxItems: 4,
          description: 'layers of the four blocks',
        }),
      },
      closed,
    ),
    report: Type.Object(
      {
        maxSentences: count(1, 30, 'S: sentences a report'),
        maxWords: count(2, 60, 'T: words a sentence, end token not counted'),
        hidden: count(8, 1024, 'width of the sentence and word LSTMs'),
        embedding: count(8, 1024, 'width of word embeddings and topics'),
        wordLayers: count(1, 4, 'layers of the word LSTM'),
        sections: Type.Union([Type.Literal('findings+impression'), Type.Literal('findings')], {
          description: 'what of a report is learnt',
        }),
        minOccurrences: count(1, 1000, 'a word seen less often in the training reports is unknown'),
      },
      closed,
    ),
    decoding: Type.Object(
      {
        method: Type.Union([Type.Literal('greedy'), Type.Literal('sample'), Type.Literal('beam')], {
          description: 'how F writes the reports of generated pairs',
        }),
        temperature: Type.Number({ exclusiveMinimum: 0, maximum: 10, description: 'of `sample`; below 1 sharpens' }),
        topP: Type.Number({
          exclusiveMinimum: 0,
          maximum: 1,
          description: 'of `sample`: the most likely words with this much probability together; 1 for all',
        }),
        beams: count(1, 16, 'of `beam`: sentences kept at every word'),
      },
      closed,
    ),
    dropDuplicateImages: Type.Boolean({ description: 'of pixel-identical images only the first is trained on' }),
    reportDiscriminator: Type.Object(
      {
        embedding: count(8, 512, 'width of word embeddings'),
        hidden: count(8, 1024, 'width of the LSTM'),
        maxTokens: count(4, 400, 'tokens of a report that D_report and D_joint read'),
      },
      closed,
    ),
    jointDiscriminator: Type.Object(
      {
        embedding: count(8, 512, 'width of word embeddings'),
        hidden: count(8, 1024, 'width of the LSTM'),
        imageFeatures: Type.Union([Type.Literal('pooled'), Type.Literal('unpooled')], {
          description: "what of D_joint's image trunk meets the report: sums over the places, or every place",
        }),
        mismatched: Type.Boolean({ description: 'real images with reports of other labels are half of its fakes' }),
      },
      closed,
    ),
    spectralNormOnLstm: Type.Boolean({
      description: "also divides D_report's and D_joint's LSTM matrices, W_x and W_h each, by their spectral norm",
    }),
    loss: Type.Union([Type.Literal('hinge'), Type.Literal('log')], {
      description: 'D_image; D_report and D_joint always use the non-saturating log loss',
    }),
    rotation: Type.Object(
      {
        discriminatorWeight: weight("of the rotation loss in D_image's loss"),
        generatorWeight: weight("of the rotation loss in G's loss"),
        fraction: share('the last batch * fraction images are rotated; 0 for none'),
      },
      closed,
    ),
    optimiser: Type.Object(
      {
        generatorRate: rate('of G'),
        discriminatorRate: rate('of D_image'),
        textRate: rate("of F's decoder, D_report and D_joint in adversarial rounds"),
        pretrainingRate: rate('of encoder and report pre-training'),
        discriminatorSteps: count(1, 10, 'discriminator updates before each generator update'),
        clipNorm: Type.Number({ exclusiveMinimum: 0, description: 'global norm of the gradient in pre-training' }),
      },
      closed,
    ),
    gumbelBetaMax: Type.Number({
      minimum: 1,
      description: 'inverse temperature of the Gumbel-softmax at the last step',
    }),
    textGradToG: share("scales what D_report and D_joint send to G through F's frozen encoder"),
    mleWeight: weight("of F's MLE loss during adversarial training"),
    batchSize: count(1, 2048, 'records a step of adversarial training'),
    microBatchSize: count(
      0,
      2048,
      'records that are in memory at once: gradients are added up over batchSize / microBatchSize parts; 0 for one part',
    ),
    pretrainingBatchSize: count(1, 2048, 'records a step of the pre-training of the encoder and of F'),
    standingBatches: count(1, 64, "forward passes that refresh G's batch-norm statistics before sampling"),
  },
  closed,
);

export type ModelConfig = Static<typeof ModelConfigSchema>;

const biggan128: ModelConfig = {
  resolution: 128,
  imageChannels: 1,
  channels: 64,
  labels: 14,
  labelMode: 'multihot',
  labelledFraction: 1,
  unlabelled: 'masked',
  encoder: { growth: 32, blocks: [6, 12, 24, 16] },
  report: {
    maxSentences: 10,
    maxWords: 30,
    hidden: 512,
    embedding: 512,
    wordLayers: 3,
    sections: 'findings+impression',
    minOccurrences: 1,
  },
  // Below 1, so that a decoder trained for minutes does not wander; greedy would write one report for every image.
  decoding: { method: 'sample', temperature: 0.7, topP: 1, beams: 4 },
  dropDuplicateImages: false,
  reportDiscriminator: { embedding: 128, hidden: 512, maxTokens: 100 },
  jointDiscriminator: { embedding: 128, hidden: 512, imageFeatures: 'pooled', mismatched: true },
  spectralNormOnLstm: false,
  loss: 'hinge',
  rotation: { discriminatorWeight: 1, generatorWeight: 0.2, fraction: 0.25 },
  optimiser: {
    generatorRate: 5e-5,
    discriminatorRate: 2e-4,
    textRate: 1e-4,
    pretrainingRate: 1e-3,
    discriminatorSteps: 2,
    clipNorm: 5,
  },
  gumbelBetaMax: 100,
  textGradToG: 1,
  mleWeight: 1,
  batchSize: 64,
  microBatchSize: 0,
  pretrainingBatchSize: 64,
  standingBatches: 16,
};

/** Presets by name. Everything in them may be overridden in a run's `model` section. */
export const presets = {
  biggan128,
  // The paper's own settings (sections 6.3.1 and 6.3.2), where its text says them.
  paper: {
    ...biggan128,
    imageChannels: 3,
    channels: 96,
    labelMode: 'onehot',
    report: { ...biggan128.report, sections: 'findings', minOccurrences: 6 },
    dropDuplicateImages: true,
    jointDiscriminator: { ...biggan128.jointDiscriminator, imageFeatures: 'unpooled', mismatched: false },
    loss: 'log',
    batchSize: 512,
    microBatchSize: 32,
  },
  // MIMIC-CXR on one GPU of a hospital: half the width, and what CheXpert's labeller left blank is predicted.
  mimic128: {
    ...biggan128,
    channels: 32,
    unlabelled: 'predicted',
    batchSize: 128,
    microBatchSize: 32,
  },
  openi64: {
    ...biggan128,
    resolution: 64,
    channels: 16,
    encoder: { growth: 8, blocks: [2, 4, 6, 4] },
    report: { ...biggan128.report, maxSentences: 8, maxWords: 20, hidden: 256, embedding: 256 },
    reportDiscriminator: { embedding: 64, hidden: 256, maxTokens: 60 },
    jointDiscriminator: { ...biggan128.jointDiscriminator, embedding: 64, hidden: 256 },
    batchSize: 16,
    pretrainingBatchSize: 32,
  },
  phantom32: {
    ...biggan128,
    resolution: 32,
    channels: 8,
    encoder: { growth: 8, blocks: [2, 4, 6, 4] },
    report: { ...biggan128.report, maxSentences: 8, maxWords: 20, hidden: 128, embedding: 128 },
    reportDiscriminator: { embedding: 64, hidden: 128, maxTokens: 40 },
    jointDiscriminator: { ...biggan128.jointDiscriminator, embedding: 64, hidden: 128 },
    // A demo pre-trains for some 60 steps. The adversarial rates stay the paper's: with larger ones FID passes, within the
    // demo's minutes, through the bad stretch that it otherwise meets after a hundred steps and leaves after some 200.
    optimiser: { ...biggan128.optimiser, pretrainingRate: 2e-3 },
    batchSize: 8,
    pretrainingBatchSize: 16,
  },
} as const satisfies Record<string, ModelConfig>;

export type PresetName = keyof typeof presets;

/**
 * The preset with the overrides applied, validated.
 * @throws FedError CONFIG_INVALID on an unknown preset or field, or an impossible value
 */
export function resolveModelConfig(preset: string, overrides: object = {}): ModelConfig {
  if (!Object.hasOwn(presets, preset)) {
    throw new FedError(
      'CONFIG_INVALID',
      `unknown preset "${preset}"; known are ${Object.keys(presets).join(', ')}`,
      'choose one of them',
    );
  }
  const config = parseWith(ModelConfigSchema, merge(presets[preset as PresetName], overrides), `preset ${preset}`);
  if (config.channels % 8 !== 0) {
    throw new FedError('CONFIG_INVALID', `channels is ${config.channels}; expected a multiple of 8`, 'e.g. 8, 16, 96');
  }
  const { batchSize, microBatchSize } = config;
  if (microBatchSize > 0 && batchSize % microBatchSize !== 0) {
    throw new FedError(
      'CONFIG_INVALID',
      `microBatchSize is ${microBatchSize}; expected 0 or a divisor of batchSize, ${batchSize}`,
      'choose one that divides it, so that every part weighs the same',
    );
  }
  if (config.jointDiscriminator.mismatched && (microBatchSize || batchSize) === 1) {
    throw new FedError(
      'CONFIG_INVALID',
      'one record at once, and jointDiscriminator.mismatched; expected at least two, since the other report is of another record',
      'raise microBatchSize (or batchSize), or set jointDiscriminator.mismatched to false',
    );
  }
  return config;
}

/** Deep merge of plain objects; arrays and scalars of `overrides` replace. */
function merge(base: object, overrides: object): Record<string, unknown> {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(overrides)) {
    const current = result[key];
    const nested = isPlain(current) && isPlain(value);
    result[key] = nested ? merge(current, value) : value;
  }
  return result;
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
