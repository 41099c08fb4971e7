/** One agent a folder: two would train into the same state and break the chained logs. */
import { dirname } from 'node:path';
import { lockFolder } from '#proto/folder-lock.ts';
import { privateFolders } from './state.ts';

/**
 * Takes the lock; that of a process that was killed is free.
 * @returns how to release it
 * @throws FedError CONFIG_INVALID when another agent runs in this folder
 */
export async function takeLock(path: string): Promise<() => void> {
  await privateFolders(dirname(path));
  return lockFolder(path, 'agent');
}
