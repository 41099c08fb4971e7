import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseRunConfig } from '#model/federated.ts';
import { workerEnvironment } from '#site-agent/worker/environment.ts';
import type { WorkerJob } from '#site-agent/worker/messages.ts';
import { type Progress, type WorkerEvent, WorkerSupervisor } from '#site-agent/worker/supervisor.ts';

const entry = fileURLToPath(new URL('../../support/scripted-worker.mjs', import.meta.url));
const never = new AbortController().signal;

let dir: string;
let supervisor: WorkerSupervisor;
let events: WorkerEvent[];

const job = (script: string, audit: object = {}): WorkerJob => ({
  kind: 'statistics',
  taskId: `run-1/statistics/1/${script}/a`,
  run: parseRunConfig({ name: script, sites: ['a'], audit }),
  preparedDir: join(dir, 'data', 'prepared'),
  stateDir: join(dir, 'run', 'worker'),
  siteIndex: 0,
});

const start = (options: { stallTimeoutMs?: number; idleMs?: number; entry?: string } = {}) => {
  supervisor = new WorkerSupervisor({
    entry,
    paths: { read: [entry, join(dir, 'data')], write: [join(dir, 'run', 'worker')] },
    environment: workerEnvironment(
      { backend: 'wasm', threads: 2 },
      { PATH: '/usr/bin', AWS_SECRET_ACCESS_KEY: 'secret', NODE_OPTIONS: '--inspect', EMIXER_TOKEN: 'secret' },
    ),
    startTimeoutMs: 20_000,
    stallTimeoutMs: 20_000,
    idleMs: 20_000,
    maximumRestarts: 3,
    onEvent: event => events.push(event),
    ...options,
  });
  return (script: string, audit: object = {}, onProgress: (progress: Progress) => void = () => undefined) =>
    supervisor.run(job(script, audit), onProgress, never);
};

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'emixer-supervisor-'));
  events = [];
  for (const folder of ['identity', 'data/prepared', 'database', 'run/worker']) {
    mkdirSync(join(dir, folder), { recursive: true });
  }
  writeFileSync(join(dir, 'identity', 'key.pem'), 'the private key');
  writeFileSync(join(dir, 'data', 'prepared', 'images'), 'pixels');
  writeFileSync(join(dir, 'database', 'x'), 'beside');
});

afterEach(async () => {
  await supervisor.close();
  rmSync(dir, { recursive: true, force: true });
});

describe('the training worker', () => {
  it('reads prepared data, and cannot read the key, a folder of a similar name, its environment, or /etc', async () => {
    const run = start();
    const key = join(dir, 'identity', 'key.pem');
    const beside = join(dir, 'database', 'x');
    const prepared = join(dir, 'data', 'prepared', 'images');
    const sneaky = join(dir, 'run', 'worker', '..', '..', 'identity', 'key.pem');
    const paths = [key, beside, prepared, sneaky, '/etc/passwd', '/proc/self/environ'];
    expect(await run('read', { paths })).toEqual({
      [prepared]: 'pixels',
      [key]: 'ERR_ACCESS_DENIED',
      [beside]: 'ERR_ACCESS_DENIED',
      [sneaky]: 'ERR_ACCESS_DENIED',
      '/etc/passwd': 'ERR_ACCESS_DENIED',
      '/proc/self/environ': 'ERR_ACCESS_DENIED',
    });
  });

  it('has nothing of the agent in its environment', async () => {
    const environment = (await start()('environment')) as Record<string, string>;
    // Node adds the channel's two for the child and takes them out again before any code runs.
    expect(environment).toEqual({
      PATH: '/usr/bin',
      EMIXER_BACKEND: 'wasm',
      EMIXER_THREADS: '2',
    });
  });

  it('passes progress on, drops what is malformed, and serves several jobs with one process', async () => {
    const run = start();
    const progress: Progress[] = [];
    const first = await run('progress', {}, step => progress.push(step));
    expect(progress.map(({ step, metrics }) => [step, metrics['report/mle']])).toEqual([
      [1, 1],
      [2, 1 / 2],
      [3, 1 / 3],
    ]);
    expect(await run('progress')).toEqual(first);
    expect(events.map(({ type }) => type)).toEqual(['worker-started']);
  });

  it('is started again after kill -9 in the middle of a job, and completes it from what it left on disk', async () => {
    expect(await start()('die once')).toEqual({ resumedAt: 1 });
    expect(events).toMatchObject([
      { type: 'worker-started' },
      { type: 'worker-restarted', restarts: 1, reason: expect.stringContaining('SIGKILL') },
      { type: 'worker-started' },
    ]);
  });

  it('is started again at most three times, and the error says how it ended', async () => {
    await expect(start()('always die')).rejects.toMatchObject({
      code: 'WORKER_DIED',
      message: expect.stringMatching(/died 4 times.*exit code 9.*out of memory/s),
    });
    expect(events.filter(({ type }) => type === 'worker-started')).toHaveLength(4);
    expect(events.filter(({ type }) => type === 'worker-restarted')).toHaveLength(3);
  });

  it('dies four times when it cannot even start', async () => {
    await expect(start({ entry: join(dir, 'absent.mjs') })('progress')).rejects.toMatchObject({
      code: 'WORKER_DIED',
      message: expect.stringContaining('before it was ready'),
    });
  });

  it('is ended and started again when it stands still', async () => {
    expect(await start({ stallTimeoutMs: 400 })('hang once')).toEqual({ resumed: true });
    expect(events.map(({ type }) => type)).toEqual(['worker-started', 'worker-restarted', 'worker-started']);
  });

  it('hands on what a job failed with, by name, and takes the next', async () => {
    const run = start();
    await expect(run('fail')).rejects.toMatchObject({ code: 'NON_FINITE', message: 'loss is NaN' });
    await run('progress');
    expect(events.map(({ type }) => type)).toEqual(['worker-started']);
  });

  it('is killed when its job is cancelled', async () => {
    start();
    const controller = new AbortController();
    const running = supervisor.run(job('hang'), () => undefined, controller.signal);
    await expect.poll(() => supervisor.pid).toBeDefined();
    const pid = supervisor.pid as number;
    controller.abort(new Error('cancelled'));
    await expect(running).rejects.toThrow('cancelled');
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('ends when idle, and comes back for the next job', async () => {
    const run = start({ idleMs: 150 });
    await run('progress');
    const pid = supervisor.pid as number;
    await expect.poll(() => events.at(-1)).toEqual({ type: 'worker-ended', reason: 'idle' });
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect(await run('progress')).not.toEqual({ pid });
  });
});
