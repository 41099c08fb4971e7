/** Gives a task's handler its ports: downloads, the worker of the task's run, and admission of what the worker wrote. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import { type BackoffOptions, retrying } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { Egress } from './egress.ts';
import type { EgressTotals } from './egress-log.ts';
import type { OnEvent } from './events.ts';
import { outgoingOf } from './outgoing.ts';
import type { CheckedTask } from './policy.ts';
import { ProgressReporter } from './progress.ts';
import type { FinishedResult, UploadFile } from './results.ts';
import { privateFolders, type RunPaths } from './state.ts';
import type { TaskHandler } from './tasks/task.ts';
import { download } from './transfer.ts';
import type { WorkerSupervisor } from './worker/supervisor.ts';

export interface WorkPorts {
  readonly site: string;
  readonly preparedDir: string;
  readonly checkpointEverySteps: number;
  readonly egress: Egress;
  readonly clock: Clock;
  readonly backoff: BackoffOptions;
  readonly onEvent: OnEvent;
  readonly totals: () => EgressTotals;
  /** The one worker, of this run: a worker of another run is ended first. */
  readonly workerOf: (runId: string, paths: RunPaths) => Promise<WorkerSupervisor>;
  readonly heartbeatIntervalMs: () => number;
}

/** @throws FedError of the worker, of egress, of a transfer; the signal's reason */
export async function taskWork(
  checked: CheckedTask,
  paths: RunPaths,
  ports: WorkPorts,
  handle: TaskHandler,
  signal: AbortSignal,
): Promise<FinishedResult> {
  const { task, run } = checked;
  const { egress, clock, backoff, onEvent } = ports;
  const { taskId, runId } = task;
  const job = paths.job(taskId);
  await privateFolders(paths.root, paths.weights, paths.results, paths.worker, paths.workerState, job);
  await forgetOtherJobs(paths, job);
  const files: UploadFile[] = [];
  const weightFiles = ['global', 'ema', 'synthetic'].map(name => join(paths.weights, `${name}.safetensors`));
  const progress = new ProgressReporter({
    taskId,
    egress,
    clock,
    onEvent,
    heartbeatIntervalMs: ports.heartbeatIntervalMs(),
  });
  const fetch = async (manifest: Manifest, name: string): Promise<string> => {
    const path = join(paths.weights, `${name}.safetensors`);
    const onWait = ({ reason, waitMs }: { reason: { code: string; message: string }; waitMs: number }): void =>
      onEvent({
        event: 'waiting',
        for: `the ${name} tensors from the coordinator`,
        reason: `${reason.code} ${reason.message}`,
        untilMs: clock.nowMs() + waitMs,
      });
    const count = await retrying(() => download({ egress, runId, manifest, path, reuse: weightFiles, signal }), {
      ...backoff,
      clock,
      signal,
      onWait,
    });
    onEvent({ event: 'transfer', taskId, direction: 'down', chunks: count.chunks });
    return path;
  };
  try {
    const outcome = await handle({
      checked,
      checkpointEverySteps: ports.checkpointEverySteps,
      base: {
        taskId,
        run,
        preparedDir: ports.preparedDir,
        stateDir: paths.workerState,
        siteIndex: [...run.sites].sort().indexOf(ports.site),
      },
      fetch,
      outPath: name => join(job, `${name}.safetensors`),
      work: async workerJob => {
        const worker = await ports.workerOf(runId, paths);
        return worker.run(workerJob, step => progress.update(step), signal);
      },
      async admit(kind, path) {
        const { manifest } = await egress.admit(outgoingOf(checked, { kind, path }));
        files.push({ kind, path });
        return manifest;
      },
    });
    return { outcome, files };
  } finally {
    await progress.stop();
  }
}

/** The coordinator asks for one task of a run at a time: with the next one, the files of the last were counted or are stale. */
async function forgetOtherJobs(paths: RunPaths, job: string): Promise<void> {
  const jobs = join(paths.worker, 'jobs');
  for (const name of await readdir(jobs)) {
    if (join(jobs, name) !== job) await rm(join(jobs, name), { recursive: true, force: true });
  }
}
