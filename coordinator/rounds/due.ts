/** The effects: what plan.ts says is due is done here, and its outcome recorded as an event. Everything may be repeated. */
import { RejectedContribution } from '#coordinator/strategies/contribution.ts';
import type { ActiveRun, RunContext } from './active-run.ts';
import { aggregate } from './aggregate.ts';
import { type Due, plan, type Submission } from './plan.ts';
import type { RunState, StepState } from './state.ts';
import { stepId, taskId } from './steps.ts';
import { buildTask } from './tasks.ts';
import { fixVocabulary } from './vocabulary.ts';

export type Progress =
  /** Something was recorded: look again. */
  { readonly type: 'done' } | { readonly type: 'waiting'; readonly untilMs: number } | { readonly type: 'ended' };

const done: Progress = { type: 'done' };

/** Does what is due now. */
export async function doDue(run: ActiveRun, context: RunContext): Promise<Progress> {
  const { state } = run;
  const { step } = state;
  const due: Due = plan(state);
  cancelOthers(state, due, context);
  if (due.type === 'nothing' || step === undefined) return end(run, context);
  const at = { step: stepId(step), atMs: context.clock.nowMs() };
  switch (due.type) {
    case 'stop':
      await run.record(
        { type: 'RunStopped', reason: due.reason, atMs: at.atMs },
        { actor: 'coordinator', action: 'run.stopped', detail: { run: state.runId, reason: due.reason } },
      );
      return done;
    case 'collect':
      for (const site of due.sites) await sendTask(run, step, site, context);
      return { type: 'waiting', untilMs: due.deadlineMs };
    case 'choose-generator': {
      const site = due.candidates.find(candidate => context.sessions.of(candidate) !== undefined);
      if (site === undefined) return { type: 'waiting', untilMs: due.deadlineMs };
      await run.record({ type: 'GeneratorChosen', site, ...at });
      return done;
    }
    case 'fix-vocabulary': {
      const fixed = await fixVocabulary(run.files, state.config, due.results);
      await run.record({ type: 'VocabularyFixed', ...fixed, step: at.step, atMs: context.clock.nowMs() });
      return done;
    }
    case 'aggregate':
      await aggregateOrReject(run, step, due.results, context);
      return done;
    case 'reach-verdict': {
      const verdict = await context.conclude(state, run.files, due.results, at.atMs);
      await run.record(
        { type: 'VerdictReached', verdict, step: at.step, atMs: context.clock.nowMs() },
        { actor: 'coordinator', action: 'verdict.reached', detail: { run: state.runId, verdict } },
      );
      return done;
    }
  }
}

async function aggregateOrReject(
  run: ActiveRun,
  step: StepState,
  results: readonly Submission[],
  context: RunContext,
): Promise<void> {
  const { state } = run;
  const id = stepId(step);
  try {
    const aggregation = await aggregate(run.files, state, results, run.stopping);
    await run.record(
      { type: 'Aggregated', ...aggregation, step: id, atMs: context.clock.nowMs() },
      {
        actor: 'coordinator',
        action: 'round.aggregated',
        detail: { run: state.runId, step: id, sites: results.map(({ site }) => site).join(' '), ...aggregation },
      },
    );
  } catch (thrown) {
    if (!(thrown instanceof RejectedContribution)) throw thrown;
    const { site, code, message } = thrown;
    await run.record(
      { type: 'ContributionRejected', step: id, site, code, reason: message, atMs: context.clock.nowMs() },
      {
        actor: 'coordinator',
        action: 'contribution.rejected',
        detail: { run: state.runId, step: id, site, code, reason: message },
      },
    );
    return;
  }
  if (!context.keepIntermediate) await deleteSuperseded(run);
}

/** Before the next tasks go out nobody uploads for them, so what the new weights do not hold is of no more use. */
async function deleteSuperseded(run: ActiveRun): Promise<void> {
  await run.files.deleteUploads();
  await run.files.global.retain(await run.visible.for(run.state));
}

async function sendTask(run: ActiveRun, step: StepState, site: string, { sessions }: RunContext): Promise<void> {
  const { state } = run;
  if (sessions.of(site)?.taskOf(state.runId) === taskId(state.runId, step, site)) return;
  if (sessions.of(site) === undefined) return;
  const task = await buildTask(state, step, site, run.files);
  // The session may have been replaced while the documents were read.
  sessions.of(site)?.sendTask(task);
}

/** Tells sites whose task is no longer wanted. */
function cancelOthers(state: RunState, due: Due, { sessions }: RunContext): void {
  const wanted = due.type === 'collect' ? due.sites : [];
  for (const session of sessions.all()) {
    const sent = session.taskOf(state.runId);
    if (sent === undefined) continue;
    const { step } = state;
    const current = step !== undefined && sent === taskId(state.runId, step, session.site);
    if (current && wanted.includes(session.site)) continue;
    const reason = state.stopReason ?? 'the round has closed without this site';
    session.cancelTask(state.runId, { taskId: sent, reason });
  }
}

/** A finished run's output holds all that is worth keeping; a stopped one keeps the weights it had reached. */
async function end(run: ActiveRun, { keepIntermediate }: RunContext): Promise<Progress> {
  if (!keepIntermediate) {
    await run.files.deleteUploads();
    if (run.state.status === 'finished') await run.files.global.retain(new Set());
  }
  return { type: 'ended' };
}
