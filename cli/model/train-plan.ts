/** What a training at one site is asked for, as the options say it and as its model file tells it. */
import { parseRunConfig, type RunConfig } from '#model/federated.ts';
import type { StageSteps } from '#model/training/stages.ts';
import { FedError } from '#proto/errors.ts';

export interface PlanOptions {
  readonly encoderSteps: number | undefined;
  readonly reportSteps: number | undefined;
  readonly steps: number | undefined;
  readonly minutes: number | undefined;
  readonly replicas?: number;
  /** A file of weights, with which there is nothing left to pre-train. */
  readonly encoder?: string | undefined;
}

/** Without --minutes; enough for a small collection's reports. */
const DEFAULT_ENCODER_STEPS = 500;
const DEFAULT_REPORT_STEPS = 1000;

/** @throws FedError USAGE when neither steps nor minutes say how long, or both do, or --encoder comes with steps for it */
export function stageSteps({
  encoderSteps,
  reportSteps,
  steps,
  minutes,
  replicas = 1,
  encoder,
}: PlanOptions): StageSteps {
  if ((steps === undefined) === (minutes === undefined)) {
    const came = steps === undefined ? 'neither' : 'both';
    throw new FedError('USAGE', `expected --steps or --minutes; ${came} came`, 'give one of them');
  }
  if (replicas > 1 && steps === undefined) {
    const message = 'expected --steps with --replicas; --minutes came, whose number of steps the first ones tell';
    throw new FedError('USAGE', message, 'give --steps, --encoder-steps and --report-steps');
  }
  if (encoder !== undefined && (encoderSteps ?? 0) > 0) {
    const message = `expected no --encoder-steps with --encoder, whose weights are taken as they are; ${encoderSteps} came`;
    throw new FedError('USAGE', message, 'give one of them');
  }
  const orTimed = (given: number | undefined, fallback: number) => given ?? (minutes === undefined ? fallback : null);
  return {
    'encoder-pretraining': encoder === undefined ? orTimed(encoderSteps, DEFAULT_ENCODER_STEPS) : 0,
    'report-pretraining': orTimed(reportSteps, DEFAULT_REPORT_STEPS),
    adversarial: steps ?? null,
  };
}

/**
 * The training as a run of one site, which is how a model file tells what it came from.
 * @throws FedError CONFIG_INVALID on an unknown preset or field, or an impossible value
 */
export function localRun(
  options: {
    readonly preset: string;
    readonly overrides: Readonly<Record<string, unknown>>;
    readonly seed: number;
    readonly minPatients: number;
  },
  steps: StageSteps,
): RunConfig {
  const { preset, overrides, seed, minPatients } = options;
  // Steps that are not known yet, or none at all, are one here: what a stage of a run must have at least.
  const stage = (count: number | null) => ({ rounds: count === 0 ? 0 : 1, steps: Math.max(1, count ?? 1) });
  return parseRunConfig(
    {
      name: 'model train',
      preset,
      model: overrides,
      seed,
      sites: ['local'],
      vocabulary: { minPatients, minSites: 1 },
      encoderPretraining: stage(steps['encoder-pretraining']),
      reportPretraining: stage(steps['report-pretraining']),
      adversarial: stage(steps.adversarial),
    },
    'the options of the training',
  );
}
