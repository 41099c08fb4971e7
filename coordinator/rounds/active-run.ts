/** One run in progress: its events appended one at a time, and what is due done until it has to wait. */
import type { Logger } from 'pino';
import type { Clock } from '#coordinator/clock.ts';
import { type Notice, noticesBetween, stepOpened } from '#coordinator/notices.ts';
import type { Sessions } from '#coordinator/sessions.ts';
import type { RunFiles } from '#coordinator/store/run-files.ts';
import type { AuditEntry, Store, StoredEvent } from '#coordinator/store/store.ts';
import { FedError, toFedError } from '#proto/errors.ts';
import { doDue, type Progress } from './due.ts';
import type { RunEvent, Verdict } from './events.ts';
import { plan, type Submission } from './plan.ts';
import { fold, reduce } from './reducer.ts';
import type { RunState } from './state.ts';
import { stepId } from './steps.ts';
import { VisibleChunks } from './visible-chunks.ts';

/** What a run needs from the coordinator. */
export interface RunContext {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly log: Logger;
  readonly notify: (notice: Notice) => void;
  /** Keep contributions and the weights of every round (tests, audits of the aggregation). */
  readonly keepIntermediate: boolean;
  /** Combines the audits into the verdict and writes the run's output; safe to repeat. */
  readonly conclude: (
    state: RunState,
    files: RunFiles,
    audits: readonly Submission[],
    nowMs: number,
  ) => Promise<Verdict>;
}

/** After a full disk: long enough not to spin, short enough that nobody has to restart anything. */
const RETRY_MS = 10_000;

export class ActiveRun {
  readonly files: RunFiles;
  readonly visible: VisibleChunks;
  readonly #context: RunContext;
  #state: RunState;
  #seq: number;
  #appending: Promise<unknown> = Promise.resolve();
  #advancing: Promise<void> | undefined;
  #again = false;
  readonly #closing = new AbortController();
  #cancelTimer: () => void = () => {};

  /** @param events all events of the run so far */
  constructor(context: RunContext, files: RunFiles, events: readonly StoredEvent[]) {
    this.#context = context;
    this.files = files;
    this.visible = new VisibleChunks(files);
    this.#state = fold(events.map(({ event }) => event));
    this.#seq = events.at(-1)?.seq ?? 0;
  }

  get state(): RunState {
    return this.#state;
  }

  /** Aborted by `close`: long work ends at the next chunk, and is done again after the restart. */
  get stopping(): AbortSignal {
    return this.#closing.signal;
  }

  /** Tells that the run is there, and gives the step in progress its whole time again after a restart. */
  async begin(resumed: boolean): Promise<void> {
    const { clock, notify } = this.#context;
    if (resumed) await this.record({ type: 'RunResumed', atMs: clock.nowMs() });
    const { runId, config } = this.#state;
    notify({ event: 'run-created', run: runId, name: config.name, sites: config.sites });
    const opened = stepOpened(this.#state);
    if (opened !== undefined) notify(opened);
    this.wake();
  }

  /**
   * Appends an event if it still fits, durably before it counts.
   * @returns whether it changed the run
   */
  record(event: RunEvent, audit?: Omit<AuditEntry, 'atMs'>): Promise<boolean> {
    const appended = this.#appending.then(() => this.#append(event, audit && { ...audit, atMs: event.atMs }));
    this.#appending = appended.catch(() => {});
    return appended;
  }

  /** Takes in what another process (the command line) has appended. */
  refresh(): Promise<boolean> {
    const refreshed = this.#appending.then(() => this.#catchUp());
    this.#appending = refreshed.catch(() => {});
    return refreshed;
  }

  /** Does what is due, now or as soon as the present work is done. */
  wake(): void {
    this.#again = true;
    this.#advancing ??= this.#advance().finally(() => {
      this.#advancing = undefined;
      // Woken between the last look and here: nobody else would see it.
      if (this.#again && !this.stopping.aborted) this.wake();
    });
  }

  /** Stops working; resolves when nothing of it runs any more. The run itself goes on at the next start. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#cancelTimer();
    await this.#advancing;
    await this.#appending;
  }

  async #append(event: RunEvent, audit: AuditEntry | undefined): Promise<boolean> {
    for (;;) {
      // Never "false" here: a site would take it for "already counted", and throw its result away.
      if (this.stopping.aborted)
        throw new FedError('UNREACHABLE', 'the coordinator is stopping', 'send it again later');
      const next = reduce(this.#state, event);
      if (next === this.#state) return false;
      if (await this.#context.store.appendEvent(next.runId, this.#seq + 1, event, audit)) {
        this.#become(next, this.#seq + 1);
        return true;
      }
      if (!(await this.#catchUp())) return false;
    }
  }

  async #catchUp(): Promise<boolean> {
    const newer = await this.#context.store.events(this.#state.runId, this.#seq);
    for (const { seq, event } of newer) this.#become(reduce(this.#state, event), seq);
    return newer.length > 0;
  }

  #become(next: RunState, seq: number): void {
    const before = this.#state;
    this.#state = next;
    this.#seq = seq;
    for (const notice of noticesBetween(before, next, this.files.folder)) this.#context.notify(notice);
    this.wake();
  }

  async #advance(): Promise<void> {
    while (this.#again && !this.stopping.aborted) {
      this.#again = false;
      this.#cancelTimer();
      try {
        const progress = await doDue(this, this.#context);
        if (progress.type === 'done') this.#again = true;
        else this.#wait(progress);
      } catch (thrown) {
        if (!this.stopping.aborted) await this.#failed(thrown);
      }
    }
  }

  #wait(progress: Exclude<Progress, { type: 'done' }>): void {
    if (progress.type === 'ended') return;
    const { clock } = this.#context;
    this.#cancelTimer = clock.after(progress.untilMs - clock.nowMs(), () => void this.#deadline());
  }

  async #deadline(): Promise<void> {
    const { clock, log } = this.#context;
    const { step } = this.#state;
    if (this.stopping.aborted || step === undefined) return;
    try {
      // A timer may fire early (its length is bounded), and a resumed run may have got more time meanwhile.
      if (clock.nowMs() >= step.deadlineMs) {
        await this.record({ type: 'DeadlinePassed', step: stepId(step), atMs: clock.nowMs() });
      }
    } catch (error) {
      log.error({ run: this.#state.runId, err: error }, 'the deadline could not be recorded');
    }
    this.wake();
  }

  /** A full disk waits for space; anything else ends the run with its reason rather than repeat it for ever. */
  async #failed(thrown: unknown): Promise<void> {
    const { clock, log, notify } = this.#context;
    const error = toFedError(thrown);
    const { runId } = this.#state;
    log.error({ run: runId, due: plan(this.#state).type, err: error }, 'the run cannot go on');
    if (error.code === 'DISK_FULL') {
      notify({ event: 'run-waiting', run: runId, reason: error.message });
      this.#cancelTimer = clock.after(RETRY_MS, () => this.wake());
      return;
    }
    try {
      await this.record({ type: 'RunStopped', reason: `${error.code}: ${error.message}`, atMs: clock.nowMs() });
    } catch (again) {
      log.error({ run: runId, err: again }, 'the end of the run could not be recorded');
    }
  }
}
