/** The stages of a training at one site: their order, their trainers, and how many steps each takes. */
import type { Emixer } from '../emixer/emixer.ts';
import { AdversarialTrainer } from './adversarial-trainer.ts';
import type { TrainingData } from './dataset.ts';
import { EncoderTrainer } from './encoder-trainer.ts';
import type { GradientExchange } from './gradient-exchange.ts';
import { ReportTrainer } from './report-trainer.ts';
import type { StreamKeys, Trainer } from './trainer.ts';

export const TRAINING_STAGES = ['encoder-pretraining', 'report-pretraining', 'adversarial'] as const;
export type TrainingStage = (typeof TRAINING_STAGES)[number];

/** Steps by stage; null where they follow from the time that there is, once the first steps have been timed. */
export type StageSteps = Readonly<Record<TrainingStage, number | null>>;

/** How a training of so many minutes divides them. */
const SHARES: Readonly<Record<TrainingStage, number>> = {
  'encoder-pretraining': 0.15,
  'report-pretraining': 0.25,
  adversarial: 0.6,
};

/** Steps whose time tells how many more there will be; the first of them, which load and compile, do not count. */
const TIMED_STEPS = 20;
const WARM_UP_STEPS = 2;

/**
 * What the annealing of the Gumbel-softmax is told of its length while that is not known yet. Over the timed steps its
 * temperature hardly differs from the one that the true length gives: beta is 100^(n / N).
 */
const UNKNOWN_TOTAL = 1_000_000;

export interface StageContext {
  readonly model: Emixer;
  readonly data: TrainingData;
  readonly keys: StreamKeys;
  /** With the replicas of this process, in the adversarial stage. */
  readonly exchange?: GradientExchange;
}

export function trainerFor(
  stage: TrainingStage,
  { model, data, keys, exchange }: StageContext,
  steps: number | null,
): Trainer {
  switch (stage) {
    case 'encoder-pretraining':
      return new EncoderTrainer(model.encoder, model.config, data, keys, stage);
    case 'report-pretraining':
      return new ReportTrainer(model, data, keys);
    case 'adversarial':
      return new AdversarialTrainer(model, data, keys, steps ?? UNKNOWN_TOTAL, exchange);
  }
}

/** The same trainer, told of its length: what its optimisers have learnt goes over to it, and the old one is freed. */
export function lengthened(stage: TrainingStage, context: StageContext, old: Trainer, steps: number): Trainer {
  if (stage !== 'adversarial') return old;
  const trainer = trainerFor(stage, context, steps);
  for (const [name, optimiser] of Object.entries(old.optimisers)) {
    const state = optimiser.state();
    trainer.optimisers[name]?.restore(state);
    for (const tensor of state.values()) tensor.dispose();
  }
  old.dispose();
  return trainer;
}

/** Seconds that training has taken. */
export interface StageTimes {
  /** By stage, all of its steps so far. */
  readonly seconds: Readonly<Record<TrainingStage, number>>;
  /** Of the stage under way, without its first steps. */
  readonly timed: { readonly steps: number; readonly seconds: number };
}

export const NO_TIMES: StageTimes = {
  seconds: { 'encoder-pretraining': 0, 'report-pretraining': 0, adversarial: 0 },
  timed: { steps: 0, seconds: 0 },
};

export const afterStep = (times: StageTimes, stage: TrainingStage, step: number, seconds: number): StageTimes => ({
  seconds: { ...times.seconds, [stage]: times.seconds[stage] + seconds },
  timed: step <= WARM_UP_STEPS ? times.timed : { steps: times.timed.steps + 1, seconds: times.timed.seconds + seconds },
});

/**
 * How many steps the stage has time for, after `step` of them; null while it is too early to say. The last stage has all
 * the time that the others left.
 */
export function estimatedSteps(stage: TrainingStage, step: number, times: StageTimes, minutes: number): number | null {
  const total = minutes * 60;
  const earlier = TRAINING_STAGES.slice(0, TRAINING_STAGES.indexOf(stage)).reduce(
    (sum, s) => sum + times.seconds[s],
    0,
  );
  const budget = stage === 'adversarial' ? total - earlier : SHARES[stage] * total;
  const left = budget - times.seconds[stage];
  if (left <= 0) return step;
  if (step < TIMED_STEPS) return null;
  return step + Math.floor(left / (times.timed.seconds / times.timed.steps));
}
