/** STAGE_GENERATION: the pairs that are audited and perhaps released, from the averaged (EMA) weights. */
import { loadTensors, saveTensors, tensorsOf } from '#model/checkpoint/network-file.ts';
import { travelling } from '#model/emixer/emixer.ts';
import { generatePairs } from '#model/generation/generate-pairs.ts';
import { marginalLabels } from '#model/generation/label-distribution.ts';
import { makeStanding } from '#model/generation/standing.ts';
import { SyntheticWriter } from '#model/generation/synthetic-file.ts';
import type { GenerateJob } from '../messages.ts';
import { weightedContext } from './context.ts';
import type { ReportProgress } from './run-job.ts';

const BATCH = 64;

export async function generate(job: GenerateJob, onProgress: ReportProgress): Promise<null> {
  const { config, model } = await weightedContext(job);
  await loadTensors(job.emaWeightsPath, travelling(model));
  const labels = marginalLabels(job.statistics);
  const { seed, pairs: count } = job.run;
  makeStanding(model.generator, { batches: config.standingBatches, batchSize: config.batchSize, labels, seed });
  await saveTensors(job.modelOutPath, tensorsOf(model.shared));
  const { resolution, imageChannels } = config;
  const writer = await SyntheticWriter.create(job.syntheticOutPath, {
    resolution,
    imageChannels,
    labels: config.labels,
  });
  let done = 0;
  for (const batch of generatePairs(model, { count, batchSize: BATCH, labels, seed })) {
    await writer.append(batch);
    done += batch.reports.length;
    onProgress(done, count, {});
  }
  await writer.finish();
  return null;
}
