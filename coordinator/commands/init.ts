/** `emixer coordinator init`. */
import { access, mkdir, writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { type Clock, systemClock } from '#coordinator/clock.ts';
import { CoordinatorConfigSchema, configPath, databasePath } from '#coordinator/config.ts';
import { createAuthority } from '#coordinator/enrolment/authority.ts';
import { openSqliteStore } from '#coordinator/store/sqlite-store.ts';
import { FedError } from '#proto/errors.ts';
import { parseWith } from '#proto/validate.ts';

export interface InitOptions {
  readonly dir: string;
  /** Host name by which sites reach the coordinator. */
  readonly name: string;
  readonly clock?: Clock;
}

/**
 * Makes the folder: configuration, certificate authority, server certificate, database.
 * @throws FedError CONFIG_INVALID when it holds a coordinator already, or on an impossible name
 */
export async function initCoordinator({ dir, name, clock = systemClock }: InitOptions): Promise<{ dir: string }> {
  const path = configPath(dir);
  const config = parseWith(CoordinatorConfigSchema, { name }, 'coordinator');
  if (await exists(path)) {
    throw new FedError(
      'CONFIG_INVALID',
      `expected an empty folder; ${dir} holds a coordinator`,
      'choose another folder',
    );
  }
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await createAuthority(dir, name, clock.nowMs());
  const store = await openSqliteStore(databasePath(dir));
  try {
    await store.appendAudit({
      atMs: clock.nowMs(),
      actor: 'operator',
      action: 'coordinator.initialised',
      detail: { name },
    });
  } finally {
    await store.close();
  }
  // Last: a folder with a configuration is complete.
  await writeFile(path, stringify(config), { mode: 0o600, flag: 'wx' });
  return { dir };
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
