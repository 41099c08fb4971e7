/** (state, event) -> state, pure. An event that no longer fits (a second answer, a closed step) changes nothing. */
import type { RunCreated, RunEvent, SiteResult } from './events.ts';
import type { Answer, ClosedStep, RunState, StepState, TakenIn } from './state.ts';
import { FIRST_STEP, localSteps, type Step, stepAfter, stepId } from './steps.ts';

/** The state after a run's events in order. @throws Error when they do not begin with RunCreated */
export function fold(events: Iterable<RunEvent>): RunState {
  let state: RunState | undefined;
  for (const event of events) {
    if (state !== undefined) state = reduce(state, event);
    else if (event.type === 'RunCreated') state = created(event);
  }
  if (state === undefined) throw new Error('a run without RunCreated');
  return state;
}

/** The state of a run that has just been created. */
export function created({ runId, config, atMs }: RunCreated): RunState {
  const state: RunState = {
    runId,
    config,
    createdAtMs: atMs,
    status: 'running',
    step: undefined,
    closed: [],
    siteRecords: {},
    vocabulary: undefined,
    statistics: undefined,
    weights: undefined,
    emaWeights: undefined,
    generatorSteps: 0,
    contributors: [],
    generatorsTried: [],
    generated: undefined,
    verdict: undefined,
    stopReason: undefined,
  };
  return opened(state, FIRST_STEP, atMs);
}

export function reduce(state: RunState, event: RunEvent): RunState {
  if (state.status !== 'running' || event.type === 'RunCreated') return state;
  if (event.type === 'RunStopped') return { ...state, status: 'stopped', stopReason: event.reason };
  const { step } = state;
  if (step === undefined) return state;
  if (event.type === 'RunResumed') return resumed(state, step, event.atMs);
  if (event.step !== stepId(step)) return state;
  switch (event.type) {
    case 'SiteResult':
      return answered(state, step, event.site, { status: 'done', result: event.result }, event.atMs);
    case 'SiteFailed':
      return answered(state, step, event.site, failed(event), event.atMs);
    case 'DeadlinePassed':
      return step.collecting ? settle({ ...state, step: expired(step) }, event.atMs) : state;
    case 'ContributionRejected':
      return step.sites[event.site]?.status === 'done'
        ? { ...state, step: withAnswer(step, event.site, failed(event)) }
        : state;
    case 'VocabularyFixed':
      return advance(
        {
          ...state,
          vocabulary: { sha256: event.vocabulary, tokens: event.tokens },
          statistics: event.statistics,
          siteRecords: Object.fromEntries(
            doneIn(step).map(([site, result]) => [site, result.kind === 'statistics' ? result.records : 0]),
          ),
        },
        event.atMs,
      );
    case 'Aggregated':
      return advance(
        {
          ...state,
          weights: event.weights,
          emaWeights: event.emaWeights,
          generatorSteps:
            state.generatorSteps + (step.stage === 'adversarial' ? localSteps(state.config, step.stage) : 0),
          contributors: state.config.sites.filter(
            site => state.contributors.includes(site) || step.sites[site]?.status === 'done',
          ),
        },
        event.atMs,
      );
    case 'GeneratorChosen':
      return Object.keys(step.sites).length > 0 || !step.collecting
        ? state
        : {
            ...state,
            step: {
              ...step,
              sites: { [event.site]: { status: 'waiting' } },
              deadlineMs: event.atMs + state.config.roundDeadlineMs,
            },
          };
    case 'VerdictReached':
      return { ...advance(state, event.atMs), status: 'finished', verdict: event.verdict };
  }
}

/** The sites that answered a step with a result, in canonical order. */
export const doneIn = (step: StepState): [site: string, result: SiteResult][] =>
  Object.entries(step.sites)
    .flatMap(([site, answer]) => (answer.status === 'done' ? [[site, answer.result] as [string, SiteResult]] : []))
    .sort(([a], [b]) => (a < b ? -1 : 1));

const failed = ({ code, reason }: { code: string; reason: string }): Answer => ({ status: 'failed', code, reason });

const withAnswer = (step: StepState, site: string, answer: Answer): StepState => ({
  ...step,
  sites: { ...step.sites, [site]: answer },
});

function answered(state: RunState, step: StepState, site: string, answer: Answer, atMs: number): RunState {
  if (!step.collecting || step.sites[site]?.status !== 'waiting') return state;
  const next = withAnswer(step, site, answer);
  const collecting = Object.values(next.sites).some(({ status }) => status === 'waiting');
  return settle({ ...state, step: { ...next, collecting } }, atMs);
}

/** The time that the coordinator was away is nobody's fault. */
function resumed(state: RunState, step: StepState, atMs: number): RunState {
  const deadlineMs = Math.max(step.deadlineMs, atMs + state.config.roundDeadlineMs);
  return step.collecting ? { ...state, step: { ...step, deadlineMs } } : state;
}

const expired = (step: StepState): StepState => ({
  ...step,
  collecting: false,
  sites: Object.fromEntries(
    Object.entries(step.sites).map(([site, answer]) => [
      site,
      answer.status === 'waiting' ? failed({ code: 'UNREACHABLE', reason: 'no answer before the deadline' }) : answer,
    ]),
  ),
});

/** Steps whose end needs no work of the coordinator end here: evaluation, and generation. */
function settle(state: RunState, atMs: number): RunState {
  const { step } = state;
  if (step === undefined || step.collecting) return state;
  if (step.kind === 'evaluate') return advance(state, atMs);
  if (step.kind !== 'generate') return state;
  const [done] = doneIn(step);
  if (done !== undefined)
    return advance({ ...state, generated: { site: done[0], submission: done[1].submission } }, atMs);
  const generatorsTried = [...state.generatorsTried, ...Object.keys(step.sites)];
  const attempted = { ...state, generatorsTried, closed: [...state.closed, closedStep(step, atMs)] };
  const anotherMayTry = Object.keys(step.sites).length > 0 && generatorsTried.length < state.config.sites.length;
  return anotherMayTry ? opened(attempted, { ...step, round: step.round + 1 }, atMs) : { ...state, generatorsTried };
}

/** Closes the step and opens the one after it. */
function advance(state: RunState, atMs: number): RunState {
  const { step } = state;
  if (step === undefined) return state;
  const closed = { ...state, closed: [...state.closed, closedStep(step, atMs)] };
  const next = stepAfter(state.config, step);
  return next === undefined ? { ...closed, step: undefined } : opened(closed, next, atMs);
}

function opened(state: RunState, { stage, round, kind }: Step, atMs: number): RunState {
  const waiting: Answer = { status: 'waiting' };
  const asked = kind === 'generate' ? [] : state.config.sites;
  const step: StepState = {
    stage,
    round,
    kind,
    openedAtMs: atMs,
    deadlineMs: atMs + state.config.roundDeadlineMs,
    sites: Object.fromEntries(asked.map(site => [site, waiting])),
    collecting: true,
  };
  return { ...state, step };
}

function closedStep(step: StepState, closedAtMs: number): ClosedStep {
  return {
    stage: step.stage,
    round: step.round,
    kind: step.kind,
    openedAtMs: step.openedAtMs,
    closedAtMs,
    takenIn: doneIn(step).map(takenIn),
    leftOut: Object.entries(step.sites).flatMap(([site, answer]) =>
      answer.status === 'failed' ? [{ site, code: answer.code, reason: answer.reason }] : [],
    ),
  };
}

function takenIn([site, result]: [string, SiteResult]): TakenIn {
  return {
    site,
    records: result.kind === 'train' || result.kind === 'statistics' ? result.records : null,
    metrics: result.kind === 'train' ? result.metrics : {},
    evaluation: result.kind === 'evaluate' ? result.evaluation : null,
  };
}
