/** Where the replicas of a training exchange gradients: on the RAM disk, when it has room, else beside the training. */
import { createHash } from 'node:crypto';
import { mkdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';

const RAM_DISK = '/dev/shm';

/**
 * An empty folder for its owner alone (mode 0700). Its name follows from the training's, so that what a killed training
 * left is removed by the next one; the training's lock keeps others out.
 * @param out the training's folder
 * @param neededBytes how much will lie there at once
 */
export async function replicaFolder(out: string, neededBytes: number, ramDisk = RAM_DISK): Promise<string> {
  const name = `emixer-replicas-${createHash('sha256').update(out).digest('hex').slice(0, 16)}`;
  return (await onRamDisk(join(ramDisk, name), ramDisk, neededBytes)) ?? emptied(join(out, 'replicas'));
}

async function onRamDisk(folder: string, ramDisk: string, neededBytes: number): Promise<string | undefined> {
  try {
    const { bavail, bsize } = await statfs(ramDisk);
    if (bavail * bsize < neededBytes) return undefined;
    return await emptied(folder);
  } catch {
    // There is none, or it may not be written to, or another user has a folder of this name there.
    return undefined;
  }
}

async function emptied(folder: string): Promise<string> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  return folder;
}
