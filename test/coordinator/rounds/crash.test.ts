/**
 * The coordinator dies at every place where it writes an event, just before and just after the write; started again, the
 * run ends with the same weights. Sites are scripted but speak the real protocol. (Real processes: test/e2e.)
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { showRun } from '#coordinator/commands.ts';
import { openSqliteStore } from '#coordinator/store/sqlite-store.ts';
import type { Store } from '#coordinator/store/store.ts';
import {
  createTestRun,
  enrolTestSites,
  initTestCoordinator,
  runEnded,
  startTestCoordinator,
} from '../../support/coordinator-fixture.ts';
import { type FakeIdentity, FakeSite } from '../../support/fake-site.ts';

const SITES = ['a', 'b'];
let dir: string;
let identities: FakeIdentity[];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'emixer-crash-'));
  await initTestCoordinator(dir);
  const coordinator = await startTestCoordinator(dir);
  identities = await enrolTestSites(dir, SITES);
  await coordinator.close();
}, 60_000);
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A store whose process dies at the given event: from then on nothing works any more. */
function dyingStore(store: Store, dieAt: number, when: 'before' | 'after') {
  let appended = 0;
  let died = (): void => {};
  const death = new Promise<void>(resolve => {
    died = resolve;
  });
  let dead = false;
  const die = (): never => {
    dead = true;
    died();
    throw new Error('the process is dead');
  };
  const dying = new Proxy(store, {
    get(target, name: keyof Store) {
      // A promise looks for "then" in whatever it is resolved with.
      if (typeof target[name] !== 'function') return undefined;
      const method = target[name].bind(target) as (...values: unknown[]) => Promise<unknown>;
      if (name === 'close') return method;
      return async (...values: unknown[]) => {
        if (dead) die();
        if (name !== 'appendEvent') return method(...values);
        appended++;
        if (appended === dieAt && when === 'before') die();
        const result = await method(...values);
        return appended === dieAt ? die() : result;
      };
    },
  });
  return { dying, death };
}

const connect = (address: string) =>
  identities.map((identity, i) => new FakeSite({ identity, address, records: 10 + 7 * i }).start());

const config = {
  encoderPretraining: { rounds: 0, steps: 1 },
  reportPretraining: { rounds: 0, steps: 1 },
  adversarial: { rounds: 2, steps: 3 },
};

/** Plays a run, dying once on the way if `dieAt` is given; returns how many events the survivor still wrote. */
async function play(dieAt: number, when: 'before' | 'after') {
  const { runId } = await createTestRun(dir, SITES, config);
  if (dieAt > 0) {
    let death: Promise<void> = Promise.resolve();
    const openStore = async (path: string) => {
      const made = dyingStore(await openSqliteStore(path), dieAt, when);
      death = made.death;
      return made.dying;
    };
    // It may die while it starts.
    const doomed = await startTestCoordinator(dir, { openStore }).catch(() => undefined);
    const sites = doomed === undefined ? [] : connect(doomed.grpcAddress);
    await death;
    await doomed?.close();
    await Promise.all(sites.map(site => site.stop()));
  }
  const died = await showRun(dir, runId);
  const coordinator = await startTestCoordinator(dir);
  const sites = connect(coordinator.grpcAddress);
  const run = await runEnded(dir, runId);
  await Promise.all(sites.map(site => site.stop()));
  await coordinator.close();
  return { run, died, errors: sites.flatMap(site => site.errors) };
}

describe('a coordinator that dies', () => {
  it('at any event ends with the same weights, every contribution counted once', { timeout: 240_000 }, async () => {
    const { run: whole } = await play(0, 'before');
    expect(whole.status).toBe('finished');
    const store = await openSqliteStore(join(dir, 'coordinator.db'));
    const events = (await store.events(whole.runId)).length;
    await store.close();
    const figures = (run: typeof whole) =>
      run.rounds.map(({ stage, round, kind, sites, leftOut }) => ({ stage, round, kind, sites, leftOut }));

    // The first event is the command line's (RunCreated); each coordinator's first is RunResumed.
    for (let dieAt = 1; dieAt < events; dieAt++) {
      const when = dieAt % 2 === 0 ? 'before' : 'after';
      const { run, died, errors } = await play(dieAt, when);
      const where = `died ${when} event ${dieAt}, in ${died.stage} ${died.round}`;
      expect([where, run.reason]).toEqual([where, null]);
      expect([where, run.weightsSha256]).toEqual([where, whole.weightsSha256]);
      expect([where, figures(run)]).toEqual([where, figures(whole)]);
      expect([where, errors]).toEqual([where, []]);
    }
  });
});
