/** state -> what is due now, pure: the driver does it, whether it has just started or has run for days. */
import type { SiteResult } from './events.ts';
import { doneIn } from './reducer.ts';
import type { RunState, StepState } from './state.ts';
import { stepId } from './steps.ts';

export type Due =
  /** Ask these sites, and wait until the deadline. */
  | { readonly type: 'collect'; readonly sites: readonly string[]; readonly deadlineMs: number }
  /** Give the generation to the first of these that is connected. */
  | { readonly type: 'choose-generator'; readonly candidates: readonly string[]; readonly deadlineMs: number }
  | { readonly type: 'fix-vocabulary'; readonly results: readonly Submission[] }
  | { readonly type: 'aggregate'; readonly results: readonly Submission[] }
  | { readonly type: 'reach-verdict'; readonly results: readonly Submission[] }
  | { readonly type: 'stop'; readonly reason: string }
  | { readonly type: 'nothing' };

export interface Submission {
  readonly site: string;
  readonly result: SiteResult;
}

/** Results without which a step cannot close. */
function needed(state: RunState, step: StepState): number {
  // An evaluation decides nothing, and a missing audit already keeps the verdict from being "pass".
  if (step.kind === 'evaluate' || step.kind === 'audit') return 0;
  if (step.kind === 'generate') return 1;
  return Math.min(state.config.quorum || state.config.sites.length, state.config.sites.length);
}

export function plan(state: RunState): Due {
  const { step } = state;
  if (state.status !== 'running' || step === undefined) return { type: 'nothing' };
  const waiting = Object.keys(step.sites).filter(site => step.sites[site]?.status === 'waiting');
  const done = doneIn(step);
  if (step.kind === 'generate') return planGeneration(state, step, waiting);
  const quorum = needed(state, step);
  if (done.length + waiting.length < quorum) return { type: 'stop', reason: missedQuorum(step, quorum, done.length) };
  if (step.collecting) return { type: 'collect', sites: waiting, deadlineMs: step.deadlineMs };
  const results = done.map(([site, result]) => ({ site, result }));
  if (step.kind === 'statistics') return { type: 'fix-vocabulary', results };
  if (step.kind === 'train') return { type: 'aggregate', results };
  return { type: 'reach-verdict', results };
}

function planGeneration(state: RunState, step: StepState, waiting: readonly string[]): Due {
  const { deadlineMs } = step;
  const candidates = state.config.sites.filter(site => !state.generatorsTried.includes(site)).sort();
  if (!step.collecting) {
    const reason =
      candidates.length > 0
        ? 'generation: no site was connected before the deadline'
        : `generation: no site could do it; ${explain(step)}`;
    return { type: 'stop', reason };
  }
  return waiting.length > 0
    ? { type: 'collect', sites: waiting, deadlineMs }
    : { type: 'choose-generator', candidates, deadlineMs };
}

const missedQuorum = (step: StepState, quorum: number, done: number): string =>
  `${stepId(step)}: ${quorum} sites are needed and at most ${done + countWaiting(step)} can answer; ${explain(step)}`;

const countWaiting = (step: StepState): number =>
  Object.values(step.sites).filter(({ status }) => status === 'waiting').length;

/** Which sites are out, and why. */
const explain = (step: StepState): string =>
  Object.entries(step.sites)
    .flatMap(([site, answer]) => (answer.status === 'failed' ? [`${site}: ${answer.code} ${answer.reason}`] : []))
    .join('; ');
