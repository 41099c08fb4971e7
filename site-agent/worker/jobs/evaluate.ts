/** How good the global weights are on this site's own records: perplexity of F, FID of G. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { ImageGenerator } from '#model/emixer/image-generator.ts';
import { FeatureAccumulator, type FeatureStatistics, fid } from '#model/evaluate/fid.ts';
import { addLikelihoods, decoderLikelihood, type EvaluationBatch, UnigramModel } from '#model/evaluate/perplexity.ts';
import type { SiteEvaluation } from '#model/federated.ts';
import { generateImages } from '#model/generation/generate-pairs.ts';
import { empiricalLabels } from '#model/generation/label-distribution.ts';
import { makeStanding } from '#model/generation/standing.ts';
import { Random } from '#model/random.ts';
import { inSplit, type TrainingRecord } from '#model/training/dataset.ts';
import { imageTensor, reportGrid } from '#model/training/tensors.ts';
import type { Split } from '../../data/record.ts';
import type { EvaluateJob } from '../messages.ts';
import { type WeightedContext, weightedContext } from './context.ts';
import { type Extractor, loadExtractor } from './extractor.ts';

const BATCH = 64;

export async function evaluate(job: EvaluateJob): Promise<SiteEvaluation> {
  const context = await weightedContext(job);
  const extractor = await loadExtractor(job, context);
  try {
    const real = await realStatistics(context, extractor);
    return {
      ...(await reportLikelihoods(context)),
      fid: real && fid(real, generatedStatistics(job, context, context.model.generator, extractor)),
      fidUntrained: real && (await untrainedFid(job, context, extractor, real)),
      extractorSha256: extractor.sha256,
      images: job.run.evaluationImages,
    };
  } finally {
    extractor.encoder.dispose();
  }
}

/** F and the unigram model of this site's training reports, on the reports that neither has seen. */
async function reportLikelihoods({ data, model, config }: WeightedContext) {
  const { encoder, reportGenerator, vocabulary } = model;
  const reported = (...splits: Split[]) => inSplit(data, ...splits).filter(record => record.report !== null);
  const batchesOf = (records: readonly TrainingRecord[]) =>
    Array.from({ length: Math.ceil(records.length / BATCH) }, (_, i) => records.slice(i * BATCH, (i + 1) * BATCH));
  const gridOf = (records: readonly TrainingRecord[]) => reportGrid(records, vocabulary, config.report);
  async function* heldOut(): AsyncGenerator<EvaluationBatch> {
    for (const records of batchesOf(reported('validation', 'test'))) {
      const pixels = await data.readImages(records.map(record => record.index));
      yield { features: tf.tidy(() => encoder.features(imageTensor(pixels, data))), grid: gridOf(records) };
    }
  }
  const decoder = await decoderLikelihood(reportGenerator, heldOut());
  const unigrams = new UnigramModel(vocabulary, batchesOf(reported('train')).map(gridOf));
  const unigram = batchesOf(reported('validation', 'test'))
    .map(records => unigrams.logLikelihood(gridOf(records)))
    .reduce(addLikelihoods, { nllSum: 0, tokens: 0 });
  return { nllSum: decoder.nllSum, tokens: decoder.tokens, unigramNllSum: unigram.nllSum };
}

let lastReal: { readonly extractorSha256: string; readonly statistics: FeatureStatistics | null } | undefined;

/** Of the site's training images, as is usual for FID; null with fewer than two. The same for every round of a run. */
async function realStatistics(context: WeightedContext, extractor: Extractor): Promise<FeatureStatistics | null> {
  if (lastReal?.extractorSha256 !== extractor.sha256) {
    lastReal = { extractorSha256: extractor.sha256, statistics: await measureReal(context, extractor) };
  }
  return lastReal.statistics;
}

async function measureReal({ data }: WeightedContext, extractor: Extractor): Promise<FeatureStatistics | null> {
  const indices = inSplit(data, 'train').map(record => record.index);
  if (indices.length < 2) return null;
  const accumulator = new FeatureAccumulator(extractor.encoder.pooledWidth);
  for (let start = 0; start < indices.length; start += BATCH) {
    const pixels = await data.readImages(indices.slice(start, start + BATCH));
    accumulator.add(featuresOf(pixels, data, extractor));
  }
  return accumulator.statistics();
}

function generatedStatistics(
  job: EvaluateJob,
  { data, config, keys }: WeightedContext,
  generator: ImageGenerator,
  extractor: Extractor,
): FeatureStatistics {
  const labels = empiricalLabels(inSplit(data, 'train'), config.labelMode);
  makeStanding(generator, { batches: config.standingBatches, batchSize: config.batchSize, labels, seed: keys.seed });
  const accumulator = new FeatureAccumulator(extractor.encoder.pooledWidth);
  const options = { count: job.run.evaluationImages, batchSize: BATCH, labels, seed: keys.seed };
  for (const pixels of generateImages({ generator }, options)) accumulator.add(featuresOf(pixels, data, extractor));
  return accumulator.statistics();
}

/** FID of G as it was initialised, under the same extractor; computed once a run. */
async function untrainedFid(
  job: EvaluateJob,
  context: WeightedContext,
  extractor: Extractor,
  real: FeatureStatistics,
): Promise<number> {
  const path = join(job.stateDir, `fid-untrained-${extractor.sha256}.json`);
  const known = await readFile(path, 'utf8').catch(() => null);
  if (known !== null) return Number(JSON.parse(known));
  const generator = new ImageGenerator(context.config, new Random(context.keys.seed, 'initial', 'G'));
  try {
    const value = fid(real, generatedStatistics(job, context, generator, extractor));
    await writeFile(path, JSON.stringify(value));
    return value;
  } finally {
    generator.dispose();
  }
}

const featuresOf = (pixels: Uint8Array, data: WeightedContext['data'], { encoder }: Extractor): Float32Array =>
  tf.tidy(() => encoder.pooledFeatures(imageTensor(pixels, data)).dataSync() as Float32Array);
