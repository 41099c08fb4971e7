/** How good the global weights are on this site's own records: perplexity of F, FID of G. */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import { ImageGenerator } from '#model/emixer/image-generator.ts';
import { FeatureAccumulator, type FeatureStatistics, fid } from '#model/evaluate/fid.ts';
import { addLikelihoods, decoderLikelihood, type EvaluationBatch, UnigramModel } from '#model/evaluate/perplexity.ts';
import type { SiteEvaluation } from '#model/federated.ts';
import { generateImages } from '#model/generation/generate-pairs.ts';
import { empiricalLabels } from '#model/generation/label-distribution.ts';
import { makeStanding } from '#model/generation/standing.ts';
import { Random } from '#model/random.ts';
import type { ReportGrid } from '#model/text/vocabulary.ts';
import { inSplit, isLabelled, type TrainingRecord } from '#model/training/dataset.ts';
import { imageTensor, reportGrid } from '#model/training/tensors.ts';
import type { Split } from '../../data/record.ts';
import { readIfThere, writePrivateFile } from '../../state.ts';
import type { EvaluateJob } from '../messages.ts';
import { type WeightedContext, weightedContext } from './context.ts';
import { type Extractor, loadExtractor } from './extractor.ts';
import type { ReportProgress } from './run-job.ts';

const BATCH = 64;

export async function evaluate(job: EvaluateJob, onProgress: ReportProgress): Promise<SiteEvaluation> {
  const context = await weightedContext(job);
  const extractor = await loadExtractor(job, context, onProgress);
  const { evaluationImages } = job.run;
  /** After every batch: says that the job is alive, and lets the event loop notice when its agent is not. */
  const alive = async (images = 0) => {
    onProgress(images, evaluationImages, {});
    await setImmediate();
  };
  try {
    const real = await realStatistics(context, extractor, alive);
    return {
      ...(await reportLikelihoods(context, alive)),
      fid: real && fid(real, await generatedStatistics(job, context, context.model.generator, extractor, alive)),
      fidUntrained: real && (await untrainedFid(job, context, extractor, real, alive)),
      extractorSha256: extractor.sha256,
      images: evaluationImages,
    };
  } finally {
    extractor.encoder.dispose();
  }
}

type Alive = (images?: number) => Promise<void>;

/** F and the unigram model of this site's training reports, on the reports that neither has seen. */
async function reportLikelihoods({ data, model, config }: WeightedContext, alive: Alive) {
  const { encoder, reportGenerator, vocabulary } = model;
  const reported = (...splits: Split[]) => inSplit(data, ...splits).filter(record => record.report !== null);
  const batchesOf = (records: readonly TrainingRecord[]) =>
    Array.from({ length: Math.ceil(records.length / BATCH) }, (_, i) => records.slice(i * BATCH, (i + 1) * BATCH));
  const gridOf = (records: readonly TrainingRecord[]) => reportGrid(records, vocabulary, config.report);
  async function* heldOut(): AsyncGenerator<EvaluationBatch> {
    for (const records of batchesOf(reported('validation', 'test'))) {
      const pixels = await data.readImages(records.map(record => record.index));
      yield { features: tf.tidy(() => encoder.features(imageTensor(pixels, data))), grid: gridOf(records) };
      await alive();
    }
  }
  // One grid at a time: those of all training reports together would take more memory than everything else.
  function* grids(records: readonly TrainingRecord[]): Generator<ReportGrid> {
    for (const batch of batchesOf(records)) yield gridOf(batch);
  }
  const decoder = await decoderLikelihood(reportGenerator, heldOut());
  const unigrams = new UnigramModel(vocabulary, grids(reported('train')));
  const unigram = batchesOf(reported('validation', 'test'))
    .map(records => unigrams.logLikelihood(gridOf(records)))
    .reduce(addLikelihoods, { nllSum: 0, tokens: 0 });
  return { nllSum: decoder.nllSum, tokens: decoder.tokens, unigramNllSum: unigram.nllSum };
}

let lastReal: { readonly extractorSha256: string; readonly statistics: FeatureStatistics | null } | undefined;

/**
 * Of the site's training images, as is usual for FID; the same for every round of a run. Null with fewer than two, and
 * where no label has trained the extractor: distances between features that mean nothing say nothing.
 */
async function realStatistics(
  context: WeightedContext,
  extractor: Extractor,
  alive: Alive,
): Promise<FeatureStatistics | null> {
  if (lastReal?.extractorSha256 !== extractor.sha256) {
    lastReal = { extractorSha256: extractor.sha256, statistics: await measureReal(context, extractor, alive) };
  }
  return lastReal.statistics;
}

async function measureReal(
  { data }: WeightedContext,
  extractor: Extractor,
  alive: Alive,
): Promise<FeatureStatistics | null> {
  const train = inSplit(data, 'train');
  if (train.length < 2 || !train.some(isLabelled)) return null;
  const indices = train.map(record => record.index);
  const accumulator = new FeatureAccumulator(extractor.encoder.pooledWidth);
  for (let start = 0; start < indices.length; start += BATCH) {
    const pixels = await data.readImages(indices.slice(start, start + BATCH));
    accumulator.add(featuresOf(pixels, data, extractor));
    await alive();
  }
  return accumulator.statistics();
}

async function generatedStatistics(
  job: EvaluateJob,
  { data, config, keys }: WeightedContext,
  generator: ImageGenerator,
  extractor: Extractor,
  alive: Alive,
): Promise<FeatureStatistics> {
  const labels = empiricalLabels(inSplit(data, 'train'), config.labelMode);
  makeStanding(generator, { batches: config.standingBatches, batchSize: config.batchSize, labels, seed: keys.seed });
  const accumulator = new FeatureAccumulator(extractor.encoder.pooledWidth);
  const options = { count: job.run.evaluationImages, batchSize: BATCH, labels, seed: keys.seed };
  let done = 0;
  for (const pixels of generateImages({ generator }, options)) {
    accumulator.add(featuresOf(pixels, data, extractor));
    done += BATCH;
    await alive(Math.min(done, options.count));
  }
  return accumulator.statistics();
}

/** FID of G as it was initialised, under the same extractor; computed once a run. */
async function untrainedFid(
  job: EvaluateJob,
  context: WeightedContext,
  extractor: Extractor,
  real: FeatureStatistics,
  alive: Alive,
): Promise<number> {
  const path = join(job.stateDir, `fid-untrained-${extractor.sha256}.json`);
  const known = await readIfThere(path);
  if (known !== undefined) return Number(JSON.parse(known));
  const generator = new ImageGenerator(context.config, new Random(context.keys.seed, 'initial', 'G'));
  try {
    const value = fid(real, await generatedStatistics(job, context, generator, extractor, alive));
    await writePrivateFile(path, JSON.stringify(value));
    return value;
  } finally {
    generator.dispose();
  }
}

const featuresOf = (pixels: Uint8Array, data: WeightedContext['data'], { encoder }: Extractor): Float32Array =>
  tf.tidy(() => encoder.pooledFeatures(imageTensor(pixels, data)).dataSync() as Float32Array);
