/**
 * A lock between processes of one machine: a file that names its owner. A lock whose owner is dead is taken over. What it
 * guards is published by an atomic rename, so a lost race costs work, never a broken result.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, mkdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SetupError } from './error.mjs';
import { say } from './log.mjs';

/** When a process started, in clock ticks since boot: tells a living owner from a later process with its number. */
function startTicks(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name may hold spaces and brackets; the fields after its last bracket do not. Field 22 is the start.
    return status.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

/** @param {string} content */
function ownerIsAlive(content) {
  let owner;
  try {
    owner = JSON.parse(content);
  } catch {
    return false;
  }
  // A cache shared over a network: this machine cannot know whether that process lives.
  if (owner.host !== os.hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (error.code === 'ESRCH') return false;
  }
  const ticks = startTicks(owner.pid);
  return ticks === null || owner.startTicks === null || ticks === owner.startTicks;
}

/** Taking a dead owner's lock away is a matter of microseconds: a guard this old was left by a process that died in it. */
const GUARD_MAX_AGE_MS = 10_000;

/**
 * Removes a dead owner's lock. Only the holder of the guard does, and only while the lock is still the one that was judged
 * dead: nobody else replaces it meanwhile, so a fresh lock is never removed.
 * @param {string} file
 * @param {string} seen content of the lock that was judged dead
 */
async function removeDead(file, seen) {
  const guard = `${file}.takeover`;
  try {
    await mkdir(guard);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    const { mtimeMs } = await stat(guard).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (Date.now() - mtimeMs > GUARD_MAX_AGE_MS) await rmdir(guard).catch(() => undefined);
    return;
  }
  try {
    if ((await readFile(file, 'utf8').catch(() => null)) === seen) await rm(file, { force: true });
  } finally {
    await rmdir(guard);
  }
}

/**
 * Runs `work` while holding the lock.
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @param {{ waitMs?: number, pollMs?: number }} [limits]
 * @returns {Promise<T>}
 * @throws {SetupError} when a living process holds the lock longer than `waitMs`
 */
export async function withLock(file, work, { waitMs = 900_000, pollMs = 250 } = {}) {
  await mkdir(path.dirname(file), { recursive: true });
  const mine = `${file}.${randomUUID()}`;
  const content = JSON.stringify({
    pid: process.pid,
    startTicks: startTicks(process.pid),
    host: os.hostname(),
    id: mine,
  });
  await writeFile(mine, content);
  try {
    await acquire(file, mine, waitMs, pollMs);
  } finally {
    await rm(mine, { force: true });
  }
  try {
    return await work();
  } finally {
    if ((await readFile(file, 'utf8').catch(() => '')) === content) await rm(file, { force: true });
  }
}

async function acquire(file, mine, waitMs, pollMs) {
  const deadlineMs = performance.now() + waitMs;
  let said = false;
  for (;;) {
    try {
      // A link appears with its content or not at all, so nobody ever reads an empty lock.
      await link(mine, file);
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const seen = await readFile(file, 'utf8').catch(() => null);
    if (seen === null) continue;
    if (!ownerIsAlive(seen)) {
      await removeDead(file, seen);
      await delay(0);
      continue;
    }
    const { pid, host } = JSON.parse(seen);
    if (performance.now() > deadlineMs) {
      throw new SetupError(
        `process ${pid} on ${host} has held ${file} for ${Math.round(waitMs / 1000)} s`,
        'wait for it or end it; if it no longer exists, delete that file',
      );
    }
    if (!said) say(`waiting for process ${pid} on ${host}, which is setting up`);
    said = true;
    await delay(pollMs);
  }
}
