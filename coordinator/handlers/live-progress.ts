/** The last figures of every task in progress: shown, never decided on, and lost with the process. */

export interface TaskProgress {
  readonly step: number;
  readonly steps: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly atMs: number;
}

export class LiveProgress {
  readonly #bySite = new Map<string, TaskProgress & { readonly taskId: string }>();

  /** Keeps the metrics of an earlier report of the same task where this one has none. */
  report(runId: string, site: string, taskId: string, progress: TaskProgress): void {
    const key = `${runId}/${site}`;
    const before = this.#bySite.get(key);
    const metrics =
      before?.taskId === taskId && Object.keys(progress.metrics).length === 0 ? before.metrics : progress.metrics;
    this.#bySite.set(key, { ...progress, metrics, taskId });
  }

  /** Of the site's present task, or undefined when the last report was of another. */
  of(runId: string, site: string, taskId: string): TaskProgress | undefined {
    const progress = this.#bySite.get(`${runId}/${site}`);
    return progress?.taskId === taskId ? progress : undefined;
  }
}
