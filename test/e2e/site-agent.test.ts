/** Site agents and the coordinator over real TLS: from the invite to the end of a run; only the worker is scripted. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { revoke } from '#coordinator/commands.ts';
import type { FedError } from '#proto/errors.ts';
import { egressSummary, enroll, preflight, startAgent, verifyAuditLog } from '#site-agent/commands.ts';
import { writeSiteConfig } from '#site-agent/config.ts';
import type { AgentEvent } from '#site-agent/events.ts';
import { readIdentity } from '#site-agent/identity.ts';
import { sitePaths, writePrivateFile } from '#site-agent/state.ts';
import {
  type Coordinator,
  createTestRun,
  initTestCoordinator,
  inviteTestSite,
  runEnded,
  startTestCoordinator,
} from '../support/coordinator-fixture.ts';

const entry = fileURLToPath(new URL('../support/scripted-worker.mjs', import.meta.url));
let root: string;
let coordinatorDir: string;
let coordinator: Coordinator;

const siteDir = (site: string) => join(root, site);
const enrolFrom = async (site: string, change: object = {}) => {
  const inviteFile = join(root, `${site}.invite`);
  writeFileSync(inviteFile, JSON.stringify({ ...(await inviteTestSite(coordinatorDir, site)), ...change }));
  return inviteFile;
};

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'emixer-e2e-site-'));
  coordinatorDir = join(root, 'coordinator');
  await initTestCoordinator(coordinatorDir);
  coordinator = await startTestCoordinator(coordinatorDir);
});
afterAll(async () => {
  await coordinator.close();
  rmSync(root, { recursive: true, force: true });
});

describe('enrolment', () => {
  it('makes a key at the site, exchanges the token for a certificate, and works once', async () => {
    const inviteFile = await enrolFrom('north');
    const dir = siteDir('north');
    expect(await enroll({ inviteFile, dir })).toMatchObject({ site: 'north', coordinator: coordinator.grpcAddress });
    expect(statSync(sitePaths(dir).key).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'identity')).mode & 0o777).toBe(0o700);
    expect((await readIdentity(dir)).site).toBe('north');
    const left = await egressSummary({ dir });
    expect(left.map(({ kind }) => kind)).toEqual(['enrolment']);
    await expect(enroll({ inviteFile, dir })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(enroll({ inviteFile, dir: siteDir('thief') })).rejects.toMatchObject({
      code: 'TOKEN_INVALID',
      message: expect.stringContaining('used'),
    });
  });

  it('names what is wrong with an invite', async () => {
    const attempt = async (site: string, change: object, clock?: { nowMs(): number; sleep(): Promise<void> }) => {
      const options = { inviteFile: await enrolFrom(site, change), dir: siteDir(site) };
      return enroll(clock === undefined ? options : { ...options, clock }).catch((error: FedError) => error);
    };
    expect(await attempt('w1', { token: 'x'.repeat(43) })).toMatchObject({ code: 'TOKEN_INVALID' });
    expect(await attempt('w2', { expiresMs: 1 })).toMatchObject({ code: 'TOKEN_INVALID', message: /expired/ });
    expect(await attempt('w3', { enrolment: '127.0.0.1:1' })).toMatchObject({ code: 'UNREACHABLE' });
    expect(await attempt('w4', { tokn: 'x' })).toMatchObject({ code: 'CONFIG_INVALID' });
    // A CA that is not the coordinator's: the connection is refused at this end, and the token stays here.
    const { caPem } = JSON.parse(readFileSync(await otherInvite(), 'utf8')) as { caPem: string };
    expect(await attempt('w5', { caPem })).toMatchObject({ code: 'UNREACHABLE', message: /certificate/ });
  });

  it('can be tried again with the same invite after the coordinator could not be reached', async () => {
    const inviteFile = await enrolFrom('again');
    const invite = JSON.parse(readFileSync(inviteFile, 'utf8')) as object;
    const unreachable = join(root, 'again-unreachable.invite');
    writeFileSync(unreachable, JSON.stringify({ ...invite, enrolment: '127.0.0.1:1' }));
    const dir = siteDir('again');
    await expect(enroll({ inviteFile: unreachable, dir })).rejects.toMatchObject({ code: 'UNREACHABLE' });
    const key = readFileSync(sitePaths(dir).key, 'utf8');
    await enroll({ inviteFile, dir });
    expect(readFileSync(sitePaths(dir).key, 'utf8')).toBe(key);
  });

  async function otherInvite(): Promise<string> {
    const dir = join(root, 'other-coordinator');
    await initTestCoordinator(dir);
    const other = await startTestCoordinator(dir);
    const path = join(root, 'other.invite');
    writeFileSync(path, JSON.stringify(await inviteTestSite(dir, 'x')));
    await other.close();
    return path;
  }
});

describe('a run', () => {
  const events = new Map<string, AgentEvent[]>();
  const controller = new AbortController();

  const agentOf = async (site: string) => {
    const dir = siteDir(site);
    await writeSiteConfig(dir, { policy: { approval: 'automatic' } });
    await writePrivateFile(join(sitePaths(dir).prepared, 'pixels.u8'), 'prepared');
    const log: AgentEvent[] = [];
    events.set(site, log);
    const options = { dir, signal: controller.signal, environment: {}, random: Math.random, worker: { entry } };
    return startAgent({ ...options, onEvent: event => log.push(event) });
  };

  it('is done by two agents to its end; every upload holds G and F only, and all that left is accounted for', async () => {
    await enroll({ inviteFile: await enrolFrom('south'), dir: siteDir('south') });
    const agents = ['north', 'south'].map(agentOf);
    const { runId } = await createTestRun(coordinatorDir, ['north', 'south'], { name: 'work' });
    const run = await runEnded(coordinatorDir, runId);
    expect(run.status).toBe('finished');
    controller.abort();
    expect(await Promise.all(agents)).toEqual(['stopped', 'stopped']);
    for (const site of ['north', 'south']) {
      const log = events.get(site) ?? [];
      const done = log.filter(({ event }) => event === 'task-done');
      // Statistics, two pre-trainings, two rounds with their evaluations; generation at one of them.
      expect(done.length).toBeGreaterThanOrEqual(7);
      expect(done.every(event => event.event === 'task-done' && event.counted)).toBe(true);
      expect(log.filter(({ event }) => event === 'worker-started')).toHaveLength(1);
      const kinds = new Set((await egressSummary({ dir: siteDir(site) })).map(({ kind }) => kind));
      expect([...kinds].filter(kind => kind === 'weights' || kind === 'contribution')).toHaveLength(2);
      expect((await verifyAuditLog({ dir: siteDir(site) })).valid).toBe(true);
    }
  });

  it('finds everything well before the next one, but for data and backend that a test does not have', async () => {
    const checks = await preflight({ dir: siteDir('north'), environment: { HOME: root } });
    expect(checks.filter(({ ok }) => ok).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['configuration', 'certificate', 'coordinator', 'clock']),
    );
    expect(checks.find(({ name }) => name === 'prepared data')).toMatchObject({ ok: false, fix: /prepare/ });
  });

  it('is over for a site whose certificate was revoked: the agent ends and says so', async () => {
    await revoke({ dir: coordinatorDir, siteOrSerial: 'north' });
    const checks = await preflight({ dir: siteDir('north'), environment: {} });
    expect(checks.find(({ name }) => name === 'coordinator')).toMatchObject({ ok: false, detail: /revoked/ });
    const options = { dir: siteDir('north'), signal: new AbortController().signal, environment: {} };
    await expect(startAgent({ ...options, onEvent: () => undefined, random: Math.random })).rejects.toMatchObject({
      code: 'CERTIFICATE_REVOKED',
    });
  });
});
