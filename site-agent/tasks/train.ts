import { FedError } from '#proto/errors.ts';
import { type ModuleRecords, Stage } from '#proto/gen/fed/v1/federation.ts';
import type { TrainingStage, TrainOutcome } from '../worker/messages.ts';
import type { TaskHandler } from './task.ts';
import { withWeights } from './with-weights.ts';

/** One round of a training stage: from the global weights (or the run's seed) to this site's contribution. */
export const trainTask: TaskHandler = async context => {
  const {
    checked: { task },
    base,
    outPath,
    work,
    admit,
  } = context;
  const outPathOfContribution = outPath('contribution');
  const result = await work({
    kind: 'train',
    ...base,
    stage: trainingStage(task.stage),
    round: task.round,
    ...(await withWeights(context)),
    checkpointEverySteps: context.checkpointEverySteps,
    outPath: outPathOfContribution,
  });
  const { records, metrics } = trainOutcome(result);
  return {
    $case: 'train',
    value: {
      contribution: await admit('weights', outPathOfContribution),
      records,
      metricsJson: JSON.stringify(metrics),
    },
  };
};

function trainingStage(stage: Stage): TrainingStage {
  if (stage === Stage.ENCODER_PRETRAINING) return 'encoder-pretraining';
  if (stage === Stage.REPORT_PRETRAINING) return 'report-pretraining';
  if (stage === Stage.ADVERSARIAL) return 'adversarial';
  throw new FedError(
    'MESSAGE_INVALID',
    `expected a training stage; got ${stage}`,
    'install the same version at both ends',
  );
}

/** @throws FedError INTERNAL when the worker's answer is no TrainOutcome */
function trainOutcome(value: unknown): { records: ModuleRecords[]; metrics: Readonly<Record<string, number>> } {
  const { records, metrics } = (value ?? {}) as Partial<TrainOutcome>;
  const counts = Object.entries(records ?? {});
  if (counts.length === 0 || counts.some(([, count]) => !Number.isSafeInteger(count) || count < 0)) {
    throw new FedError('INTERNAL', 'expected the worker to say how many records trained each module; it did not');
  }
  return { records: counts.map(([module, count]) => ({ module, records: BigInt(count) })), metrics: metrics ?? {} };
}
