/** What the coordinator tells whoever started it (the JSON lines of `emixer coordinator start --json`, the demo). */
import type { SiteEvaluation, StageName } from '#model/federated.ts';
import type { Verdict } from './rounds/events.ts';
import type { LeftOut, RunState, TakenIn } from './rounds/state.ts';
import { type StepKind, stepId } from './rounds/steps.ts';

interface OfStep {
  readonly run: string;
  readonly stage: StageName;
  readonly round: number;
  readonly kind: StepKind;
}

export type Notice =
  | { readonly event: 'listening'; readonly grpc: string; readonly enrolment: string; readonly http: string }
  | { readonly event: 'site-enrolled'; readonly site: string }
  | { readonly event: 'site-connected' | 'site-disconnected'; readonly site: string }
  | { readonly event: 'run-created'; readonly run: string; readonly name: string; readonly sites: readonly string[] }
  | (OfStep & { readonly event: 'step-opened'; readonly deadlineMs: number; readonly waitingFor: readonly string[] })
  | (OfStep & {
      readonly event: 'site-answered';
      readonly site: string;
      readonly accepted: boolean;
      readonly reason: string | null;
    })
  | (OfStep & {
      readonly event: 'progress';
      readonly site: string;
      readonly step: number;
      readonly steps: number;
      readonly metrics: Readonly<Record<string, number>>;
    })
  | (OfStep & {
      readonly event: 'step-closed';
      readonly seconds: number;
      readonly sites: readonly Pick<TakenIn, 'site' | 'records' | 'metrics'>[];
      readonly leftOut: readonly LeftOut[];
      readonly evaluation: readonly ({ readonly site: string } & SiteEvaluation)[];
    })
  | { readonly event: 'run-waiting'; readonly run: string; readonly reason: string }
  | { readonly event: 'run-finished'; readonly run: string; readonly verdict: Verdict; readonly out: string }
  | { readonly event: 'run-stopped'; readonly run: string; readonly reason: string };

/** What one event has changed, told in order. */
export function noticesBetween(before: RunState, after: RunState, out: string): Notice[] {
  const run = after.runId;
  const notices: Notice[] = [...answersBetween(before, after)];
  for (const closed of after.closed.slice(before.closed.length)) {
    const { stage, round, kind, takenIn, leftOut } = closed;
    notices.push({
      event: 'step-closed',
      run,
      stage,
      round,
      kind,
      seconds: (closed.closedAtMs - closed.openedAtMs) / 1000,
      sites: takenIn.map(({ site, records, metrics }) => ({ site, records, metrics })),
      leftOut,
      evaluation: takenIn.flatMap(({ site, evaluation }) => (evaluation === null ? [] : [{ site, ...evaluation }])),
    });
  }
  if (after.status === 'finished' && before.status === 'running' && after.verdict !== undefined) {
    notices.push({ event: 'run-finished', run, verdict: after.verdict, out });
  } else if (after.status === 'stopped' && before.status === 'running') {
    notices.push({ event: 'run-stopped', run, reason: after.stopReason ?? '' });
  } else if (after.step !== undefined && (before.step === undefined || stepId(before.step) !== stepId(after.step))) {
    notices.push(stepOpened(after) as Notice);
  }
  return notices;
}

/** The step in progress, as it is told when it opens or when the coordinator comes back. */
export function stepOpened({ runId, step }: RunState): Notice | undefined {
  if (step === undefined) return undefined;
  const { stage, round, kind, deadlineMs, sites } = step;
  const waitingFor = Object.keys(sites).filter(site => sites[site]?.status === 'waiting');
  return { event: 'step-opened', run: runId, stage, round, kind, deadlineMs, waitingFor };
}

/** Answers that came, and contributions that were rejected, in the step both states are in. */
function answersBetween(before: RunState, after: RunState): Notice[] {
  const { step } = before;
  if (step === undefined) return [];
  const same = after.step !== undefined && stepId(after.step) === stepId(step);
  const closed = same ? undefined : after.closed[before.closed.length];
  const { stage, round, kind } = step;
  return Object.entries(step.sites).flatMap(([site, answer]): Notice[] => {
    const now = same ? after.step?.sites[site] : undefined;
    const leftOut = closed?.leftOut.find(left => left.site === site);
    const failed = now?.status === 'failed' ? now : leftOut;
    if (failed !== undefined && answer.status !== 'failed') {
      const reason = `${failed.code} ${failed.reason}`;
      return [{ event: 'site-answered', run: after.runId, stage, round, kind, site, accepted: false, reason }];
    }
    const done = now?.status === 'done' || closed?.takenIn.some(taken => taken.site === site);
    return done && answer.status === 'waiting'
      ? [{ event: 'site-answered', run: after.runId, stage, round, kind, site, accepted: true, reason: null }]
      : [];
  });
}
