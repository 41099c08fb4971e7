/**
 * The site's own feature extractor for FID: an encoder of the same family that G's gradients never pass through, trained
 * on the site's labels, never sent anywhere.
 */
import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import { bytesOf, loadTensors, saveTensors, tensorsOf } from '#model/checkpoint/network-file.ts';
import { ImageEncoder } from '#model/emixer/image-encoder.ts';
import { Random } from '#model/random.ts';
import { EncoderTrainer } from '#model/training/encoder-trainer.ts';
import type { EvaluateJob, TrainJob } from '../messages.ts';
import { stateFiles, type WeightedContext } from './context.ts';
import type { ReportProgress } from './run-job.ts';

export interface Extractor {
  readonly encoder: ImageEncoder;
  /** Of its weights: FIDs are comparable only under the same extractor. */
  readonly sha256: string;
}

/**
 * Trains and stores it unless that was done; as many steps as the encoder pre-training has a round.
 * @param onProgress hears that the job is alive: no step of the task itself is done meanwhile
 */
export async function trainExtractor(
  job: TrainJob | EvaluateJob,
  context: WeightedContext,
  onProgress: ReportProgress,
): Promise<void> {
  const path = stateFiles(job.stateDir).extractor;
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (there) return;
  const { config, data, keys } = context;
  const encoder = emptyExtractor(context);
  // Every label, whatever share of them the run may use: FIDs of runs with different shares can be compared.
  const trainer = new EncoderTrainer(encoder, { ...config, labelledFraction: 1 }, data, keys, 'extractor');
  try {
    const { steps } = job.run.encoderPretraining;
    for (let step = 0; step < steps; step++) {
      await trainer.step(step);
      onProgress(0, steps, {});
    }
    await saveTensors(path, tensorsOf([encoder.parameters]));
  } finally {
    trainer.dispose();
    encoder.dispose();
  }
}

/** The stored extractor; the caller disposes of its encoder. */
export async function loadExtractor(
  job: EvaluateJob,
  context: WeightedContext,
  onProgress: ReportProgress,
): Promise<Extractor> {
  await trainExtractor(job, context, onProgress);
  const encoder = emptyExtractor(context);
  await loadTensors(stateFiles(job.stateDir).extractor, tensorsOf([encoder.parameters]));
  const hash = createHash('sha256');
  for (const [name, tensor] of tensorsOf([encoder.parameters])) hash.update(name).update(bytesOf(tensor));
  return { encoder, sha256: hash.digest('hex') };
}

const emptyExtractor = ({ config, keys }: WeightedContext): ImageEncoder =>
  new ImageEncoder(config, 'E', new Random(keys.seed, 'initial', 'E', keys.site));
