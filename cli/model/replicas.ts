/** The other processes of `emixer model train --replicas N`: one more a GPU, started for the adversarial stage. */
import { type ChildProcess, fork } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Emixer } from '#model/emixer/emixer.ts';
import { GradientExchange } from '#model/training/gradient-exchange.ts';
import { ReplicaFiles } from '#model/training/replica-files.ts';
import { FedError, isErrorCode } from '#proto/errors.ts';
import { replicaFolder } from './replica-folder.ts';
import type { ReplicaMessage, ReplicaOrder } from './replica-messages.ts';
import type { Share } from './replica-share.ts';

/** Longer than any step, sheet of samples or checkpoint; a replica that died is noticed at once. */
const TIMEOUT_MS = 600_000;
const GOODBYE_MS = 5_000;
const STDERR_TAIL = 4_000;

export interface ReplicasOptions
  extends Pick<ReplicaOrder, 'run' | 'keys' | 'vocabulary' | 'preparedDir' | 'checkpoint'> {
  readonly model: Emixer;
  readonly replicas: number;
  /** The training's folder. */
  readonly out: string;
  /** Of this process, e.g. "cuda 2.21.0": the others must find the same. */
  readonly backend: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What replica number `rank` gets of the machine. */
  readonly shareOf: (rank: number) => Share;
  readonly nowMs: () => number;
  readonly say: (line: string) => void;
}

export class Replicas {
  readonly exchange: GradientExchange;
  readonly #options: ReplicasOptions;
  readonly #folder: string;
  readonly #failure: AbortController;
  #processes: { readonly child: ChildProcess; readonly ended: Promise<void> }[] = [];

  private constructor(options: ReplicasOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    this.#failure = new AbortController();
    const { replicas, nowMs } = options;
    const { signal } = this.#failure;
    const files = new ReplicaFiles({ folder, rank: 0, replicas, timeoutMs: TIMEOUT_MS, signal, nowMs });
    this.exchange = new GradientExchange(files);
  }

  static async create(options: ReplicasOptions): Promise<Replicas> {
    return new Replicas(options, await replicaFolder(options.out, neededBytes(options)));
  }

  /** @throws FedError BACKEND_UNAVAILABLE when one finds another backend than this process; WORKER_DIED when one ends */
  async start(): Promise<void> {
    const ranks = Array.from({ length: this.#options.replicas - 1 }, (_, i) => i + 1);
    await Promise.all(ranks.map(rank => this.#launch(rank)));
    this.#failure.signal.throwIfAborted();
    const pids = this.#processes.map(({ child }) => child.pid).join(', ');
    this.#options.say(`the steps are shared out over ${this.#options.replicas} processes: this one and ${pids}`);
  }

  /** Ends them all and removes what they exchanged. */
  async end(): Promise<void> {
    for (const { child } of this.#processes) if (child.connected) child.disconnect();
    const insist = setTimeout(() => {
      for (const { child } of this.#processes) child.kill('SIGKILL');
    }, GOODBYE_MS);
    await Promise.all(this.#processes.map(({ ended }) => ended));
    clearTimeout(insist);
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Resolves when the replica has its backend, or will never have it. */
  #launch(rank: number): Promise<void> {
    const { env, run, keys, vocabulary, preparedDir, checkpoint, replicas, shareOf } = this.#options;
    const { gpu, threads } = shareOf(rank);
    const child = fork(ENTRY, [], {
      env: { ...env, CUDA_VISIBLE_DEVICES: gpu, EMIXER_THREADS: String(threads) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-STDERR_TAIL);
    });
    return new Promise(resolve => {
      const ended = new Promise<void>(end => {
        const gone = (how: string | undefined): void => {
          if (how !== undefined) this.#fail(died(rank, how, said));
          resolve();
          end();
        };
        child.once('error', error => gone(`could not be started: ${error.message}`));
        child.once('exit', (code, signal) =>
          gone(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`),
        );
      });
      child.on('message', (message: ReplicaMessage) => {
        if (message.type === 'failed') this.#fail(failed(rank, message));
        else this.#compare(rank, message.backend);
        resolve();
      });
      this.#processes.push({ child, ended });
      const order = { run, keys, vocabulary, preparedDir, checkpoint, replicas, rank, timeoutMs: TIMEOUT_MS };
      // A failed send means that the process is ending, which is told above.
      child.send({ ...order, folder: this.#folder } satisfies ReplicaOrder, () => undefined);
    });
  }

  /** The first failure is the one that the training ends with; the others follow from it. */
  #fail(error: FedError): void {
    this.#failure.abort(error);
  }

  #compare(rank: number, backend: string): void {
    if (backend === this.#options.backend) return;
    this.#fail(
      new FedError(
        'BACKEND_UNAVAILABLE',
        `expected replica ${rank} to compute on ${this.#options.backend}, as replica 0; it found ${backend}`,
        'give --replicas at most as many as there are GPUs',
      ),
    );
  }
}

/** The sources are run as they are, the build as it was built. */
const ENTRY = fileURLToPath(
  new URL(`./replica-main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

const REMEDY = 'the same command goes on from the last checkpoint';

const failed = (rank: number, { code, message, remedy }: Extract<ReplicaMessage, { type: 'failed' }>): FedError =>
  new FedError(isErrorCode(code) ? code : 'INTERNAL', `replica ${rank}: ${message}`, remedy || REMEDY);

const died = (rank: number, how: string, said: string): FedError => {
  const last = said.trim().split('\n').slice(-5).join(' | ');
  return new FedError('WORKER_DIED', `replica ${rank} ${how}${last === '' ? '' : `; it said: ${last}`}`, REMEDY);
};

/** Two rounds of everybody's gradients, were they of all networks. */
function neededBytes({ model, replicas }: ReplicasOptions): number {
  const numbers = [...model.shared, ...model.local]
    .flatMap(({ trainables }) => trainables)
    .reduce((sum, { size }) => sum + size, 0);
  return 2 * replicas * 4 * numbers;
}
