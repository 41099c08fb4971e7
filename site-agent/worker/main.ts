/**
 * The training worker: one child process of the agent for one run. It takes jobs over IPC one after another, holds
 * neither the site's key nor the agent's environment, and gives its memory back by ending.
 */
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { FedError, toFedError } from '#proto/errors.ts';
import { runJob } from './jobs/run-job.ts';
import type { WorkerJob, WorkerMessage } from './messages.ts';

const send = (message: WorkerMessage): void => {
  process.send?.(message);
};

async function main(): Promise<void> {
  const backend = await loadBackend(backendOptionsFromEnvironment(process.env));
  let queue: Promise<void> = Promise.resolve();
  process.on('message', (job: WorkerJob) => {
    queue = queue.then(() => serve(job));
  });
  // Without its agent there is nobody to work for: a worker never outlives it.
  process.on('disconnect', () => process.exit(0));
  send({ type: 'ready', backend: `${backend.name} ${backend.version}` });
}

async function serve(job: WorkerJob): Promise<void> {
  try {
    const result = await runJob(job, (step, steps, metrics) => send({ type: 'progress', step, steps, metrics }));
    send({ type: 'done', taskId: job.taskId, result });
  } catch (thrown) {
    const { code, message, remedy } = toFedError(thrown);
    // A stack trace names files of this program only; it stays at the site, on the worker's stderr.
    if (!(thrown instanceof FedError) && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
    send({ type: 'failed', taskId: job.taskId, code, message, remedy });
  }
}

await main();
