/**
 * A lock between processes of one machine: a file that names its owner. A lock whose owner is dead is taken over. What it
 * guards is published by an atomic rename, so a lost race costs work, never a broken result.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
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

/**
 * Moves a dead owner's lock away, unless another process did so first and holds a fresh one.
 * @param {string} file
 * @param {string} seen content of the lock that was judged dead
 */
async function removeDead(file, seen) {
  const aside = `${file}.dead-${randomUUID()}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  const moved = await readFile(aside, 'utf8');
  if (moved !== seen) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
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
