/** Tasks one at a time. They outlive the session: a lost connection stops nothing, and a task that comes again is known. */
import type { Task } from '#proto/gen/fed/v1/federation.ts';

export interface QueueOptions {
  /** Does a task to its end; must not throw. The signal aborts with the reason when the task is no longer wanted. */
  readonly run: (task: Task, signal: AbortSignal) => Promise<void>;
  readonly nowMs: () => number;
  /** Nothing left to do. */
  readonly onIdle: () => void;
  /** More waiting tasks than this are dropped: the coordinator sends them again. */
  readonly maximumWaiting?: number;
}

interface Running {
  readonly task: Task;
  readonly controller: AbortController;
  readonly finished: Promise<void>;
}

export class TaskCancelled extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'TaskCancelled';
  }
}

export class TaskQueue {
  readonly #options: QueueOptions;
  readonly #waiting: Task[] = [];
  #running: Running | undefined;
  #closed = false;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get runningTaskId(): string | undefined {
    return this.#running?.task.taskId;
  }

  add(task: Task): void {
    const known = [this.#running?.task, ...this.#waiting].some(other => other?.taskId === task.taskId);
    if (this.#closed || known) return;
    this.#supersede(task);
    if (this.#waiting.length < (this.#options.maximumWaiting ?? 64)) this.#waiting.push(task);
    this.#next();
  }

  cancel(taskId: string, reason: string): void {
    const index = this.#waiting.findIndex(task => task.taskId === taskId);
    if (index >= 0) this.#waiting.splice(index, 1);
    if (this.#running?.task.taskId === taskId) this.#running.controller.abort(new TaskCancelled(reason));
  }

  /** Aborts what runs and waits for it to end. */
  async close(reason: string): Promise<void> {
    this.#closed = true;
    this.#waiting.length = 0;
    this.#running?.controller.abort(new TaskCancelled(reason));
    await this.#running?.finished;
  }

  /**
   * The coordinator has one task a run for a site. While the site was cut off it may have gone on without it, and the
   * cancellation was lost: a new task of the run then says that the old one, past its deadline, is over.
   */
  #supersede(task: Task): void {
    const over = (old: Task): boolean => old.runId === task.runId && Number(old.deadlineMs) < this.#options.nowMs();
    for (const old of this.#waiting.filter(over)) this.cancel(old.taskId, 'superseded');
    if (this.#running !== undefined && over(this.#running.task)) {
      this.cancel(this.#running.task.taskId, `its deadline has passed and the run went on with ${task.taskId}`);
    }
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const task = this.#waiting.shift();
    if (task === undefined) {
      if (!this.#closed) this.#options.onIdle();
      return;
    }
    const controller = new AbortController();
    const finished = this.#options.run(task, controller.signal).finally(() => {
      this.#running = undefined;
      this.#next();
    });
    this.#running = { task, controller, finished };
  }
}
