/** One task from the wire to its acknowledged result: policy, then the worker, then egress; every wait can be cancelled. */
import { FedError, toFedError } from '#proto/errors.ts';
import type { Task } from '#proto/gen/fed/v1/federation.ts';
import { addPending, readApprovals } from './approvals.ts';
import type { AuditAction, AuditLog } from './audit-log.ts';
import { type BackoffOptions, retrying } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { SitePolicy } from './config.ts';
import type { Egress } from './egress.ts';
import type { OnEvent } from './events.ts';
import { type Outgoing, outgoingOf } from './outgoing.ts';
import { type CheckedTask, checkTask, decide } from './policy.ts';
import { type FinishedResult, loadResult, saveResult } from './results.ts';
import { type RunPaths, runPaths } from './state.ts';
import { TaskCancelled } from './task-queue.ts';
import { taskWork, type WorkPorts } from './task-work.ts';
import { taskHandlers } from './tasks/handlers.ts';
import { upload } from './transfer.ts';

export interface RunnerOptions extends WorkPorts {
  readonly dir: string;
  readonly site: string;
  readonly policy: SitePolicy;
  readonly egress: Egress;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly backoff: BackoffOptions;
  readonly onEvent: OnEvent;
}

const APPROVAL_POLL_MS = 2_000;
const ANSWER_GRACE_MS = 2_000;
/** Of a text that came from the coordinator. */
const MAXIMUM_REASON = 500;

/**
 * A result that is on its way may be the one that closes the round, upon which its task is cancelled before the answer
 * is here: an answer still gets a moment.
 */
function withGrace(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const late = (): void => {
    setTimeout(() => controller.abort(signal.reason), ANSWER_GRACE_MS).unref();
  };
  if (signal.aborted) late();
  else signal.addEventListener('abort', late, { once: true });
  return controller.signal;
}

export class TaskRunner {
  readonly #options: RunnerOptions;
  /** Results that were acknowledged in this process: the same task may still lie in the stream behind the answer. */
  readonly #acknowledged = new Set<string>();

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Never throws: what goes wrong is said, and told to the coordinator where it waits for an answer. */
  async run(task: Task, signal: AbortSignal): Promise<void> {
    const { onEvent } = this.#options;
    const { taskId } = task;
    if (this.#acknowledged.has(taskId)) return;
    try {
      await this.#perform(task, signal);
    } catch (thrown) {
      if (signal.reason instanceof TaskCancelled) {
        onEvent({ event: 'task-cancelled', taskId, reason: signal.reason.message });
        await this.#note('task-cancelled', taskId, { reason: signal.reason.message.slice(0, MAXIMUM_REASON) });
        return;
      }
      const failure = toFedError(thrown);
      const { code, message, remedy } = failure;
      onEvent({ event: 'task-failed', taskId, code, message, remedy });
      await this.#note('task-failed', taskId, { code });
      await this.#tellFailure(taskId, failure, signal);
    } finally {
      onEvent({ event: 'egress', totals: this.#options.totals() });
    }
  }

  /** What has happened already is written down if the disk takes it: a full one must not end the agent. */
  async #note(action: AuditAction, taskId: string, detail: Readonly<Record<string, string | number>>) {
    const { audit, clock, onEvent } = this.#options;
    try {
      await audit.record(action, { taskId, ...detail }, clock.nowMs());
    } catch (thrown) {
      const { code, message, remedy } = toFedError(thrown);
      onEvent({ event: 'task-failed', taskId: `${taskId} (writing the audit log)`, code, message, remedy });
    }
  }

  async #perform(task: Task, signal: AbortSignal): Promise<void> {
    const checked = checkTask(task);
    await this.#decide(checked, signal);
    const paths = runPaths(this.#options.dir, task.runId);
    const stored = await loadResult(paths, task.taskId);
    const finished = stored ?? (await this.#compute(checked, paths, signal));
    await this.#deliver(checked, finished, stored !== undefined, signal);
  }

  /** @throws FedError POLICY_REFUSED */
  async #decide(checked: CheckedTask, signal: AbortSignal): Promise<void> {
    const { dir, site, policy, audit, clock, onEvent } = this.#options;
    const { taskId, runId } = checked.task;
    for (let asked = false; ; asked = true) {
      const decision = decide(checked, site, policy, await readApprovals(dir));
      if (decision.verdict === 'allow') {
        await audit.record('task-allowed', { taskId, runSha256: checked.runSha256 }, clock.nowMs());
        return;
      }
      if (decision.verdict === 'refuse') {
        const { reason, remedy } = decision;
        onEvent({ event: 'task-refused', taskId, reason, remedy });
        await audit.record('task-refused', { taskId, reason }, clock.nowMs());
        throw new FedError('POLICY_REFUSED', reason, remedy);
      }
      if (!asked) {
        const pending = { sha256: checked.runSha256, config: checked.run, firstSeenMs: clock.nowMs() };
        await addPending(dir, runId, pending);
        const untilMs = Number(checked.task.deadlineMs);
        onEvent({ event: 'waiting', for: `approval: emixer site approve ${runId}`, reason: decision.reason, untilMs });
      }
      await clock.sleep(APPROVAL_POLL_MS, signal);
    }
  }

  async #compute(checked: CheckedTask, paths: RunPaths, signal: AbortSignal): Promise<FinishedResult> {
    const { task } = checked;
    const handler = taskHandlers.get(task.kind);
    if (handler === undefined) throw new FedError('MESSAGE_INVALID', `expected a known kind of task; got ${task.kind}`);
    this.#options.onEvent({
      event: 'task',
      taskId: task.taskId,
      kind: handler.name,
      round: task.round,
      deadlineMs: Number(task.deadlineMs),
    });
    const finished = await taskWork(checked, paths, this.#options, handler.handle, signal);
    await saveResult(paths, task.taskId, finished);
    return finished;
  }

  async #deliver(checked: CheckedTask, finished: FinishedResult, resubmitted: boolean, signal: AbortSignal) {
    const { egress, onEvent } = this.#options;
    const { taskId } = checked.task;
    const outgoing: Outgoing[] = [];
    for (const file of finished.files) outgoing.push(await egress.admit(outgoingOf(checked, file)));
    const { accepted } = await this.#retrying(signal, async () => {
      for (const file of outgoing) {
        const { chunks } = await upload(egress, file, signal);
        onEvent({ event: 'transfer', taskId, direction: 'up', chunks });
      }
      return egress.submit(checked, finished.outcome, withGrace(signal));
    });
    this.#acknowledged.add(taskId);
    await this.#note('result-submitted', taskId, { counted: accepted ? 1 : 0 });
    onEvent({ event: 'task-done', taskId, counted: accepted, resubmitted });
  }

  /** Without an answer the round would wait for its deadline; whether the answer arrives is not waited for past a cancel. */
  async #tellFailure(taskId: string, failure: FedError, signal: AbortSignal): Promise<void> {
    try {
      await this.#retrying(signal, () => this.#options.egress.submitFailure(taskId, failure, signal));
      this.#acknowledged.add(taskId);
    } catch (thrown) {
      if (signal.aborted) return;
      const { code, message, remedy } = toFedError(thrown);
      this.#options.onEvent({ event: 'task-failed', taskId: `${taskId} (telling so)`, code, message, remedy });
    }
  }

  #retrying<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    const { clock, backoff, onEvent } = this.#options;
    return retrying(attempt, {
      ...backoff,
      clock,
      signal,
      onWait: ({ reason, waitMs }) =>
        onEvent({
          event: 'waiting',
          for: 'the coordinator',
          reason: `${reason.code} ${reason.message}`,
          untilMs: clock.nowMs() + waitMs,
        }),
    });
  }
}
