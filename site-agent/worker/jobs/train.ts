/** A round of one training stage at this site: from the global weights to a contribution of G and F. */
import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import { saveTensors } from '#model/checkpoint/network-file.ts';
import { travelling } from '#model/emixer/emixer.ts';
import { WEIGHT_GROUPS } from '#model/federated.ts';
import { AdversarialTrainer } from '#model/training/adversarial-trainer.ts';
import { EncoderTrainer } from '#model/training/encoder-trainer.ts';
import { loadLocalState, type Progress, saveLocalState } from '#model/training/local-state.ts';
import { ReportTrainer } from '#model/training/report-trainer.ts';
import { identityOf } from '#model/training/state-identity.ts';
import type { Trainer } from '#model/training/trainer.ts';
import type { TrainJob, TrainOutcome } from '../messages.ts';
import { stateFiles, type WeightedContext, weightedContext } from './context.ts';
import { trainExtractor } from './extractor.ts';
import type { ReportProgress } from './run-job.ts';

export async function train(job: TrainJob, onProgress: ReportProgress): Promise<TrainOutcome> {
  const context = await weightedContext(job);
  if (job.stage === 'encoder-pretraining') await trainExtractor(job, context, onProgress);
  const { trainer, steps, firstStep } = trainerOf(job, context);
  try {
    let progress = await begin(job, trainer, context);
    while (progress.step < steps) {
      const losses = await trainer.step(firstStep + progress.step);
      progress = { taskId: job.taskId, step: progress.step + 1, lossSums: summed(progress.lossSums, losses) };
      onProgress(progress.step, steps, losses);
      const due = progress.step % job.checkpointEverySteps === 0 || progress.step === steps;
      if (due) {
        const { networks, optimisers } = trainer;
        await saveLocalState(stateFiles(job.stateDir).local, networks, optimisers, progress, identityOf(context.model));
      }
      // TensorFlow computes synchronously: let the messages out.
      await setImmediate();
    }
    await saveTensors(job.outPath, travelling(context.model));
    const none = WEIGHT_GROUPS.map(group => [group, 0] as const);
    return { records: { ...Object.fromEntries(none), ...trainer.records }, metrics: means(progress) };
  } finally {
    trainer.dispose();
  }
}

function trainerOf(job: TrainJob, { model, data, keys, config }: WeightedContext) {
  const { run, stage, round } = job;
  const plan = {
    'encoder-pretraining': run.encoderPretraining,
    'report-pretraining': run.reportPretraining,
    adversarial: run.adversarial,
  }[stage];
  const make: Record<TrainJob['stage'], () => Trainer> = {
    'encoder-pretraining': () => new EncoderTrainer(model.encoder, config, data, keys, 'encoder-pretraining'),
    'report-pretraining': () => new ReportTrainer(model, data, keys),
    adversarial: () => new AdversarialTrainer(model, data, keys, plan.rounds * plan.steps),
  };
  return { trainer: make[stage](), steps: plan.steps, firstStep: (round - 1) * plan.steps };
}

/**
 * Takes up what the site kept: all of it when it belongs to this very task (the worker or the agent was killed), else
 * only what does not travel, beside the new global weights.
 */
async function begin(job: TrainJob, trainer: Trainer, { model }: WeightedContext): Promise<Progress> {
  const shared = [...travelling(model)].map(([, variable]) => ({ variable, global: tf.clone(variable) }));
  try {
    const { networks, optimisers } = trainer;
    const kept = await loadLocalState(stateFiles(job.stateDir).local, networks, optimisers, identityOf(model));
    if (kept?.taskId === job.taskId) return kept;
    for (const { variable, global } of shared) variable.assign(global);
    return { taskId: job.taskId, step: 0, lossSums: {} };
  } finally {
    tf.dispose(shared.map(({ global }) => global));
  }
}

function summed(sums: Readonly<Record<string, number>>, losses: Readonly<Record<string, number>>) {
  const names = new Set([...Object.keys(sums), ...Object.keys(losses)]);
  return Object.fromEntries([...names].map(name => [name, (sums[name] ?? 0) + (losses[name] ?? 0)]));
}

const means = ({ lossSums, step }: Progress): Record<string, number> =>
  Object.fromEntries(Object.entries(lossSums).map(([name, sum]) => [name, sum / Math.max(1, step)]));
