/** Test support: a real coordinator on ports of the system's choice, in a folder that goes with the test. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StartOptions } from '#coordinator/commands/start.ts';
import {
  createRun,
  initCoordinator,
  invite,
  type RunningCoordinator,
  showRun,
  startCoordinator,
} from '#coordinator/commands.ts';
import type { Notice } from '#coordinator/notices.ts';
import type { Invite } from '#proto/invite.ts';
import { enrolFake, type FakeIdentity } from './fake-site.ts';

export interface Coordinator extends RunningCoordinator {
  readonly notices: Notice[];
}

const anyPort = { listen: '127.0.0.1:0', enrolListen: '127.0.0.1:0', http: '127.0.0.1:0' };

export async function startTestCoordinator(dir: string, options: Partial<StartOptions> = {}): Promise<Coordinator> {
  const notices: Notice[] = [];
  const running = await startCoordinator({ dir, ...anyPort, onEvent: notice => void notices.push(notice), ...options });
  return { ...running, notices };
}

export const initTestCoordinator = (dir: string) => initCoordinator({ dir, name: 'localhost' });

export async function inviteTestSite(dir: string, site: string, validMs?: number): Promise<Invite> {
  const out = join(dir, `invite-${site}-${Math.random()}.json`);
  await invite({ dir, site, out, ...(validMs === undefined ? {} : { validMs }) });
  return JSON.parse(await readFile(out, 'utf8')) as Invite;
}

export async function enrolTestSites(dir: string, sites: readonly string[]): Promise<FakeIdentity[]> {
  const identities: FakeIdentity[] = [];
  for (const site of sites) identities.push(await enrolFake(await inviteTestSite(dir, site)));
  return identities;
}

/** A small run over these sites. */
const runConfig = (sites: readonly string[], overrides: object = {}): object => ({
  sites,
  pairs: 4,
  encoderPretraining: { rounds: 1, steps: 2 },
  reportPretraining: { rounds: 1, steps: 2 },
  adversarial: { rounds: 2, steps: 3 },
  ...overrides,
});

export const createTestRun = (dir: string, sites: readonly string[], overrides: object = {}) =>
  createRun(dir, runConfig(sites, overrides));

/** Waits until the run has ended; the run itself decides how long, within the test's timeout. */
export async function runEnded(dir: string, runId: string) {
  for (;;) {
    const run = await showRun(dir, runId);
    if (run.status !== 'running') return run;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
