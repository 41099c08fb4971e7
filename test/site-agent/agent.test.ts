import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseRunConfig, type RunConfig, runHash } from '#model/federated.ts';
import type { ErrorCode } from '#proto/errors.ts';
import { AuditLog } from '#site-agent/audit-log.ts';
import { approve, deletePrepared, egressSummary, startAgent, verifyAuditLog } from '#site-agent/commands.ts';
import type { AgentEvent } from '#site-agent/events.ts';
import { runPaths, sitePaths } from '#site-agent/state.ts';
import { testAuthority } from '../support/certificates.ts';
import { enrolledSite } from '../support/enrolled-site.ts';
import { taskOf } from '../support/tasks.ts';
import { TestCoordinator } from '../support/test-coordinator.ts';

const entry = fileURLToPath(new URL('../support/scripted-worker.mjs', import.meta.url));
const authority = testAuthority();
const runOf = (name: string, audit: object = {}): RunConfig => parseRunConfig({ name, sites: ['b', 'a'], audit });
const working = runOf('work');
const SLOW = { timeout: 20_000, interval: 20 };

let dir: string;
let coordinator: TestCoordinator;
let events: AgentEvent[];
let agents: { stop: () => void; done: Promise<unknown> }[];

const start = () => {
  const controller = new AbortController();
  const done = startAgent({
    dir,
    onEvent: event => events.push(event),
    signal: controller.signal,
    environment: {},
    random: () => 0,
    worker: { entry },
  });
  done.catch(() => undefined);
  const agent = { stop: () => controller.abort(), done };
  agents.push(agent);
  return agent;
};
const of = <K extends AgentEvent['event']>(kind: K) =>
  events.filter((event): event is Extract<AgentEvent, { event: K }> => event.event === kind);
const computed = () =>
  readFileSync(join(runPaths(dir, 'run-1').workerState, 'computed'), 'utf8')
    .trim()
    .split('\n');
const enrolled = (config: object = {}) =>
  enrolledSite({ dir, site: 'a', authority, coordinator: coordinator.address, config });

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'emixer-agent-'));
  events = [];
  agents = [];
  coordinator = new TestCoordinator(authority, 'a');
  await coordinator.start();
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const { stop, done } of agents) {
    stop();
    await done.catch(() => undefined);
  }
  coordinator.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe('the agent', () => {
  it('does a task from the stream to a signed result, and accounts for everything that left', async () => {
    await enrolled();
    const agent = start();
    coordinator.assign(taskOf('train', { run: working }));
    await expect.poll(() => of('task-done'), SLOW).toMatchObject([{ counted: true, resubmitted: false }]);
    const [result] = coordinator.results;
    expect(coordinator.signaturesValid).toEqual([true]);
    expect(result?.outcome).toMatchObject({
      $case: 'train',
      value: {
        records: [
          { module: 'G', records: 60n },
          { module: 'F/encoder', records: 60n },
          { module: 'F/decoder', records: 50n },
        ],
        metricsJson: '{"report/mle":0.5}',
      },
    });
    // The index of "a" in the sorted sites is 0, whatever the order in the configuration.
    const contents = coordinator.pushed.map(hash => coordinator.chunks.get(hash) ?? Buffer.alloc(0));
    expect(contents.map(data => [...new Float32Array(Uint8Array.from(data).buffer)])).toEqual([[0, 1, 3]]);
    await expect.poll(() => coordinator.metrics.at(-1), SLOW).toMatchObject({ step: 3, steps: 3 });
    agent.stop();
    expect(await agent.done).toBe('stopped');
    const kinds = new Set((await egressSummary({ dir })).map(({ kind }) => kind));
    expect(kinds).toEqual(new Set(['session', 'heartbeat', 'metrics', 'chunk-addresses', 'weights', 'contribution']));
    expect(await verifyAuditLog({ dir })).toMatchObject({ valid: true, entries: 4 });
  });

  it('submits a finished result again, without computing it again, when the answer was lost', async () => {
    await enrolled();
    coordinator.loseAnswers = 1;
    start();
    coordinator.assign(taskOf('train', { run: working }));
    await expect.poll(() => of('task-done'), SLOW).toMatchObject([{ counted: false }]);
    expect(coordinator.results).toHaveLength(1);
    expect(computed()).toHaveLength(1);
    expect(of('waiting')).toContainEqual(
      expect.objectContaining({ for: 'the coordinator', reason: expect.stringContaining('UNREACHABLE') }),
    );
  });

  it('that was restarted before the acknowledgement answers from disk', async () => {
    await enrolled();
    coordinator.loseAnswers = Number.POSITIVE_INFINITY;
    const first = start();
    coordinator.assign(taskOf('train', { run: working }));
    await expect.poll(() => coordinator.results.length, SLOW).toBe(1);
    first.stop();
    await first.done;
    // The coordinator lost it too: it wants the result, and it has none of the chunks.
    coordinator.results.length = 0;
    coordinator.forget();
    coordinator.loseAnswers = 0;
    start();
    await expect.poll(() => of('task-done'), SLOW).toMatchObject([{ counted: true, resubmitted: true }]);
    expect(computed()).toHaveLength(1);
    expect(coordinator.pushed).toHaveLength(1);
  });

  it('comes back by itself when the coordinator does, and says what it waits for', async () => {
    await enrolled();
    start();
    await expect.poll(() => of('connected').length, SLOW).toBe(1);
    coordinator.stop();
    await expect.poll(() => of('waiting').some(event => event.for.startsWith('the coordinator at')), SLOW).toBe(true);
    expect(of('waiting').find(event => event.for.startsWith('the coordinator'))).toMatchObject({
      reason: expect.any(String),
      untilMs: expect.any(Number),
    });
  });

  it('tells a policy refusal by name, and starts no worker', async () => {
    await enrolled({ policy: { approval: 'automatic', minimumCohort: 3 } });
    start();
    coordinator.assign(taskOf('train', { run: working }));
    await expect
      .poll(() => coordinator.results, SLOW)
      .toMatchObject([
        {
          outcome: { $case: 'failure', value: { code: 'POLICY_REFUSED', message: expect.stringContaining('3 sites') } },
        },
      ]);
    expect(of('worker-started')).toEqual([]);
    expect(of('task-refused')).toHaveLength(1);
  });

  it('waits for a person to approve, then goes on', async () => {
    await enrolled({ policy: { approval: 'person' } });
    start();
    coordinator.assign(taskOf('statistics', { run: working }));
    await expect.poll(() => of('waiting').some(({ for: what }) => what.includes('approve run-1')), SLOW).toBe(true);
    expect(of('task')).toEqual([]);
    await approve({ dir, run: 'run-1' });
    await expect.poll(() => of('task-done'), SLOW).toHaveLength(1);
    await expect(approve({ dir, run: 'run-2' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each<[string, object, ErrorCode, string]>([
    ['a discriminator', { tensor: 'D_image/w' }, 'POLICY_REFUSED', 'D_image'],
  ])('lets no contribution with %s out', async (_name, audit, code, named) => {
    await enrolled();
    start();
    coordinator.assign(taskOf('train', { run: runOf('work', audit) }));
    await expect
      .poll(() => coordinator.results, SLOW)
      .toMatchObject([{ outcome: { $case: 'failure', value: { code, message: expect.stringContaining(named) } } }]);
    expect(coordinator.pushed).toEqual([]);
  });

  it('tells the coordinator nothing that training code could have worded', async () => {
    await enrolled();
    start();
    const SECRET = 'Mrs_Smith_54_has_a_nodule';
    coordinator.assign(taskOf('train', { run: runOf('work', { tensor: SECRET }) }));
    coordinator.assign(taskOf('statistics', { run: runOf('say', { code: 'DATA_INVALID', message: SECRET }) }));
    coordinator.assign(taskOf('evaluate', { run: runOf('say', { code: 'MESSAGE_INVALID', message: SECRET }) }));
    await expect.poll(() => coordinator.results.length, SLOW).toBe(3);
    const told = coordinator.results.map(({ outcome }) => outcome);
    expect(told.map(outcome => outcome?.$case)).toEqual(['failure', 'failure', 'failure']);
    expect(JSON.stringify(told)).not.toContain('Smith');
    // The people of the site read all of it.
    expect(of('task-failed').map(({ message }) => message.includes(SECRET))).toEqual([true, true, true]);
  });

  it('says a full disk under its audit log, and goes on', async () => {
    await enrolled();
    start();
    await expect.poll(() => of('connected').length, SLOW).toBe(1);
    const record = vi.spyOn(AuditLog.prototype, 'record');
    record.mockRejectedValueOnce(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));
    record.mockRejectedValueOnce(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));
    coordinator.assign(taskOf('train', { run: working }));
    await expect.poll(() => coordinator.results, SLOW).toMatchObject([{ outcome: { $case: 'failure' } }]);
    record.mockRestore();
    expect(of('task-failed').map(({ code }) => code)).toEqual(['DISK_FULL', 'DISK_FULL']);
    coordinator.assign(taskOf('statistics', { run: working }));
    await expect.poll(() => of('task-done'), SLOW).toHaveLength(1);
  });

  it('keeps the configuration that waits for approval: another one under the same run is refused', async () => {
    await enrolled({ policy: { approval: 'person' } });
    start();
    coordinator.assign(taskOf('statistics', { run: working }));
    await expect.poll(() => of('waiting').some(({ for: what }) => what.includes('approve run-1')), SLOW).toBe(true);
    coordinator.assign(taskOf('train', { run: runOf('work', { tensor: 'other' }) }));
    coordinator.cancel(taskOf('statistics').taskId, 'later');
    await expect
      .poll(() => coordinator.results, SLOW)
      .toMatchObject([{ outcome: { $case: 'failure', value: { code: 'POLICY_REFUSED' } } }]);
    expect(await approve({ dir, run: 'run-1' })).toBe(runHash(working).toString('hex'));
  });

  it('blocks a kind that the policy blocks, by name', async () => {
    await enrolled({ policy: { approval: 'automatic', blockedEgress: ['weights'] } });
    start();
    coordinator.assign(taskOf('train', { run: working }));
    await expect
      .poll(() => coordinator.results, SLOW)
      .toMatchObject([
        {
          outcome: {
            $case: 'failure',
            value: { code: 'POLICY_REFUSED', message: expect.stringContaining('"weights"') },
          },
        },
      ]);
    expect(coordinator.pushed).toEqual([]);
  });

  it('reports a worker that keeps dying, with nothing of its last words', async () => {
    await enrolled({ worker: { maximumRestarts: 1 } });
    start();
    coordinator.assign(taskOf('train', { run: runOf('always die') }));
    await expect
      .poll(() => coordinator.results, SLOW)
      .toMatchObject([
        {
          outcome: { $case: 'failure', value: { code: 'WORKER_DIED', message: expect.not.stringContaining('memory') } },
        },
      ]);
    expect(of('worker-restarted')).toHaveLength(1);
    expect(of('task-failed')).toMatchObject([{ message: expect.stringContaining('out of memory') }]);
  });

  it('stops a task that is cancelled, and takes the next', async () => {
    await enrolled();
    start();
    const hanging = taskOf('train', { run: runOf('hang') });
    coordinator.assign(hanging);
    await expect.poll(() => of('worker-started').length, SLOW).toBe(1);
    coordinator.cancel(hanging.taskId, 'the round closed');
    await expect.poll(() => of('task-cancelled'), SLOW).toMatchObject([{ reason: 'the round closed' }]);
    coordinator.assign(taskOf('statistics', { run: working }));
    await expect.poll(() => of('task-done'), SLOW).toHaveLength(1);
  });

  it.each<[string, (test: TestCoordinator) => void, ErrorCode]>([
    ['another protocol', test => Object.assign(test.welcome, { protocolVersion: 99 }), 'PROTOCOL_MISMATCH'],
    ['a clock an hour off', test => Object.assign(test.welcome, { clockOffMs: 3_600_000 }), 'CLOCK_SKEW'],
    ['another name for this site', test => Object.assign(test.welcome, { site: 'b' }), 'UNAUTHENTICATED'],
  ])('ends at a coordinator with %s', async (_name, prepare, code) => {
    await enrolled();
    prepare(coordinator);
    await expect(start().done).rejects.toMatchObject({ code });
  });

  it('runs once a folder, and lets no one delete what it reads', async () => {
    await enrolled();
    start();
    await expect.poll(() => of('connected').length, SLOW).toBe(1);
    await expect(start().done).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('lock'),
    });
    await expect(deletePrepared({ dir })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('leaves nothing made from patients behind after delete', async () => {
    await enrolled();
    const agent = start();
    coordinator.assign(taskOf('train', { run: working }));
    await expect.poll(() => of('task-done'), SLOW).toHaveLength(1);
    agent.stop();
    await agent.done;
    await deletePrepared({ dir });
    expect(existsSync(sitePaths(dir).prepared)).toBe(false);
    expect(existsSync(sitePaths(dir).runs)).toBe(false);
    expect((await verifyAuditLog({ dir })).valid).toBe(true);
  });

  it('says that a folder is not enrolled', async () => {
    await expect(start().done).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      remedy: expect.stringContaining('enroll'),
    });
  });
});
