/** The database of a coordinator's folder, for one command; it may run beside the coordinator itself. */
import { databasePath, loadConfig } from '#coordinator/config.ts';
import { openSqliteStore } from '#coordinator/store/sqlite-store.ts';
import type { Store } from '#coordinator/store/store.ts';

/** @throws FedError NOT_FOUND when the folder has not been initialised, and what `work` throws */
export async function withStore<T>(dir: string, work: (store: Store) => Promise<T>): Promise<T> {
  await loadConfig(dir);
  const store = await openSqliteStore(databasePath(dir));
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
