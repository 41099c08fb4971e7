/** What a site may say and fetch, over the real protocol. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createRun, showRun, stopRun } from '#coordinator/commands.ts';
import { RunFiles } from '#coordinator/store/run-files.ts';
import { callClientStream, callServerStream, callUnary } from '#proto/calls.ts';
import { chunkOf } from '#proto/chunks.ts';
import { Stage, FederationServiceService as service, type Task, TaskKind } from '#proto/gen/fed/v1/federation.ts';
import {
  type Coordinator,
  createTestRun,
  enrolTestSites,
  initTestCoordinator,
  runEnded,
  startTestCoordinator,
} from '../../support/coordinator-fixture.ts';
import {
  type FakeIdentity,
  FakeSite,
  type FakeSiteOptions,
  floatTensor,
  trainedTensors,
} from '../../support/fake-site.ts';

const SITES = ['a', 'b', 'c'];
const QUOTA = 200_000;
const timeoutMs = 10_000;
let dir: string;
let coordinator: Coordinator;
let identities: FakeIdentity[];
let sites: FakeSite[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'emixer-handlers-'));
  await initTestCoordinator(dir);
  const path = join(dir, 'coordinator.yaml');
  const config = await readFile(path, 'utf8');
  await writeFile(path, config.replace(/uploadQuotaBytes: .*/, `uploadQuotaBytes: ${QUOTA}`));
  coordinator = await startTestCoordinator(dir, { keepIntermediate: true });
  identities = await enrolTestSites(dir, SITES);
}, 60_000);
afterEach(async () => {
  await Promise.all(sites.map(site => site.stop()));
  sites = [];
});
afterAll(async () => {
  await coordinator.close();
  await rm(dir, { recursive: true, force: true });
});

const site = (i: number, options: Partial<FakeSiteOptions> = {}): FakeSite => {
  const identity = identities[i] as FakeIdentity;
  const made = new FakeSite({ identity, address: coordinator.grpcAddress, records: 10 * (i + 1), ...options });
  sites.push(made);
  return made;
};

const noPretraining = {
  encoderPretraining: { rounds: 0, steps: 1 },
  reportPretraining: { rounds: 0, steps: 1 },
  adversarial: { rounds: 1, steps: 1 },
};
const isTraining = ({ kind }: Task) => kind === TaskKind.TRAIN;

/** The site's training task, which it has been sent and not answered. */
async function pendingTraining(members = ['a']): Promise<{ a: FakeSite; task: Task; runId: string }> {
  let pending: Task | undefined;
  const a = site(0, {
    ignore: task => {
      if (isTraining(task)) pending = task;
      return isTraining(task);
    },
  }).start();
  const { runId } = await createTestRun(dir, members, noPretraining);
  await expect.poll(() => pending?.runId, { timeout: timeoutMs }).toBe(runId);
  return { a, task: pending as Task, runId };
}

describe('a round', () => {
  it('averages by records what three sites uploaded, as recomputed from their manifests', async () => {
    for (const i of [0, 1, 2]) site(i).start();
    const { runId } = await createTestRun(dir, SITES);
    const run = await runEnded(dir, runId);
    expect(run.reason).toBeNull();
    const files = new RunFiles(join(dir, 'runs', runId));
    const weights = await files.manifest(run.weightsSha256 as string);
    const uploads = sites.map(one => one.received.filter(({ task }) => isTraining(task)).at(-1)?.task as Task);
    for (const [position, tensor] of weights.tensors.entries()) {
      const [address] = tensor.chunkSha256;
      const averaged = floats(await files.global.get((address as Buffer).toString('hex')));
      const trained = await Promise.all(
        uploads.map(async (task, i) => {
          const before = await read(files, task);
          const tensors = trainedTensors(SITES[i] as string, task, before);
          const [bytes] = (tensors[position]?.bytes ?? []) as Uint8Array[];
          return floats(bytes as Uint8Array);
        }),
      );
      for (const [i, value] of averaged.entries()) {
        const expected = trained.reduce((sum, values, k) => sum + (values[i] as number) * 10 * (k + 1), 0) / 60;
        expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-6);
      }
    }
  });

  it('leaves out by name: numbers that are not finite, modules that may not leave, more records than there are', async () => {
    site(0).start();
    site(1, {
      tamper: (tensors, { stage }) =>
        stage === Stage.ADVERSARIAL
          ? [...tensors.slice(0, -1), floatTensor('G/w', [2, 7], new Float32Array(14).fill(Number.NaN))]
          : tensors,
    }).start();
    const c = site(2, {
      tamper: (tensors, { stage }) =>
        stage === Stage.ADVERSARIAL ? [floatTensor('D_image/w', [1], Float32Array.of(1)), ...tensors] : tensors,
    }).start();
    const { runId } = await createTestRun(dir, SITES, { quorum: 1, adversarial: { rounds: 1, steps: 1 } });
    const run = await runEnded(dir, runId);
    const round = run.rounds.find(({ stage, kind }) => stage === 'adversarial' && kind === 'train');
    expect(round?.sites.map(({ name }) => name)).toEqual(['a']);
    expect(round?.leftOut).toEqual([
      { name: 'b', code: 'NON_FINITE', reason: 'tensor G/w is not finite' },
      { name: 'c', code: 'MESSAGE_INVALID', reason: 'tensor D_image/w is of no module that may leave a site' },
    ]);
    expect(c.errors).toEqual([expect.objectContaining({ code: 'MESSAGE_INVALID' })]);
    expect(run.status).toBe('finished');
  });

  it('stops, with the reason, when no quorum is left', async () => {
    site(0, {
      fail: task => (isTraining(task) ? { code: 'NON_FINITE', message: 'loss is NaN at step 3' } : undefined),
    }).start();
    site(1).start();
    const { runId } = await createTestRun(dir, ['a', 'b'], noPretraining);
    const run = await runEnded(dir, runId);
    expect(run.status).toBe('stopped');
    expect(run.reason).toContain('a: NON_FINITE loss is NaN at step 3');
  });

  it('closes at its deadline without a silent site, which is told', async () => {
    site(0).start();
    const silent = site(1);
    const cancelled: string[] = [];
    const session = (async () => {
      for await (const { event } of silent.openSession()) {
        if (event?.$case === 'cancel') cancelled.push(event.value.taskId);
        else if (event?.$case === 'task' && !isTraining(event.value)) await silent.answer(event.value);
      }
    })().catch(() => {});
    const { runId } = await createTestRun(dir, ['a', 'b'], { ...noPretraining, quorum: 1, roundDeadlineMs: 1_500 });
    const run = await runEnded(dir, runId);
    const round = run.rounds.find(({ kind }) => kind === 'train');
    expect(round?.leftOut).toEqual([{ name: 'b', code: 'UNREACHABLE', reason: 'no answer before the deadline' }]);
    expect(cancelled).toContain(`${runId}/adversarial/1/train/b`);
    await silent.stop();
    await session;
  });

  it('is stopped by the operator, and the sites are told', async () => {
    const { a, task, runId } = await pendingTraining();
    await stopRun(dir, runId, { reason: 'wrong data' });
    await expect
      .poll(() => coordinator.notices.filter(n => n.event === 'run-stopped' && n.run === runId), { timeout: timeoutMs })
      .toEqual([{ event: 'run-stopped', run: runId, reason: 'wrong data' }]);
    const late = a.sign({
      taskId: task.taskId,
      outcome: { $case: 'failure', value: { code: 'CANCELLED', message: '' } },
      signature: Buffer.alloc(0),
    });
    expect(await a.submit(late)).toEqual({ accepted: false });
    await expect(stopRun(dir, runId)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('a result', () => {
  it('counts once, signed by the site whose task it is, with all its chunks', async () => {
    const { a, task, runId } = await pendingTraining();
    const outcome = await a.outcome(task);
    const unsigned = { taskId: task.taskId, outcome, signature: Buffer.alloc(0) };
    const signed = a.sign(unsigned);

    await expect(a.submit(unsigned)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const forged = {
      ...signed,
      outcome: {
        $case: 'train' as const,
        value: { ...(outcome?.value as object), records: [{ module: 'G', records: 9n }] },
      },
    };
    await expect(a.submit(forged as typeof signed)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const b = site(1);
    await expect(b.submit(b.sign(unsigned))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const stranger = b.sign({ ...unsigned, taskId: task.taskId.replace(/a$/, 'b') });
    await expect(b.submit(stranger)).rejects.toMatchObject({ code: 'NOT_FOUND' });

    if (outcome?.$case !== 'train') throw new Error('expected a contribution');
    const elsewhere = structuredClone(outcome.value.contribution);
    elsewhere?.tensors[0]?.chunkSha256.splice(0, 1, Buffer.alloc(32, 1));
    const incomplete = a.sign({
      ...unsigned,
      outcome: { ...outcome, value: { ...outcome.value, contribution: withBuffers(elsewhere) } },
    });
    await expect(a.submit(incomplete)).rejects.toMatchObject({
      code: 'MESSAGE_INVALID',
      message: expect.stringContaining('missing'),
    });
    expect((await showRun(dir, runId)).step?.sites[0]?.status).toBe('waiting');

    expect(await a.submit(signed)).toEqual({ accepted: true });
    expect(await a.submit(signed)).toEqual({ accepted: false });
    expect((await runEnded(dir, runId)).rounds.find(({ kind }) => kind === 'train')?.sites).toMatchObject([
      { name: 'a', records: 10 },
    ]);
  });

  it('may not claim more records than the site has', async () => {
    const { a, task, runId } = await pendingTraining();
    const outcome = await a.outcome(task);
    if (outcome?.$case !== 'train') throw new Error('expected a contribution');
    const boasting = { ...outcome, value: { ...outcome.value, records: [{ module: 'G', records: 11n }] } };
    const request = a.sign({ taskId: task.taskId, outcome: boasting, signature: Buffer.alloc(0) });
    await expect(a.submit(request)).rejects.toMatchObject({
      code: 'MESSAGE_INVALID',
      message: expect.stringContaining('the site has 10'),
    });
    expect((await runEnded(dir, runId)).reason).toContain('the site has 10');
  });
});

describe('a site that missed the statistics', () => {
  it('weighs no more than the largest of the others, whatever it claims', async () => {
    site(0).start();
    const late = site(1, {
      records: 1_000_000,
      fail: ({ kind }) => (kind === TaskKind.STATISTICS ? { code: 'WORKER_DIED', message: '' } : undefined),
    }).start();
    const { runId } = await createTestRun(dir, ['a', 'b'], { ...noPretraining, quorum: 1 });
    const run = await runEnded(dir, runId);
    const round = run.rounds.find(({ kind }) => kind === 'train');
    expect(round?.sites.map(({ name }) => name)).toEqual(['a']);
    expect(round?.leftOut).toEqual([
      { name: 'b', code: 'MESSAGE_INVALID', reason: expect.stringContaining('1000000 records') },
    ]);
    expect(late.errors).toHaveLength(1);
  });
});

describe('the model that generated', () => {
  const generates = ({ kind }: Task) => kind === TaskKind.GENERATE;
  const planted = async (change: (values: Map<string, Float32Array>) => Map<string, Float32Array>) => {
    let pending: Task | undefined;
    const a = site(0, {
      ignore: task => {
        if (generates(task)) pending = task;
        return generates(task);
      },
    }).start();
    const { runId } = await createTestRun(dir, ['a'], noPretraining);
    await expect.poll(() => pending?.runId, { timeout: timeoutMs }).toBe(runId);
    const task = pending as Task;
    const outcome = await a.outcome(task);
    if (outcome?.$case !== 'generate') throw new Error('expected pairs');
    const values = change(await a.pull(runId, task.emaWeights));
    const shapes = new Map(task.emaWeights?.tensors.map(({ name, shape }) => [name, shape]));
    const tensors = [...values].map(([name, data]) => floatTensor(name, shapes.get(name) ?? [data.length], data));
    const model = await a.push(runId, tensors);
    const value = { ...outcome.value, model };
    const request = { taskId: task.taskId, outcome: { ...outcome, value }, signature: Buffer.alloc(0) };
    const answer = a.submit(a.sign(request));
    return { answer, runId };
  };

  it('may add the standing statistics of G', async () => {
    const { answer, runId } = await planted(values => values.set('G/standing', Float32Array.of(1)));
    expect(await answer).toEqual({ accepted: true });
    expect((await runEnded(dir, runId)).status).toBe('finished');
  });

  it.each<[string, (values: Map<string, Float32Array>) => Map<string, Float32Array>, string]>([
    ['other weights', values => values.set('G/w', new Float32Array(14).fill(3)), 'G/w'],
    ['a tensor of F more', values => values.set('F/decoder/x', Float32Array.of(1)), 'F/decoder/x'],
    ['a tensor less', values => new Map([...values].filter(([name]) => name !== 'F/decoder/b')), 'F/decoder/b'],
  ])('is refused with %s', async (_name, change, named) => {
    const { answer, runId } = await planted(change);
    await expect(answer).rejects.toMatchObject({
      code: 'MESSAGE_INVALID',
      message: expect.stringContaining(named),
    });
    expect((await runEnded(dir, runId)).reason).toContain('not that of the run');
  });
});

describe('chunks', () => {
  it('go up only while a task expects them, whole, and within the quota', async () => {
    const { a, runId } = await pendingTraining();
    const push = (data: Buffer, sha256 = chunkOf(data).sha256, to = a) =>
      callClientStream(to.client, service.pushChunks, [{ runId, chunk: { sha256, data } }], { timeoutMs });
    expect(await push(Buffer.alloc(1000, 1))).toEqual({ stored: 1, bytes: 1000n });
    await expect(push(Buffer.alloc(1000, 2), Buffer.alloc(32, 9))).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
    await expect(push(Buffer.alloc(QUOTA, 3))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    await expect(push(Buffer.alloc(10, 1), undefined, site(1))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await stopRun(dir, runId);
    await expect.poll(() => coordinator.notices.some(n => n.event === 'run-stopped' && n.run === runId)).toBe(true);
    await expect(push(Buffer.alloc(10, 5))).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
  });

  it('of one site are neither shown nor given to another', async () => {
    const b = site(1, { ignore: isTraining }).start();
    const { a, task, runId } = await pendingTraining(['a', 'b']);
    const outcome = await a.outcome(task);
    const manifest = outcome?.$case === 'train' ? outcome.value.contribution : undefined;
    const sha256 = manifest?.tensors.flatMap(tensor => tensor.chunkSha256) ?? [];
    const missingFor = (who: FakeSite) =>
      callUnary(who.client, service.missingChunks, { runId, sha256 }, { timeoutMs });
    expect((await missingFor(a)).sha256).toEqual([]);
    expect((await missingFor(b)).sha256).toEqual(sha256);
    const pulled = (async () => {
      for await (const _ of callServerStream(b.client, service.pullChunks, { runId, sha256 }, { timeoutMs }));
    })();
    await expect(pulled).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await stopRun(dir, runId);
  });
});

describe('progress', () => {
  it('is shown over HTTP while its task goes on, and dropped afterwards', async () => {
    const { a, task, runId } = await pendingTraining();
    const report = (metricsJson: string, taskId = task.taskId) =>
      callUnary(a.client, service.reportMetrics, { taskId, step: 2, steps: 20, metricsJson }, { timeoutMs });
    await report('{"lossG":1.5}');
    await report('{"lossG":7}', `${runId}/statistics/1/statistics/a`);
    await expect(report('{"lossG":null}')).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
    await expect(report('{"a\\u0000":1}')).rejects.toMatchObject({ code: 'MESSAGE_INVALID' });
    const shown = await (await fetch(`http://${coordinator.httpAddress}/v1/runs/${runId}`)).json();
    expect((shown as { step: { sites: object[] } }).step.sites).toEqual([
      { name: 'a', status: 'waiting', connected: true, step: 2, steps: 20, metrics: { lossG: 1.5 } },
    ]);
    await stopRun(dir, runId);
  });
});

describe('a run configuration', () => {
  it.each([
    [{ sites: ['a', 'nowhere'] }, 'site "nowhere" is not enrolled'],
    [{ sites: ['a'], quorum: 2 }, 'quorum 2'],
    [{ sites: ['a'], adversarial: { rounds: 0, steps: 1 } }, 'adversarial round'],
    [{ sites: ['a'], roundz: 1 }, 'roundz'],
    [{ sites: ['a'], preset: 'biggan' }, 'unknown preset'],
    [{ sites: ['a'], audit: { plantz: 1 } }, 'plantz'],
  ])('that cannot work is refused before anything begins: %o', async (config, message) => {
    await expect(createRun(dir, config)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message),
    });
  });
});

const floats = (bytes: Uint8Array): Float32Array => new Float32Array(new Uint8Array(bytes).buffer);

/** structuredClone turns Buffers into Uint8Arrays. */
function withBuffers<T extends { tensors: { chunkSha256: Uint8Array[] }[] }>(manifest: T | undefined): T | undefined {
  for (const tensor of manifest?.tensors ?? []) tensor.chunkSha256 = tensor.chunkSha256.map(hash => Buffer.from(hash));
  return manifest;
}

/** The weights that a task named, from the coordinator's disk. */
async function read(files: RunFiles, task: Task): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const { name, chunkSha256 } of task.weights?.tensors ?? []) {
    values.set(name, floats(await files.global.get((chunkSha256[0] as Buffer).toString('hex'))));
  }
  return values;
}
