/** One agent a folder: two would train into the same state and break the chained logs. */
import { open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FedError } from '#proto/errors.ts';
import { privateFolders } from './state.ts';

/**
 * Takes the lock; one that a killed process left behind is taken over.
 * @returns how to release it
 * @throws FedError CONFIG_INVALID when another agent runs in this folder
 */
export async function takeLock(path: string): Promise<() => Promise<void>> {
  await privateFolders(dirname(path));
  for (;;) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''));
    if (owner !== process.pid && isAlive(owner)) {
      throw new FedError(
        'CONFIG_INVALID',
        `expected no other agent in this folder; process ${owner} holds its lock`,
        `stop that agent first, or delete ${path} if process ${owner} is no agent`,
      );
    }
    await rm(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
