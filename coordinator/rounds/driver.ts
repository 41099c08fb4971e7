/** All runs in progress: resumed at the start, created and stopped through the database, woken when a site connects. */
import { join } from 'node:path';
import type { Session } from '#coordinator/sessions.ts';
import { RunFiles } from '#coordinator/store/run-files.ts';
import { ActiveRun, type RunContext } from './active-run.ts';

export interface DriverContext extends RunContext {
  /** Holds one folder a run. */
  readonly runsFolder: string;
  /** Called after another process has written to the database. */
  readonly onStoreChanged: () => Promise<void>;
}

/** How often the database is asked whether the command line has written to it: one pragma, microseconds. */
const POLL_MS = 200;

export const runFolder = (runsFolder: string, runId: string): string => join(runsFolder, runId);

export class Driver {
  readonly #context: DriverContext;
  readonly #active = new Map<string, ActiveRun>();
  #version = 0;
  #cancelPoll: () => void = () => {};
  #polling: Promise<void> = Promise.resolve();
  #closed = false;
  #started = false;

  constructor(context: DriverContext) {
    this.#context = context;
  }

  /** Folds the events of the runs that have not ended. After this, results are taken in; before, none may come. */
  async load(): Promise<void> {
    this.#version = await this.#context.store.version();
    await this.#loadRuns(true);
  }

  /** Goes on with the runs, and watches for new ones. */
  async begin(): Promise<void> {
    for (const run of this.#active.values()) await run.begin(true);
    this.#started = true;
    this.#schedulePoll();
  }

  /** True once all runs go on. */
  get started(): boolean {
    return this.#started;
  }

  /** A run in progress, or one that ended since the start. */
  run(runId: string): ActiveRun | undefined {
    return this.#active.get(runId);
  }

  /** A site has opened a session: it is told what is due, in runs that wait for it or for anybody. */
  connected(session: Session): void {
    for (const run of this.#active.values()) if (run.state.config.sites.includes(session.site)) run.wake();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelPoll();
    await this.#polling;
    await Promise.all([...this.#active.values()].map(run => run.close()));
  }

  /** @returns the runs that were not known before */
  async #loadRuns(atStart: boolean): Promise<ActiveRun[]> {
    const { store, runsFolder, keepIntermediate } = this.#context;
    const loaded: ActiveRun[] = [];
    for (const { runId, endedAtMs } of await store.runs()) {
      const files = new RunFiles(runFolder(runsFolder, runId));
      // Stopped by the command line, or killed at its very end: nobody else has cleared it away.
      if (endedAtMs !== null && atStart && !keepIntermediate) await files.deleteUploads();
      if (endedAtMs !== null || this.#active.has(runId)) continue;
      const run = new ActiveRun(this.#context, files, await store.events(runId));
      this.#active.set(runId, run);
      loaded.push(run);
    }
    return loaded;
  }

  #schedulePoll(): void {
    if (this.#closed) return;
    this.#cancelPoll = this.#context.clock.after(POLL_MS, () => {
      this.#polling = this.#poll()
        .catch(error => this.#context.log.error({ err: error }, 'the database could not be read'))
        .finally(() => this.#schedulePoll());
    });
  }

  async #poll(): Promise<void> {
    const version = await this.#context.store.version();
    if (version === this.#version) return;
    this.#version = version;
    for (const run of this.#active.values()) if (run.state.status === 'running') await run.refresh();
    for (const run of await this.#loadRuns(false)) await run.begin(false);
    await this.#context.onStoreChanged();
  }
}
