/** The persisted events of a run, read beside a coordinator that runs or has run. */
import { join } from 'node:path';
import type { RunEvent } from '#coordinator/rounds/events.ts';
import { openSqliteStore } from '#coordinator/store/sqlite-store.ts';

export async function runEvents(coordinatorDir: string, runId: string): Promise<RunEvent[]> {
  const store = await openSqliteStore(join(coordinatorDir, 'coordinator.db'));
  try {
    return (await store.events(runId)).map(({ event }) => event);
  } finally {
    await store.close();
  }
}

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

export const ofType = <T extends RunEvent['type']>(events: readonly RunEvent[], type: T): EventOf<T>[] =>
  events.filter((event): event is EventOf<T> => event.type === type);
