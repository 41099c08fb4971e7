/** Waiting for another process's write. SQLite's own waiting would hold up the event loop, so it is told not to wait. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Other processes write for milliseconds; a lock held for longer is an error to report. */
const PATIENCE_MS = 5_000;
const PAUSE_MS = 5;

/** Repeats `work` while it fails because the database is locked. @throws what it throws otherwise, or in the end */
export async function whileBusy<T>(work: () => Promise<T>): Promise<T> {
  for (let waitedMs = 0; ; waitedMs += PAUSE_MS) {
    try {
      return await work();
    } catch (thrown) {
      if (!isBusy(thrown) || waitedMs >= PATIENCE_MS) throw thrown;
      await sleep(PAUSE_MS);
    }
  }
}

const isBusy = (thrown: unknown): boolean =>
  ((thrown as { code?: unknown } | undefined)?.code ?? '').toString().startsWith('SQLITE_BUSY');
