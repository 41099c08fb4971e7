/**
 * A whole training at one site: encoder, reports, then the adversarial game, each stage with its trainer. It can end
 * after any step and go on from its checkpoint as if it had not ended, to the bit.
 */
import { setImmediate } from 'node:timers/promises';
import { FedError } from '#proto/errors.ts';
import { loadLocalState, loadProgress, snapshotState } from './local-state.ts';
import {
  afterStep,
  estimatedSteps,
  lengthened,
  NO_TIMES,
  type StageContext,
  type StageSteps,
  type StageTimes,
  TRAINING_STAGES,
  type TrainingStage,
  trainerFor,
} from './stages.ts';
import { identityOf } from './state-identity.ts';
import type { Trainer } from './trainer.ts';
import { WeightAverage } from './weight-average.ts';

/** How far a training has come: what a checkpoint holds beside the weights. */
export interface TrainingProgress {
  readonly stage: TrainingStage;
  /** Steps of the stage that are done. */
  readonly step: number;
  /** Steps of all stages that are done. */
  readonly globalStep: number;
  readonly steps: StageSteps;
  /** Steps that the finished stages took. */
  readonly done: Readonly<Partial<Record<TrainingStage, number>>>;
  readonly times: StageTimes;
  /** Losses of the last step of each stage. */
  readonly losses: Readonly<Partial<Record<TrainingStage, Readonly<Record<string, number>>>>>;
}

export interface StepContext {
  readonly stage: TrainingStage;
  /** Number of the step in its stage, from 0. */
  readonly step: number;
  readonly globalStep: number;
  readonly trainer: Trainer;
}

export interface StepResult extends StepContext {
  readonly losses: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Steps of the stage, once that is known. */
  readonly steps: number | null;
  readonly average: WeightAverage;
}

/** Who looks on. What it does may not change a weight. */
export interface TrainingObserver {
  onStart(progress: TrainingProgress, resumed: boolean): Promise<void>;
  /** A stage begins, goes on, or is left out for want of records. */
  onStage(stage: TrainingStage, step: number, steps: number | null, records: number): void;
  /** The time of the first steps has told how many there will be. */
  onEstimate(stage: TrainingStage, steps: number): void;
  /** @throws FedError to end the training, as after a collapse */
  afterStep(result: StepResult): Promise<void>;
  /** A step failed, or an observer ended the training after it. @returns the error for the user */
  onFailure(context: StepContext, error: FedError, lastSaved: number | null): Promise<FedError>;
  onSaved(globalStep: number): void;
}

export interface TrainingJob extends StageContext {
  readonly steps: StageSteps;
  /** The time for everything; only where a stage's steps are null. */
  readonly minutes: number | null;
  readonly emaDecay: number;
  readonly checkpoint: string;
  readonly saveEvery: number;
  /** Ends after so many steps of this start; null for none. */
  readonly stopAfter: number | null;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  readonly observer: TrainingObserver;
  /** Starts the replicas of `exchange`, which begin from the checkpoint: it holds the present state by then. */
  readonly startReplicas?: () => Promise<void>;
}

export interface TrainingOutcome {
  readonly finished: boolean;
  readonly progress: TrainingProgress;
  /** The caller's to dispose of. */
  readonly average: WeightAverage;
}

/**
 * @throws FedError NON_FINITE when a loss or gradient is not finite, TRAINING_COLLAPSED from an observer, CONFIG_INVALID
 *   for a checkpoint of something else, FILE_CORRUPT for a damaged one, DISK_FULL
 */
export async function runTraining(job: TrainingJob): Promise<TrainingOutcome> {
  const average = new WeightAverage(job.model, job.emaDecay);
  try {
    return await new Run(job, average).run();
  } catch (thrown) {
    average.dispose();
    throw thrown;
  }
}

class Run {
  readonly #job: TrainingJob;
  readonly #average: WeightAverage;
  #progress: TrainingProgress;
  #trainer: Trainer | undefined;
  /** Steps of this start. */
  #taken = 0;
  #saving: Promise<void> = Promise.resolve();
  #lastSaved: number | null = null;

  constructor(job: TrainingJob, average: WeightAverage) {
    this.#job = job;
    this.#average = average;
    const [stage] = TRAINING_STAGES;
    this.#progress = { stage, step: 0, globalStep: 0, steps: job.steps, done: {}, times: NO_TIMES, losses: {} };
  }

  async run(): Promise<TrainingOutcome> {
    const { observer } = this.#job;
    const resumed = await loadProgress<TrainingProgress>(this.#job.checkpoint, identityOf(this.#job.model));
    if (resumed !== null) {
      requirePlan(resumed.steps, this.#job);
      this.#progress = resumed;
      this.#lastSaved = resumed.globalStep;
    }
    await observer.onStart(this.#progress, resumed !== null);
    let restore = resumed !== null;
    try {
      for (const stage of TRAINING_STAGES.slice(TRAINING_STAGES.indexOf(this.#progress.stage))) {
        if (stage !== this.#progress.stage) this.#begin(stage);
        const finished = await this.#runStage(stage, restore);
        restore = false;
        if (!finished) return { finished: false, progress: this.#progress, average: this.#average };
      }
      return { finished: true, progress: this.#progress, average: this.#average };
    } finally {
      this.#trainer?.dispose();
      await this.#saving;
    }
  }

  #begin(stage: TrainingStage): void {
    this.#trainer?.dispose();
    this.#trainer = undefined;
    const { times, done, stage: earlier, step } = this.#progress;
    this.#progress = {
      ...this.#progress,
      stage,
      step: 0,
      done: { ...done, [earlier]: step },
      times: { ...times, timed: NO_TIMES.timed },
    };
  }

  /** @returns whether the stage is done; if not, the training was told to end, and its checkpoint is written */
  async #runStage(stage: TrainingStage, restore: boolean): Promise<boolean> {
    const { observer } = this.#job;
    let trainer = trainerFor(stage, this.#job, this.#progress.steps[stage]);
    this.#trainer = trainer;
    if (restore) await this.#restore(trainer);
    else if (stage === 'adversarial') this.#average.reset();
    const records = Math.max(...Object.values(trainer.records));
    observer.onStage(stage, this.#progress.step, this.#progress.steps[stage], records);
    if (records === 0) return true;
    if (stage === 'adversarial' && this.#progress.step !== this.#progress.steps[stage]) await this.#startReplicas();
    while (this.#progress.step < (this.#progress.steps[stage] ?? Number.POSITIVE_INFINITY)) {
      if (this.#job.signal.aborted || this.#taken === this.#job.stopAfter) {
        await this.#save();
        await this.#saving;
        return false;
      }
      await this.#step(stage, trainer);
      const known = this.#estimate(stage);
      if (known !== null) {
        trainer = lengthened(stage, this.#job, trainer, known);
        this.#trainer = trainer;
        observer.onEstimate(stage, known);
      }
      const due = this.#progress.globalStep % this.#job.saveEvery === 0;
      if (due || this.#progress.step === this.#progress.steps[stage]) await this.#save();
      // TensorFlow computes synchronously: let signals, and files on their way, through.
      await setImmediate();
    }
    return true;
  }

  async #startReplicas(): Promise<void> {
    if (this.#job.startReplicas === undefined) return;
    await this.#save();
    await this.#saving;
    await this.#job.startReplicas();
  }

  async #step(stage: TrainingStage, trainer: Trainer): Promise<void> {
    const { observer, nowMs } = this.#job;
    const { step, globalStep, steps, times, losses: earlier } = this.#progress;
    const context: StepContext = { stage, step, globalStep, trainer };
    const startedMs = nowMs();
    try {
      const losses = await trainer.step(step);
      if (stage === 'adversarial') this.#average.update(step + 1);
      const seconds = (nowMs() - startedMs) / 1000;
      this.#progress = {
        ...this.#progress,
        step: step + 1,
        globalStep: globalStep + 1,
        times: afterStep(times, stage, step + 1, seconds),
        losses: { ...earlier, [stage]: losses },
      };
      this.#taken++;
      await observer.afterStep({ ...context, losses, seconds, steps: steps[stage], average: this.#average });
    } catch (thrown) {
      if (!(thrown instanceof FedError) || !['NON_FINITE', 'TRAINING_COLLAPSED'].includes(thrown.code)) throw thrown;
      await this.#saving;
      throw await observer.onFailure(context, thrown, this.#lastSaved);
    }
  }

  #estimate(stage: TrainingStage): number | null {
    const { steps, step, times } = this.#progress;
    if (steps[stage] !== null || this.#job.minutes === null) return null;
    const known = estimatedSteps(stage, step, times, this.#job.minutes);
    if (known !== null) this.#know(stage, known);
    return known;
  }

  #know(stage: TrainingStage, steps: number): void {
    this.#progress = { ...this.#progress, steps: { ...this.#progress.steps, [stage]: steps } };
  }

  async #restore(trainer: Trainer): Promise<void> {
    const { checkpoint, model } = this.#job;
    await loadLocalState<TrainingProgress>(checkpoint, this.#networks, trainer.optimisers, identityOf(model));
  }

  get #networks() {
    const { model } = this.#job;
    return [...model.shared, ...model.local, this.#average.parameters];
  }

  /** Takes the state as it is now; it is written while the next steps run, one checkpoint at a time. */
  async #save(): Promise<void> {
    const { checkpoint, model, observer } = this.#job;
    await this.#saving;
    const progress = this.#progress;
    const snapshot = snapshotState(this.#networks, this.#trainer?.optimisers ?? {}, progress, identityOf(model));
    this.#saving = snapshot.write(checkpoint).then(() => {
      this.#lastSaved = progress.globalStep;
      observer.onSaved(progress.globalStep);
    });
    // Its failure is thrown to whoever waits for it next.
    this.#saving.catch(() => undefined);
  }
}

/** Steps that were asked for may not change under a training that goes on: the annealing follows them. */
function requirePlan(made: StageSteps, { steps, minutes, checkpoint }: TrainingJob): void {
  for (const stage of TRAINING_STAGES) {
    const asked = steps[stage];
    if (asked === made[stage] || (asked === null && minutes !== null)) continue;
    throw new FedError(
      'CONFIG_INVALID',
      `the checkpoint ${checkpoint} was made with ${made[stage]} steps of ${stage}; expected ${asked}`,
      'go on with the options that it was made with, or begin in another folder',
    );
  }
}
