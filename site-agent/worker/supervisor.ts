/**
 * Keeps one training process for one run: starts it with the first job, gives it jobs one after another, starts it
 * again when it dies or stands still, and ends it when it has been idle, which gives its memory (the GPU's too) back.
 */
import { FedError, isErrorCode } from '#proto/errors.ts';
import { UntrustedFailure } from '../untrusted-failure.ts';
import type { WorkerJob, WorkerMessage } from './messages.ts';
import { type WorkerLaunch, WorkerProcess } from './process.ts';

export interface SupervisorOptions extends WorkerLaunch {
  /** From the fork to `ready`: loading the numeric backend. */
  readonly startTimeoutMs: number;
  /** Longest silence during a job. */
  readonly stallTimeoutMs: number;
  readonly idleMs: number;
  /** How often one job may be given to a new process after its process died. */
  readonly maximumRestarts: number;
  readonly onEvent: (event: WorkerEvent) => void;
}

export type WorkerEvent =
  | { readonly type: 'worker-started'; readonly pid: number | undefined; readonly backend: string }
  | { readonly type: 'worker-restarted'; readonly taskId: string; readonly restarts: number; readonly reason: string }
  | { readonly type: 'worker-ended'; readonly reason: 'idle' | 'closed' };

export interface Progress {
  readonly step: number;
  readonly steps: number;
  readonly metrics: Readonly<Record<string, number>>;
}

type Ending = Extract<WorkerMessage, { type: 'done' | 'failed' }> | { readonly type: 'died'; readonly how: string };

export class WorkerSupervisor {
  readonly #options: SupervisorOptions;
  #process: WorkerProcess | undefined;
  #ready: Promise<boolean> = Promise.resolve(false);
  #listener: (message: WorkerMessage) => void = () => undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** The living process, for tests and for whoever watches memory. */
  get pid(): number | undefined {
    return this.#process?.alive ? this.#process.pid : undefined;
  }

  /**
   * Runs one job to its end; the caller waits for one before it gives the next.
   * @throws UntrustedFailure what the job failed with; FedError WORKER_DIED when its process died once more than allowed; the signal's reason
   */
  async run(job: WorkerJob, onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<unknown> {
    clearTimeout(this.#idle);
    try {
      for (let restarts = 0; ; restarts++) {
        const ending = await this.#attempt(job, onProgress, signal);
        if (ending.type === 'done') return ending.result;
        if (ending.type === 'failed') throw failureOf(ending);
        if (restarts >= this.#options.maximumRestarts) {
          throw new FedError(
            'WORKER_DIED',
            `expected the training worker to finish; it died ${restarts + 1} times, the last time with ${ending.how}`,
            'see the last words of the worker; give it more memory, or lower the batch size',
          );
        }
        const { taskId } = job;
        this.#options.onEvent({ type: 'worker-restarted', taskId, restarts: restarts + 1, reason: ending.how });
      }
    } finally {
      this.#idle = setTimeout(() => void this.#end('idle'), this.#options.idleMs);
      this.#idle.unref();
    }
  }

  close(): Promise<void> {
    clearTimeout(this.#idle);
    return this.#end('closed');
  }

  async #end(reason: 'idle' | 'closed'): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process?.alive !== true) return;
    await process.close();
    this.#options.onEvent({ type: 'worker-ended', reason });
  }

  async #attempt(job: WorkerJob, onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<Ending> {
    signal.throwIfAborted();
    const process = await this.#running(signal);
    if (typeof process === 'string') return { type: 'died', how: process };
    let stalled: NodeJS.Timeout | undefined;
    const kill = (): void => void process.kill();
    const watch = (): void => {
      clearTimeout(stalled);
      stalled = setTimeout(kill, this.#options.stallTimeoutMs);
    };
    signal.addEventListener('abort', kill, { once: true });
    try {
      watch();
      const finished = new Promise<Ending>(resolve => {
        this.#listener = message => {
          watch();
          if (message.type === 'progress') {
            const { step, steps, metrics } = message;
            onProgress({ step, steps, metrics });
          } else if (message.type !== 'ready' && message.taskId === job.taskId) resolve(message);
        };
      });
      process.send(job);
      const ending = await Promise.race([finished, process.ended.then(how => ({ type: 'died' as const, how }))]);
      signal.throwIfAborted();
      return ending;
    } finally {
      clearTimeout(stalled);
      this.#listener = () => undefined;
      signal.removeEventListener('abort', kill);
    }
  }

  /** The process, started where there is none; or how it died before it was ready. */
  async #running(signal: AbortSignal): Promise<WorkerProcess | string> {
    if (this.#process?.alive === true && (await this.#ready)) return this.#process;
    const process = this.#start();
    const kill = (): void => void process.kill();
    const late = setTimeout(kill, this.#options.startTimeoutMs);
    signal.addEventListener('abort', kill, { once: true });
    try {
      const ready = await this.#ready;
      signal.throwIfAborted();
      return ready ? process : `${await process.ended} before it was ready`;
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', kill);
    }
  }

  #start(): WorkerProcess {
    let announce = (_ready: boolean): void => undefined;
    this.#ready = new Promise(resolve => {
      announce = resolve;
    });
    const process = new WorkerProcess(this.#options, message => {
      if (message.type === 'ready') {
        this.#options.onEvent({ type: 'worker-started', pid: process.pid, backend: message.backend });
        announce(true);
      }
      this.#listener(message);
    });
    this.#process = process;
    void process.ended.then(() => announce(false));
    return process;
  }
}

const failureOf = ({ code, message, remedy }: Extract<WorkerMessage, { type: 'failed' }>): FedError =>
  new UntrustedFailure(new FedError(isErrorCode(code) ? code : 'INTERNAL', message, remedy));
