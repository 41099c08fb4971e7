/** What a replica does: the steps of the adversarial stage, with the process that keeps checkpoints and curves. */
import { setImmediate } from 'node:timers/promises';
import { FedError } from '#proto/errors.ts';
import type { TrainingProgress } from './engine.ts';
import type { GradientExchange } from './gradient-exchange.ts';
import { loadLocalState, loadProgress } from './local-state.ts';
import { type StageContext, trainerFor } from './stages.ts';
import { identityOf } from './state-identity.ts';

export interface ReplicaJob extends StageContext {
  readonly exchange: GradientExchange;
  /** Of replica 0, written before this one was started. */
  readonly checkpoint: string;
}

/**
 * Takes up the checkpoint and steps along with replica 0 to the end of the stage, or until the exchange is broken off.
 * @throws FedError what `AdversarialTrainer.step` and `loadLocalState` throw
 */
export async function runReplica(job: ReplicaJob): Promise<void> {
  const { model, checkpoint } = job;
  const identity = identityOf(model);
  const progress = await loadProgress<TrainingProgress>(checkpoint, identity);
  const steps = progress?.steps.adversarial;
  if (progress?.stage !== 'adversarial' || typeof steps !== 'number') {
    throw new FedError(
      'FILE_CORRUPT',
      `expected the checkpoint ${checkpoint} to be of the adversarial stage, with a number of steps; it is not`,
      'replicas are started by emixer model train --replicas',
    );
  }
  const trainer = trainerFor('adversarial', job, steps);
  try {
    await loadLocalState(checkpoint, [...model.shared, ...model.local], trainer.optimisers, identity);
    for (let { step } = progress; step < steps; step++) {
      await trainer.step(step);
      await setImmediate();
    }
  } finally {
    trainer.dispose();
  }
}
