/** The demo's processes together: started, waited for, and ended as one; the first that dies unexpectedly ends all. */
import { join } from 'node:path';
import { FedError } from '#proto/errors.ts';
import { runCommand, Service } from './service.ts';

export interface ServiceEvent {
  readonly event?: unknown;
  readonly [key: string]: unknown;
}

export interface CrewOptions {
  readonly logs: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
  readonly binary?: string;
}

export interface Member {
  readonly service: Service;
  /** The first event, past or to come, that `matches`. @throws FedError when the crew ends first */
  waitFor(matches: (event: ServiceEvent) => boolean): Promise<ServiceEvent>;
}

/** Settings of a command, which children must not inherit: EMIXER_OUT is the demo's, not the coordinator's. */
const INHERITED = new Set(['EMIXER_BACKEND', 'EMIXER_THREADS', 'EMIXER_LIBTENSORFLOW', 'EMIXER_OFFLINE']);

export class Crew {
  readonly #options: CrewOptions;
  readonly #services: Service[] = [];
  readonly #controller = new AbortController();
  /** Aborts on Ctrl-C, when a service has died, and at the end. */
  readonly signal: AbortSignal;
  #stopping = false;

  constructor(options: CrewOptions) {
    const env = Object.entries(options.env).filter(([name]) => !name.startsWith('EMIXER_') || INHERITED.has(name));
    this.#options = { ...options, env: Object.fromEntries(env) };
    this.signal = this.#controller.signal;
    const interrupt = (): void => this.#controller.abort(new FedError('CANCELLED', 'interrupted', 'run it again'));
    if (options.signal.aborted) interrupt();
    else options.signal.addEventListener('abort', interrupt, { once: true });
  }

  /** Starts a service that lives until the crew ends. */
  start(name: string, args: readonly string[], onEvent: (event: ServiceEvent) => void = () => {}): Member {
    this.signal.throwIfAborted();
    const past: ServiceEvent[] = [];
    const waiting = new Set<(event: ServiceEvent) => void>();
    const service = new Service({
      ...this.#childOptions(name, args),
      logEvents: true,
      onEvent: (event: ServiceEvent) => {
        // Progress is many, and nobody waits for it.
        if (event.event !== 'progress') past.push(event);
        onEvent(event);
        for (const look of waiting) look(event);
      },
    });
    this.#services.push(service);
    service.exited.then(
      exit => {
        if (!this.#stopping) this.#controller.abort(service.failure(exit));
      },
      cause => this.#controller.abort(new FedError('INTERNAL', `${name} did not start`, 'see --verbose', { cause })),
    );
    const waitFor = (matches: (event: ServiceEvent) => boolean): Promise<ServiceEvent> => {
      const found = past.find(matches);
      if (found !== undefined) return Promise.resolve(found);
      return this.#abortable(resolve => {
        const look = (event: ServiceEvent): void => {
          if (!matches(event)) return;
          waiting.delete(look);
          resolve(event);
        };
        waiting.add(look);
      });
    };
    return { service, waitFor };
  }

  /** Runs a command to its end. @throws FedError that it printed */
  command(name: string, args: readonly string[]): Promise<ServiceEvent> {
    return runCommand(this.#childOptions(name, args), this.signal);
  }

  /** Ends every process, last started first; sites can still tell the coordinator that they leave. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#controller.abort(new FedError('CANCELLED', 'the demo is over'));
    for (const service of this.#services.toReversed()) service.kill('SIGTERM');
    await Promise.all(this.#services.map(service => service.stop()));
  }

  #childOptions(name: string, args: readonly string[]) {
    const { env, logs, binary } = this.#options;
    return { name, args, env, logPath: join(logs, `${name}.log`), ...(binary === undefined ? {} : { binary }) };
  }

  #abortable<T>(begin: (resolve: (value: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) return reject(this.signal.reason);
      this.signal.addEventListener('abort', () => reject(this.signal.reason), { once: true });
      begin(resolve);
    });
  }
}
