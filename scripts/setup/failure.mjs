/** Why a native backend is not there, kept beside its place so that `emixer doctor` and the backend can say it. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

const fileOf = directory => `${directory}.failed.json`;

/**
 * @param {string} directory the backend's place
 * @param {string} reason
 * @param {string} fix
 */
export async function recordFailure(directory, reason, fix) {
  await mkdir(path.dirname(directory), { recursive: true });
  await writeFile(fileOf(directory), `${JSON.stringify({ reason, fix, at: new Date().toISOString() })}\n`);
}

/** @param {string} directory */
export const clearFailure = directory => rm(fileOf(directory), { force: true });
