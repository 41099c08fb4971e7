/** The agent: puts session, queue, policy, worker and egress together, and runs until it is told to stop. */
import { AuditLog } from './audit-log.ts';
import { DEFAULT_BACKOFF } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';
import { readSiteConfig, type SiteConfig } from './config.ts';
import { Egress } from './egress.ts';
import { EgressLog } from './egress-log.ts';
import type { OnEvent } from './events.ts';
import { readIdentity } from './identity.ts';
import { takeLock } from './lock.ts';
import { keepSession } from './session.ts';
import { privateFolders, type RunPaths, type SitePaths, sitePaths } from './state.ts';
import { TaskQueue } from './task-queue.ts';
import { TaskRunner } from './task-runner.ts';
import { builtWorker, type WorkerModule, workerLaunch } from './worker/launch.ts';
import { WorkerSupervisor } from './worker/supervisor.ts';

export interface AgentOptions {
  readonly dir: string;
  readonly onEvent: OnEvent;
  /** Aborting stops the agent: the worker ends, the task is kept for the next start. */
  readonly signal: AbortSignal;
  /** The process's environment; the worker gets a few named variables of it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Uniform in [0, 1), for the jitter of the back-off. */
  readonly random: () => number;
  readonly clock?: Clock;
  readonly worker?: WorkerModule;
}

const WORKER_START_TIMEOUT_MS = 180_000;
const HEARTBEAT_INTERVAL_MS = { fallback: 5_000, minimum: 100, maximum: 60_000 };

/**
 * Runs the agent of a site's folder until the signal aborts.
 * @returns why it ended
 * @throws FedError CONFIG_INVALID (not enrolled, site.yaml, already running), CERTIFICATE_REVOKED, PROTOCOL_MISMATCH, CLOCK_SKEW, ...
 */
export async function startAgent(options: AgentOptions): Promise<'stopped'> {
  const { dir, onEvent, signal } = options;
  const clock = options.clock ?? systemClock;
  const paths = sitePaths(dir);
  const config = await readSiteConfig(dir);
  const identity = await readIdentity(dir);
  await privateFolders(dir, paths.data, paths.runs);
  const release = await takeLock(paths.lock);
  const closing: (() => Promise<void> | void)[] = [release];
  try {
    const log = await EgressLog.open(dir, () => clock.nowMs());
    closing.push(() => log.close());
    const audit = await AuditLog.open(dir);
    closing.push(() => audit.close());
    const address = config.coordinator ?? identity.coordinator;
    const { caPem, certPem, keyPem, site } = identity;
    await audit.record('agent-started', { site, coordinator: address }, clock.nowMs());
    closing.push(() => audit.record('agent-stopped', { site }, clock.nowMs()));
    const { blockedEgress: blocked, minimumCell } = config.policy;
    const egress = new Egress({ address, caPem, certPem, keyPem, log, blocked, minimumCell, clock });
    closing.push(() => egress.close());
    const workers = new Workers(config, paths, options);
    closing.push(() => workers.close());
    const backoff = { ...DEFAULT_BACKOFF, random: options.random };
    let heartbeatMs = HEARTBEAT_INTERVAL_MS.fallback;
    const runner = new TaskRunner({
      dir,
      site,
      policy: config.policy,
      preparedDir: paths.prepared,
      checkpointEverySteps: config.worker.checkpointEverySteps,
      egress,
      audit,
      clock,
      backoff,
      onEvent,
      totals: () => log.totals,
      workerOf: (runId, run) => workers.of(runId, run),
      heartbeatIntervalMs: () => heartbeatMs,
    });
    const queue = new TaskQueue({
      run: (task, aborted) => runner.run(task, aborted),
      nowMs: () => clock.nowMs(),
      onIdle: () => onEvent({ event: 'waiting', for: 'a task' }),
    });
    closing.push(() => queue.close('the agent stops; the task goes on when it is started again'));
    onEvent({ event: 'started', site, coordinator: address });
    await keepSession({
      site,
      address,
      egress,
      clock,
      backoff,
      signal,
      onEvent,
      onWelcome: ({ heartbeatIntervalMs }) => {
        const { minimum, maximum } = HEARTBEAT_INTERVAL_MS;
        heartbeatMs = Math.min(maximum, Math.max(minimum, heartbeatIntervalMs));
        if (queue.runningTaskId === undefined) onEvent({ event: 'waiting', for: 'a task' });
      },
      onTask: task => queue.add(task),
      onCancel: ({ taskId, reason }) => queue.cancel(taskId, reason),
    });
    onEvent({ event: 'stopped', reason: 'it was told to stop' });
    return 'stopped';
  } finally {
    // In the reverse order of opening: the queue's last words still go through egress and into the logs.
    await closeAll(closing);
  }
}

/** Last opened, first closed; one that fails keeps none of the others from closing. */
async function closeAll(closing: readonly (() => Promise<void> | void)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closing.toReversed()) {
    try {
      await close();
    } catch (thrown) {
      failures.push(thrown);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** At most one worker process: that of the run whose task is in progress. */
class Workers {
  readonly #config: SiteConfig;
  readonly #paths: SitePaths;
  readonly #options: AgentOptions;
  #current: { readonly runId: string; readonly supervisor: WorkerSupervisor } | undefined;

  constructor(config: SiteConfig, paths: SitePaths, options: AgentOptions) {
    this.#config = config;
    this.#paths = paths;
    this.#options = options;
  }

  /** The run's worker; that of another run is ended first, so that two never share the machine. */
  async of(runId: string, run: RunPaths): Promise<WorkerSupervisor> {
    if (this.#current?.runId === runId) return this.#current.supervisor;
    await this.close();
    const { stallTimeoutMs, idleMs, maximumRestarts, ...settings } = this.#config.worker;
    const launch = workerLaunch({
      module: this.#options.worker ?? builtWorker(),
      settings,
      parentEnvironment: this.#options.environment,
      data: this.#paths.data,
      run: run.root,
      writable: run.worker,
    });
    const supervisor = new WorkerSupervisor({
      ...launch,
      startTimeoutMs: WORKER_START_TIMEOUT_MS,
      stallTimeoutMs,
      idleMs,
      maximumRestarts,
      onEvent: ({ type, ...rest }) => this.#options.onEvent({ event: type, ...rest } as Parameters<OnEvent>[0]),
    });
    this.#current = { runId, supervisor };
    return supervisor;
  }

  async close(): Promise<void> {
    await this.#current?.supervisor.close();
    this.#current = undefined;
  }
}
