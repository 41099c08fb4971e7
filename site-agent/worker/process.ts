/** One training process: forked under the permission model with a scrubbed environment, spoken to over IPC. */
import { type ChildProcess, fork } from 'node:child_process';
import type { WorkerJob, WorkerMessage } from './messages.ts';
import { permissionFlags, type WorkerPaths } from './permissions.ts';

export interface WorkerLaunch {
  /** The worker's module. */
  readonly entry: string;
  readonly paths: WorkerPaths;
  readonly environment: Readonly<Record<string, string>>;
  /** Flags of Node before the permission flags, e.g. --conditions=source. */
  readonly nodeFlags?: readonly string[];
}

const STDERR_TAIL = 4_000;
const GOODBYE_MS = 2_000;

export class WorkerProcess {
  readonly #child: ChildProcess;
  /** How the process ended, in words; resolves once. */
  readonly ended: Promise<string>;
  #stderr = '';
  #alive = true;

  /** @param onMessage told every well-formed message of the worker */
  constructor(launch: WorkerLaunch, onMessage: (message: WorkerMessage) => void) {
    this.#child = fork(launch.entry, [], {
      execArgv: [...(launch.nodeFlags ?? []), ...permissionFlags(launch.paths)],
      env: { ...launch.environment },
      serialization: 'advanced',
      // No descriptor but the channel and stderr: an open file of the agent would be readable whatever the permissions.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_TAIL);
    });
    this.#child.on('message', (message: unknown) => {
      if (isWorkerMessage(message)) onMessage(message);
    });
    this.ended = new Promise(resolve => {
      const end = (how: string): void => {
        this.#alive = false;
        resolve(how);
      };
      this.#child.once('error', error => end(`it could not be started: ${error.message}`));
      // `exit` may come before the last of stderr, and `close` never comes once this end closed the channel.
      let said = false;
      let exit: string | undefined;
      this.#child.stderr?.once('close', () => {
        said = true;
        if (exit !== undefined) end(this.#describe(exit));
      });
      this.#child.once('exit', (code, signal) => {
        exit = signal === null ? `exit code ${code}` : `signal ${signal}`;
        if (said) end(this.#describe(exit));
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get alive(): boolean {
    return this.#alive;
  }

  send(job: WorkerJob): void {
    // A failed send means that the process is ending: `ended` tells, and the caller acts on that.
    if (this.#child.connected) this.#child.send(job, () => undefined);
  }

  /** Ends it at once: everything it keeps is written atomically. */
  async kill(): Promise<void> {
    if (this.#alive) this.#child.kill('SIGKILL');
    await this.ended;
  }

  /** Closes the channel, upon which the worker ends by itself; insists after two seconds. */
  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), GOODBYE_MS);
    await this.ended;
    clearTimeout(insist);
  }

  #describe(how: string): string {
    const hint = how === 'signal SIGKILL' ? ' (killed, perhaps for want of memory)' : '';
    const said = this.#stderr.trim().split('\n').slice(-12).join('\n');
    return `${how}${hint}${said === '' ? '' : `; its last words: ${said}`}`;
  }
}

type Fields = Partial<Record<'type' | 'backend' | 'step' | 'steps' | 'metrics' | 'taskId' | 'result', unknown>> &
  Partial<Record<'code' | 'message' | 'remedy', unknown>>;

/** The worker runs training code: what it sends is checked like anything from outside. */
function isWorkerMessage(value: unknown): value is WorkerMessage {
  if (typeof value !== 'object' || value === null) return false;
  const { type, backend, step, steps, metrics, taskId, result, code, message, remedy }: Fields = value;
  switch (type) {
    case 'ready':
      return areTexts(backend);
    case 'progress':
      return isCount(step) && isCount(steps) && typeof metrics === 'object' && metrics !== null;
    case 'done':
      return areTexts(taskId) && typeof result === 'object';
    case 'failed':
      return areTexts(taskId, code, message, remedy);
    default:
      return false;
  }
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const areTexts = (...values: readonly unknown[]): boolean => values.every(value => typeof value === 'string');
