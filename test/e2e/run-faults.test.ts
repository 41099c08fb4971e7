/** What goes wrong in the middle of a run: losses that are no longer finite, a disk that is full. (Issue 3) */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONTENT_SHA256, contentSha256, type HashedTensor } from '#model/checkpoint/content-hash.ts';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { sha256, splitChunks } from '#proto/chunks.ts';
import { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import { chunkAddresses } from '#proto/manifest.ts';
import { runPaths } from '#site-agent/state.ts';
import { emixer, endProcesses, type Line } from '../support/emixer-process.ts';
import { Federation, type Site } from '../support/federation.ts';
import { ofType, runEvents } from '../support/run-events.ts';

describe('training that is no longer finite', () => {
  it('is rejected by name, at the site, and the round averages without it', async () => {
    const poisoned: Site = 'hospital-b';
    const federation = await Federation.create({ sites: ['hospital-a', poisoned] });
    await federation.startCoordinator();
    await federation.startSites();
    const runId = await federation.createRun({ adversarial: { rounds: 2, steps: 2 }, quorum: 1 });
    const task = (round: number, kind: string) => `${runId}/adversarial/${round}/${kind}/${poisoned}`;
    // Between the rounds, while the coordinator waits for this site's evaluation.
    const first = federation.agent(poisoned);
    await first.waitFor('its first round', ({ event, taskId }) => event === 'task-done' && taskId === task(1, 'train'));
    first.kill('SIGTERM');
    await first.exited;
    await poison(join(runPaths(federation.siteDir(poisoned), runId).workerState, 'local.safetensors'), /^D_image\//);
    const agent = await federation.startSite(poisoned);

    const failed = await agent.waitFor('the failure', ({ event }) => event === 'task-failed');
    expect(failed).toMatchObject({ taskId: task(2, 'train'), code: 'NON_FINITE' });
    expect(failed['message']).toMatch(/loss D_image\/\w+ is NaN/);
    const closed = await federation.coordinator.waitFor(
      'round 2',
      ({ event, run, stage, round, kind }) =>
        event === 'step-closed' && run === runId && stage === 'adversarial' && round === 2 && kind === 'train',
    );
    expect((closed['sites'] as { site: string }[]).map(({ site }) => site)).toEqual(['hospital-a']);
    expect(closed['leftOut']).toEqual([
      { site: poisoned, code: 'NON_FINITE', reason: expect.stringContaining('D_image/') },
    ]);
    expect(await federation.ended(runId)).toMatchObject({ event: 'run-finished' });
    expect(await weightsAreFinite(federation.coordinatorDir, runId)).toBe(true);
    await endProcesses();
  });

  /** Fills the tensors of a safetensors file whose names match with NaN. */
  async function poison(path: string, names: RegExp): Promise<void> {
    const bytes = await readFile(path);
    const data = 8 + Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.subarray(8, data).toString('utf8')) as Record<string, { data_offsets: number[] }>;
    const chosen = Object.entries(header).filter(([name]) => names.test(name));
    expect(chosen.length).toBeGreaterThan(3);
    for (const [, { data_offsets: offsets }] of chosen) {
      const [from = 0, to = 0] = offsets;
      for (let at = data + from; at < data + to; at += 4) bytes.writeFloatLE(Number.NaN, at);
    }
    await writeFile(path, bytes);
    // As if training had written it so: with the hash of what is in it.
    const file = await openSafetensors(path);
    const tensors: HashedTensor[] = [];
    for (const { name, dtype, shape } of file.entries.values()) {
      const chunks: string[] = [];
      for await (const chunk of splitChunks(file.stream(name))) chunks.push(sha256(chunk).toString('hex'));
      tensors.push({ name, dtype, shape, chunks });
    }
    await file.close();
    bytes.write(contentSha256(file.metadata, tensors), bytes.indexOf(file.metadata[CONTENT_SHA256] ?? 'no hash'));
    await writeFile(path, bytes);
  }

  async function weightsAreFinite(coordinatorDir: string, runId: string): Promise<boolean> {
    const run = join(coordinatorDir, 'runs', runId);
    const last = ofType(await runEvents(coordinatorDir, runId), 'Aggregated').at(-1);
    const manifest = Manifest.decode(await readFile(join(run, 'documents', last?.weights ?? '')));
    for (const address of chunkAddresses(manifest)) {
      const bytes = await readFile(join(run, 'chunks', address));
      for (let at = 0; at < bytes.length; at += 4) if (!Number.isFinite(bytes.readFloatLE(at))) return false;
    }
    return true;
  }
});

describe('a full disk', () => {
  const mountPoint = join(tmpdir(), `emixer-small-disk-${process.pid}`);
  let mounted = false;
  beforeAll(async () => {
    await mkdir(mountPoint);
    const mount = promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', mountPoint]);
    mounted = await mount.then(
      () => true,
      () => false,
    );
  });
  afterAll(async () => {
    await endProcesses();
    if (mounted) await promisify(execFile)('umount', [mountPoint]);
    await rm(mountPoint, { recursive: true, force: true });
  });

  it('while weights arrive is said, leaves nothing half-written, and the run goes on when there is space', async context => {
    if (!mounted) return context.skip('mounting a small file system is not permitted here');
    const coordinatorDir = join(mountPoint, 'coordinator');
    const small = await Federation.create({ coordinatorDir, sites: ['hospital-a', 'hospital-b'] });
    const coordinator = await small.startCoordinator();
    await small.startSites();
    const runId = await small.createRun();
    await coordinator.waitFor('weights', ({ event, stage }) => event === 'step-closed' && stage === 'statistics');
    const ballast = join(mountPoint, 'ballast');
    await fill(ballast);
    const full = ({ event, reason }: Line): boolean => event === 'waiting' && /^DISK_FULL/.test(String(reason));
    const waits = await Promise.race(small.sites.map(site => small.agent(site).waitFor('the full disk', full)));
    expect(waits).toMatchObject({ for: 'the coordinator', reason: expect.stringMatching(/no space/) });

    const run = join(small.coordinatorDir, 'runs', runId);
    expect(await halfWritten(run)).toEqual([]);
    expect((await small.showRun(runId)).status).toBe('running');
    await rm(ballast);
    expect(await small.ended(runId)).toMatchObject({ event: 'run-finished' });
    const verified = await emixer(['coordinator', 'audit-log', 'verify', '--dir', small.coordinatorDir, '--json']);
    expect(verified.documents).toEqual([expect.objectContaining({ valid: true })]);
    expect(await halfWritten(run)).toEqual([]);
  });

  /** Takes all the space that is left. */
  async function fill(path: string): Promise<void> {
    const file = await open(path, 'w');
    try {
      for (let { bavail, bsize } = await statfs(mountPoint); bavail > 0; { bavail, bsize } = await statfs(mountPoint)) {
        await file.write(Buffer.alloc(bavail * bsize, 1));
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      await file.close();
    }
  }

  /** Blobs that are not what their name says, and drafts that were left lying. */
  async function halfWritten(run: string): Promise<string[]> {
    const found: string[] = [];
    for (const entry of await readdir(run, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || /\/(withheld|release)$/.test(entry.parentPath)) continue;
      const bytes = await readFile(join(entry.parentPath, entry.name));
      if (createHash('sha256').update(bytes).digest('hex') !== entry.name) found.push(entry.name);
    }
    return found;
  }
});
