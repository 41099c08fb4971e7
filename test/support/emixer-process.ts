/** Real processes of the built binary: their JSON lines as events, every wait with a deadline, every end by process id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const BINARY = fileURLToPath(new URL('../../bin/emixer.mjs', import.meta.url));
/** The tests' own variable (a folder of collections) is an option of the command line too (--data), of another shape. */
const { EMIXER_DATA: _, ...ENVIRONMENT } = process.env;
/** A machine that runs other suites beside this one is slow: a deadline says "never", not "slow". */
const DEADLINE_MS = 200_000;
const STOP_GRACE_MS = 20_000;
const STDERR_TAIL = 6_000;

export interface Line {
  readonly event?: unknown;
  readonly [key: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  /** Beside this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const running = new Set<EmixerProcess>();

/** Ends all that was started and still runs. */
export const endProcesses = (): Promise<unknown> => Promise.all([...running].map(started => started.end()));

/** Also when a test failed or timed out: nothing that a test started outlives its file. */
afterAll(endProcesses);

export class EmixerProcess {
  /** Every JSON object that it printed on stdout, in order. */
  readonly lines: Line[] = [];
  /** Resolves when it is gone and all that it printed was read. */
  readonly exited: Promise<Exit>;
  readonly args: readonly string[];
  readonly #child: ChildProcess;
  readonly #looking = new Set<() => void>();
  #exit: Exit | undefined;
  #stdout = '';
  #stderr = '';

  constructor(args: readonly string[], { env = {}, cwd }: StartOptions = {}) {
    this.args = args;
    // A group of its own, so that its children can be ended with it; the open pipe ends it if this process is killed.
    this.#child = spawn(process.execPath, [BINARY, ...args], {
      detached: true,
      env: { ...ENVIRONMENT, EMIXER_END_WITH_STDIN: '1', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
    });
    running.add(this);
    const { stdout, stderr } = this.#child;
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-1_000_000);
      this.#look();
    });
    stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    if (stdout !== null) createInterface({ input: stdout }).on('line', line => this.#take(line));
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => {
        this.#exit = { code, signal };
        running.delete(this);
        this.#look();
        resolve({ code, signal });
      });
    });
    this.exited.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The lines of one kind of event so far. */
  events(name: string): Line[] {
    return this.lines.filter(({ event }) => event === name);
  }

  /** The first line that fits, past or to come. @throws Error at the deadline, or when the process ended without it */
  async waitFor(what: string, fits: (line: Line) => boolean, deadlineMs = DEADLINE_MS): Promise<Line> {
    return this.#until(what, () => this.lines.find(fits), deadlineMs);
  }

  /** The first match in what it has written on stderr. */
  async waitForText(pattern: RegExp, deadlineMs = DEADLINE_MS): Promise<RegExpExecArray> {
    return this.#until(String(pattern), () => pattern.exec(this.#stderr) ?? undefined, deadlineMs);
  }

  /** To this process alone, not to its children. */
  kill(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** SIGTERM to it and its children, SIGKILL after a grace; resolves when it is gone. */
  async end(): Promise<Exit> {
    this.#killGroup('SIGTERM');
    const insist = setTimeout(() => this.#killGroup('SIGKILL'), STOP_GRACE_MS);
    try {
      return await this.exited;
    } finally {
      clearTimeout(insist);
      // Children that outlived it are a finding of some test; here they are ended whatever the finding.
      this.#killGroup('SIGKILL');
    }
  }

  #killGroup(signal: NodeJS.Signals): void {
    if (this.pid === 0) return;
    try {
      process.kill(-this.pid, signal);
      // A process that a test has stopped would never see it.
      process.kill(-this.pid, 'SIGCONT');
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
    }
  }

  #take(line: string): void {
    if (!line.startsWith('{')) return;
    this.lines.push(JSON.parse(line) as Line);
    this.#look();
  }

  #look(): void {
    for (const look of this.#looking) look();
  }

  async #until<T>(what: string, find: () => T | undefined, deadlineMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const finish = (end: () => void): void => {
        clearTimeout(timer);
        this.#looking.delete(look);
        end();
      };
      const look = (): void => {
        const found = find();
        if (found !== undefined) finish(() => resolve(found));
        else if (this.#exit !== undefined) finish(() => reject(this.#without(what, `ended with ${this.#ending()}`)));
      };
      const timer = setTimeout(
        () => finish(() => reject(this.#without(what, `said nothing of it in ${deadlineMs} ms`))),
        deadlineMs,
      );
      this.#looking.add(look);
      look();
    });
  }

  #ending = (): string => JSON.stringify(this.#exit);

  #without(what: string, how: string): Error {
    const last = this.lines.slice(-5).map(line => JSON.stringify(line).slice(0, 500));
    const tail = this.#stderr.slice(-STDERR_TAIL);
    return new Error(`emixer ${this.args.join(' ')} ${how}; expected ${what}\n${last.join('\n')}\n${tail}`);
  }
}

export interface Ended extends Exit {
  readonly stdout: string;
  readonly stderr: string;
  /** The JSON objects on stdout. */
  readonly documents: readonly Line[];
}

/** Runs a command to its end; one that does not end is ended at the deadline, and fails. */
export async function emixer(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
  const started = new EmixerProcess(args, options);
  const late = setTimeout(() => void started.end(), DEADLINE_MS);
  const exit = await started.exited;
  clearTimeout(late);
  return { ...exit, stdout: started.stdout, stderr: started.stderr, documents: started.lines };
}
