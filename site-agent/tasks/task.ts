/** What a kind of task needs to turn the wire's Task into a job of the worker, and the worker's answer into a result. */
import type { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import type { Outcome } from '../egress-results.ts';
import type { CheckedTask } from '../policy.ts';
import type { WorkerJob } from '../worker/messages.ts';

export interface TaskContext {
  readonly checked: CheckedTask;
  /** What every job has. */
  readonly base: {
    readonly taskId: string;
    readonly run: CheckedTask['run'];
    readonly preparedDir: string;
    readonly stateDir: string;
    readonly siteIndex: number;
  };
  readonly checkpointEverySteps: number;
  /** Fetches a manifest's tensors under a name and returns the file. */
  fetch(manifest: Manifest, name: 'global' | 'ema' | 'synthetic'): Promise<string>;
  /** Where in the job's folder the worker puts a file. */
  outPath(name: 'contribution' | 'synthetic' | 'model'): string;
  /** Runs the worker. */
  work(job: WorkerJob): Promise<unknown>;
  /** Checks a file that the worker wrote; it is uploaded before the result is submitted. */
  admit(kind: 'weights' | 'synthetic', path: string): Promise<Manifest>;
}

export type TaskResult = Exclude<Outcome, { $case: 'failure' }>;
export type TaskHandler = (context: TaskContext) => Promise<TaskResult>;
