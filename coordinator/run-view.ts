/** A run as people and programs see it: over HTTP, from `emixer coordinator show`, and in run.json. */

import type { TaskProgress } from './handlers/live-progress.ts';
import type { ClosedStepView, EvaluationView, RunSummary, RunView } from './http/schemas.ts';
import type { ClosedStep, RunState, StepState } from './rounds/state.ts';
import { taskId } from './rounds/steps.ts';

/** What is known about the sites at this moment; absent outside the coordinator's process. */
export interface LiveView {
  progress(runId: string, site: string, taskId: string): TaskProgress | undefined;
  connected(site: string): boolean;
}

const nothingLive: LiveView = { progress: () => undefined, connected: () => false };

export function runSummary(state: RunState): RunSummary {
  return {
    runId: state.runId,
    name: state.config.name,
    status: state.status,
    stage: state.step?.stage ?? null,
    round: state.step?.round ?? null,
    createdAtMs: state.createdAtMs,
    verdict: state.verdict ?? null,
    reason: state.stopReason ?? null,
  };
}

/** @param folder the run's folder */
export function runView(state: RunState, folder: string, live: LiveView = nothingLive): RunView {
  return {
    ...runSummary(state),
    sites: [...state.config.sites],
    records: { ...state.siteRecords },
    labels: { ...state.statistics?.labels },
    vocabularyTokens: state.vocabulary?.tokens ?? null,
    step: state.step && state.status === 'running' ? openStep(state, state.step, live) : null,
    rounds: state.closed.map(closedStepView),
    generatedBy: state.generated?.site ?? null,
    weightsSha256: state.weights ?? null,
    out: state.status === 'finished' ? folder : null,
  };
}

function openStep(state: RunState, step: StepState, live: LiveView) {
  const { stage, round, kind, openedAtMs, deadlineMs } = step;
  const sites = Object.entries(step.sites).map(([name, { status }]) => {
    const progress = live.progress(state.runId, name, taskId(state.runId, step, name));
    return {
      name,
      status,
      connected: live.connected(name),
      step: progress?.step ?? null,
      steps: progress?.steps ?? null,
      metrics: { ...progress?.metrics },
    };
  });
  return { stage, round, kind, openedAtMs, deadlineMs, sites };
}

export function closedStepView(closed: ClosedStep): ClosedStepView {
  const { stage, round, kind, takenIn, leftOut } = closed;
  return {
    stage,
    round,
    kind,
    seconds: (closed.closedAtMs - closed.openedAtMs) / 1000,
    sites: takenIn.map(({ site, records, metrics }) => ({
      name: site,
      records: typeof records === 'number' || records === null ? records : Math.max(0, ...Object.values(records)),
      recordsByModule: typeof records === 'object' ? { ...records } : {},
      metrics: { ...metrics },
    })),
    leftOut: leftOut.map(({ site, code, reason }) => ({ name: site, code, reason })),
    evaluation: kind === 'evaluate' ? evaluationView(closed) : null,
  };
}

/** Sums over sites are exact; FIDs are averaged, and comparable between rounds in which the same sites took part. */
export function evaluationView({ takenIn }: Pick<ClosedStep, 'takenIn'>): EvaluationView {
  const sites = takenIn.flatMap(({ site, evaluation }) => (evaluation === null ? [] : [{ site, ...evaluation }]));
  const total = (key: 'nllSum' | 'unigramNllSum' | 'tokens'): number => sites.reduce((sum, site) => sum + site[key], 0);
  const byImages = (key: 'fid' | 'fidUntrained'): number | null => {
    const measured = sites.flatMap(site => (site[key] === null ? [] : [{ value: site[key], images: site.images }]));
    const images = measured.reduce((sum, site) => sum + site.images, 0);
    return images === 0 ? null : measured.reduce((sum, site) => sum + site.value * site.images, 0) / images;
  };
  return {
    perplexity: perplexity(total('nllSum'), total('tokens')),
    unigramPerplexity: perplexity(total('unigramNllSum'), total('tokens')),
    fid: byImages('fid'),
    fidUntrained: byImages('fidUntrained'),
    sites: sites.map(({ site, nllSum, unigramNllSum, tokens, fid, fidUntrained, images, extractorSha256 }) => ({
      site,
      perplexity: perplexity(nllSum, tokens),
      unigramPerplexity: perplexity(unigramNllSum, tokens),
      fid,
      fidUntrained,
      images,
      extractorSha256,
    })),
  };
}

function perplexity(nllSum: number, tokens: number): number | null {
  const value = Math.exp(nllSum / tokens);
  return tokens > 0 && Number.isFinite(value) ? value : null;
}
