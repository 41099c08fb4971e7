/** The open sessions: one a site, a newer one replaces the older, and what each has been sent. */
import type { CancelTask, OpenSessionResponse, Task } from '#proto/gen/fed/v1/federation.ts';

/** A site's session. Messages wait here until the transport takes them; at most a few: one task a run. */
export class Session {
  readonly site: string;
  /** Of the certificate that opened it. */
  readonly serial: string;
  readonly #waiting: OpenSessionResponse[] = [];
  /** By run: the task that the site is working on. */
  readonly #tasks = new Map<string, string>();
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(site: string, serial: string) {
    this.site = site;
    this.serial = serial;
  }

  /** Sends a task unless this session has it already. */
  sendTask(task: Task): void {
    if (this.#tasks.get(task.runId) === task.taskId) return;
    this.#tasks.set(task.runId, task.taskId);
    this.#push({ $case: 'task', value: task });
  }

  taskOf(runId: string): string | undefined {
    return this.#tasks.get(runId);
  }

  /** The task is answered: nothing to cancel any more. */
  forgetTask(runId: string): void {
    this.#tasks.delete(runId);
  }

  cancelTask(runId: string, cancel: CancelTask): void {
    this.#tasks.delete(runId);
    this.#push({ $case: 'cancel', value: cancel });
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** What to send, until the session ends. One reader. */
  async *messages(): AsyncGenerator<OpenSessionResponse, void, undefined> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) yield next;
      else if (this.#ended) return;
      else await new Promise<void>(resolve => (this.#wake = resolve));
    }
  }

  #push(event: NonNullable<OpenSessionResponse['event']>): void {
    if (this.#ended) return;
    this.#waiting.push({ event });
    this.#wake?.();
  }
}

export class Sessions {
  readonly #bySite = new Map<string, Session>();

  /** Opens a session; the site's older one ends. */
  open(site: string, serial: string): Session {
    this.#bySite.get(site)?.end();
    const session = new Session(site, serial);
    this.#bySite.set(site, session);
    return session;
  }

  /** Ends a session; the site's newer one, if there is one, stays. Returns whether the site is now disconnected. */
  close(session: Session): boolean {
    session.end();
    if (this.#bySite.get(session.site) !== session) return false;
    return this.#bySite.delete(session.site);
  }

  of(site: string): Session | undefined {
    return this.#bySite.get(site);
  }

  all(): Session[] {
    return [...this.#bySite.values()];
  }

  endAll(): void {
    for (const session of this.all()) session.end();
  }
}
