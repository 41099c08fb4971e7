/** The steps of a run in order (the table of docs/architecture.md), and the names of steps and tasks. */
import { type RunConfig, STAGES, type StageName } from '#model/federated.ts';

export type StepKind = 'statistics' | 'train' | 'evaluate' | 'generate' | 'audit';

/** One thing asked of one or all sites. Rounds count from 1; stages without rounds have round 1. */
export interface Step {
  readonly stage: StageName;
  /** For generation: the attempt. */
  readonly round: number;
  readonly kind: StepKind;
}

const kindOf: Record<StageName, StepKind> = {
  statistics: 'statistics',
  'encoder-pretraining': 'train',
  'report-pretraining': 'train',
  adversarial: 'train',
  generation: 'generate',
  audit: 'audit',
};

export const FIRST_STEP: Step = { stage: 'statistics', round: 1, kind: 'statistics' };

export const stepId = (step: Step): string => `${step.stage}/${step.round}/${step.kind}`;

/** Deterministic: the same task after a restart has the same id. */
export const taskId = (runId: string, step: Step, site: string): string => `${runId}/${stepId(step)}/${site}`;

/** The parts of a task id as it came over the wire, or undefined where it cannot be one. */
export function parseTaskId(id: string): { runId: string; step: string; site: string } | undefined {
  const parts = id.length <= 300 ? id.split('/') : [];
  const [runId, stage, round, kind, site] = parts;
  if (parts.length !== 5 || !runId || !stage || !round || !kind || !site) return undefined;
  return { runId, step: `${stage}/${round}/${kind}`, site };
}

function roundsOf(config: RunConfig, stage: StageName): number {
  if (stage === 'encoder-pretraining') return config.encoderPretraining.rounds;
  if (stage === 'report-pretraining') return config.reportPretraining.rounds;
  return stage === 'adversarial' ? config.adversarial.rounds : 1;
}

/** Local steps a site takes in one round of a training stage. */
export function localSteps(config: RunConfig, stage: StageName): number {
  if (stage === 'encoder-pretraining') return config.encoderPretraining.steps;
  if (stage === 'report-pretraining') return config.reportPretraining.steps;
  return stage === 'adversarial' ? config.adversarial.steps : 0;
}

/** What follows a completed step; undefined after the audit. Another attempt at generation is no following step. */
export function stepAfter(config: RunConfig, { stage, round, kind }: Step): Step | undefined {
  if (stage === 'adversarial' && kind === 'train') return { stage, round, kind: 'evaluate' };
  if (stage !== 'generation' && round < roundsOf(config, stage))
    return { stage, round: round + 1, kind: kindOf[stage] };
  const next = STAGES.slice(STAGES.indexOf(stage) + 1).find(candidate => roundsOf(config, candidate) > 0);
  return next === undefined ? undefined : { stage: next, round: 1, kind: kindOf[next] };
}
