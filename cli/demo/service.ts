/** One real process of this binary: its JSON lines as events, its log in a file, and a group that can be ended whole. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { FedError, isErrorCode } from '#proto/errors.ts';

/** dist/cli/demo or cli/demo -> bin/emixer.mjs of the same installation. */
const BINARY = fileURLToPath(
  new URL(import.meta.url.includes('/dist/cli/') ? '../../../bin/emixer.mjs' : '../../bin/emixer.mjs', import.meta.url),
);
const TAIL_LINES = 20;
const STOP_GRACE_MS = 8_000;

export interface ServiceOptions {
  /** e.g. "coordinator", "hospital-1": how it is called in messages. */
  readonly name: string;
  /** After the binary, without --json. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the process prints. */
  readonly logPath: string;
  /** Whether its events are logged too; the document of a command is its caller's, and may name files of patients. */
  readonly logEvents: boolean;
  /** Every JSON object that it prints on stdout. */
  readonly onEvent: (event: Readonly<Record<string, unknown>>) => void;
  /** The program to run; the built binary unless a test says otherwise. */
  readonly binary?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Services that run now: whatever ends this process, none of them outlives it. */
const running = new Set<Service>();
const endAll = (): void => {
  for (const service of running) service.kill('SIGKILL');
};

export class Service {
  readonly name: string;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #logPath: string;
  readonly #tail: string[] = [];
  #exit: Exit | undefined;
  #error: FedError | undefined;

  constructor(options: ServiceOptions) {
    this.name = options.name;
    this.#logPath = options.logPath;
    // A group of its own: Ctrl-C of the terminal reaches only the demo, which then ends the groups in order.
    const child = spawn(process.execPath, [options.binary ?? BINARY, ...options.args, '--json'], {
      detached: true,
      env: { ...options.env, EMIXER_END_WITH_STDIN: '1' },
      // The open pipe is this process's sign of life: see main.ts.
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stdin.on('error', () => {});
    const log = createWriteStream(options.logPath, { flags: 'a', mode: 0o600 });
    if (running.size === 0) process.on('exit', endAll);
    running.add(this);
    const keep = (line: string): void => {
      log.write(`${line}\n`);
      this.#tail.push(line.slice(0, 1_000));
      if (this.#tail.length > TAIL_LINES) this.#tail.shift();
    };
    createInterface({ input: child.stderr }).on('line', keep);
    createInterface({ input: child.stdout }).on('line', line => {
      const event = parseObject(line);
      if (event === undefined) return keep(line);
      const error = errorOf(event);
      if (error === undefined) {
        if (options.logEvents) log.write(`${line}\n`);
        options.onEvent(event);
      } else {
        this.#error = error;
      }
    });
    this.exited = new Promise((resolve, reject) => {
      child.on('error', reject);
      // 'close', not 'exit': what it said last has been read by then.
      child.on('close', (code, signal) => {
        this.#exit = { code, signal };
        running.delete(this);
        if (running.size === 0) process.off('exit', endAll);
        log.end(() => resolve({ code, signal }));
      });
    });
    this.exited.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Its last lines, for a person. */
  get tail(): readonly string[] {
    return this.#tail;
  }

  /** What its end means: the error that it printed itself, or how it ended. */
  failure({ code, signal }: Exit): FedError {
    const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
    if (this.#error !== undefined) {
      const { code: errorCode, message, remedy } = this.#error;
      return new FedError(errorCode, `${this.name} ${how}: ${message}`, remedy);
    }
    const last = this.#tail.slice(-5).join(' | ');
    return new FedError(
      'INTERNAL',
      `${this.name} ${how}${last === '' ? '' : `; it said: ${last}`}`,
      `look into its log ${this.#logPath}`,
    );
  }

  /** SIGTERM to the whole group, SIGKILL after the grace; resolves when it is gone. */
  async stop(graceMs = STOP_GRACE_MS): Promise<void> {
    if (this.#exit === undefined) this.kill('SIGTERM');
    const timer = setTimeout(() => this.kill('SIGKILL'), graceMs);
    try {
      await this.exited.catch(() => {});
    } finally {
      clearTimeout(timer);
    }
    // The leader is gone; a worker that ignored it must not stay.
    this.kill('SIGKILL');
  }

  /** To the process group; one that is gone already is no error. */
  kill(signal: NodeJS.Signals): void {
    if (this.pid === 0) return;
    try {
      process.kill(-this.pid, signal);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
    }
  }
}

/** Runs a command of the binary to its end and returns the document it prints. @throws FedError that it printed */
export async function runCommand(
  options: Omit<ServiceOptions, 'onEvent' | 'logEvents'>,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  if (signal.aborted) throw new FedError('CANCELLED', 'interrupted');
  const documents: Readonly<Record<string, unknown>>[] = [];
  const service = new Service({ ...options, logEvents: false, onEvent: event => documents.push(event) });
  const onAbort = (): void => void service.stop();
  signal.addEventListener('abort', onAbort);
  try {
    const exit = await service.exited;
    if (signal.aborted) throw new FedError('CANCELLED', 'interrupted');
    if (exit.code !== 0) throw service.failure(exit);
    return documents.at(-1) ?? {};
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function errorOf(event: Readonly<Record<string, unknown>>): FedError | undefined {
  const { error } = event as { error?: { code?: unknown; message?: unknown; remedy?: unknown } };
  if (typeof error !== 'object' || error === null || typeof error.code !== 'string' || !isErrorCode(error.code))
    return undefined;
  return new FedError(error.code, String(error.message), String(error.remedy ?? ''));
}
