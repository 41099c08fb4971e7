/** What jobs of one run share in the worker: the prepared set and the networks, built once. */
import { join } from 'node:path';
import { loadTensors } from '#model/checkpoint/network-file.ts';
import type { ModelConfig } from '#model/config.ts';
import { Emixer, travelling } from '#model/emixer/emixer.ts';
import { modelConfigOf, type RunConfig } from '#model/federated.ts';
import { Vocabulary } from '#model/text/vocabulary.ts';
import type { StreamKeys } from '#model/training/trainer.ts';
import { FedError } from '#proto/errors.ts';
import { openPrepared, type PreparedSet } from '../../data/prepared.ts';
import { trainingView } from '../../data/training-view.ts';
import type { WorkerJob } from '../messages.ts';

type JobWithWeights = Extract<WorkerJob, { weightsPath: string | null }>;

export interface WeightedContext {
  readonly config: ModelConfig;
  readonly keys: StreamKeys;
  readonly data: PreparedSet;
  /** With the job's global weights in it, or freshly initialised where there are none yet. */
  readonly model: Emixer;
}

let opened: { readonly dir: string; readonly set: PreparedSet } | undefined;
let current: Emixer | undefined;

/** @throws FedError DATA_INVALID when the set was prepared for another size of image */
export async function preparedSet(dir: string, run: RunConfig): Promise<PreparedSet> {
  if (opened?.dir !== dir) opened = { dir, set: await openPrepared(dir) };
  const { resolution, imageChannels } = modelConfigOf(run);
  const { set } = opened;
  if (set.resolution !== resolution || set.imageChannels !== imageChannels) {
    throw new FedError(
      'DATA_INVALID',
      `the run needs images of ${resolution}x${resolution}x${imageChannels}; the prepared set has ${set.resolution}x${set.resolution}x${set.imageChannels}`,
      `prepare the data again with --resolution ${resolution}`,
    );
  }
  return set;
}

/** As the run's configuration trains on it. @throws as preparedSet */
export const trainingSet = async (dir: string, run: RunConfig): Promise<PreparedSet> =>
  trainingView(await preparedSet(dir, run), modelConfigOf(run));

export async function weightedContext(job: JobWithWeights): Promise<WeightedContext> {
  const config = modelConfigOf(job.run);
  const keys = { seed: job.run.seed, site: job.siteIndex };
  const data = await trainingSet(job.preparedDir, job.run);
  const model = freshModel(job, config);
  if (job.weightsPath !== null) await loadTensors(job.weightsPath, travelling(model));
  return { config, keys, data, model };
}

/** Always as initialised from the seed: what a task starts from must not depend on which tasks this process served. */
function freshModel(job: JobWithWeights, config: ModelConfig): Emixer {
  current?.dispose();
  const model = new Emixer(config, new Vocabulary(job.vocabulary), { run: job.run.seed, site: job.siteIndex });
  current = model;
  return model;
}

/** Files of a run that stay in the site's state folder. */
export const stateFiles = (stateDir: string) => ({
  local: join(stateDir, 'local.safetensors'),
  extractor: join(stateDir, 'extractor.safetensors'),
});
