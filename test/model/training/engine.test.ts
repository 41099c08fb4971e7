import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { Emixer } from '#model/emixer/emixer.ts';
import { Vocabulary } from '#model/text/vocabulary.ts';
import { type LocalTraining, stepsOf, trainLocally } from '../../support/local-training.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { tinyConfig, tinyEmixer } from '../../support/tiny-training.ts';

const train = async (options: Partial<LocalTraining> = {}) => {
  const folder = options.folder ?? (await temporaryFolder());
  return { folder, ...(await trainLocally({ folder, steps: stepsOf(1, 2, 3), ...options })) };
};
const linesOf = async (folder: string) =>
  (await readFile(join(folder, 'metrics.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
const stepsIn = async (folder: string) =>
  (await linesOf(folder)).flatMap(line => ('stage' in line ? [line['globalStep']] : []));

const COLLAPSED = { diversity: 0.01 };

/**
 * Every start of the adversarial game compiles it anew, which takes most of the time here. So one training runs through, one
 * is interrupted in each way there is, and the tests look at both, or go on from copies of the latter's folder.
 */
async function trainings(root: string) {
  const said: string[] = [];
  const whole = await train({ folder: join(root, 'whole'), samples: COLLAPSED, said });
  const folder = join(root, 'interrupted');
  const stoppedInReports = await train({ folder, stopAfter: 2 });
  await cp(folder, join(root, 'after-2'), { recursive: true });
  // It ends at step 5, and leaves the checkpoint of step 4: as if the program had died in between.
  const collapse = await train({ folder, saveEvery: 4, samples: COLLAPSED, stopOnCollapse: true }).catch(
    error => error,
  );
  const written = await stepsIn(folder);
  await cp(folder, join(root, 'after-4'), { recursive: true });
  const before = tf.memory().numTensors;
  const stoppedInGame = await train({ folder, stopAfter: 1 });
  const tensorsLeft = tf.memory().numTensors - before;
  const last = await train({ folder });
  return { root, said, whole, folder, stoppedInReports, collapse, written, stoppedInGame, tensorsLeft, last };
}
let made: Awaited<ReturnType<typeof trainings>>;

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
  const root = await mkdtemp(join(tmpdir(), 'emixer-test-'));
  made = await trainings(root);
  return () => rm(root, { recursive: true, force: true });
}, 300_000);

/** A folder of its own in which a training has come so far. */
async function folderAfter(steps: 2 | 4): Promise<string> {
  const folder = await temporaryFolder();
  await cp(join(made.root, `after-${steps}`), folder, { recursive: true });
  return folder;
}

describe('a training at one site', () => {
  it('that stops in any stage and goes on ends with the very weights of one that does not stop', async () => {
    const { whole, stoppedInReports, stoppedInGame, last, folder } = made;
    expect(whole.finished).toBe(true);
    expect([stoppedInReports.finished, stoppedInReports.progress.stage]).toEqual([false, 'report-pretraining']);
    const { finished, progress } = stoppedInGame;
    expect([finished, progress.stage, progress.step]).toEqual([false, 'adversarial', 2]);
    expect(last.finished).toBe(true);
    expect(last.sha256).toBe(whole.sha256);
    // One line a step, none twice, and the sheets of samples.
    expect(await stepsIn(folder)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await readdir(join(folder, 'events'))).toHaveLength(4);
  });

  it('goes on from the last checkpoint when it was killed after it', () => {
    // What follows step 4 was written, and then taken again from there, to the weights of the test before.
    expect(made.written).toEqual([1, 2, 3, 4, 5]);
    expect(made.stoppedInGame.progress.globalStep).toBe(5);
  });

  it('ends after the step under way when it is told to, with a checkpoint', async () => {
    const controller = new AbortController();
    controller.abort();
    const { finished, progress, folder } = await train({ signal: controller.signal });
    expect([finished, progress.globalStep]).toEqual([false, 0]);
    expect(await readdir(folder)).toContain('checkpoint.safetensors');
  });

  it('holds no tensor once it has ended', () => {
    expect(made.tensorsLeft).toBe(0);
  });

  it('divides its minutes, and keeps what the first steps told it', async () => {
    let clock = 0;
    // Every look at the clock is 300 ms: a step takes that long.
    const nowMs = () => (clock += 300);
    const { folder, progress } = await train({ steps: stepsOf(null, 2, 3), minutes: 1, nowMs, stopAfter: 25 });
    // 15 % of a minute is 9 s: 30 steps of 0.3 s.
    expect(progress.steps).toEqual(stepsOf(30, 2, 3));
    const later = await train({
      folder,
      steps: stepsOf(null, 2, 3),
      minutes: 1,
      nowMs: () => (clock += 9000),
      stopAfter: 6,
    });
    expect(later.progress.steps).toEqual(stepsOf(30, 2, 3));
    expect(later.progress.stage).toBe('report-pretraining');
  });
});

describe('a checkpoint', () => {
  it('of another configuration is refused by the field that differs', async () => {
    const folder = await folderAfter(2);
    const { tokens } = new Vocabulary(['heart', 'is']);
    const wider = new Emixer({ ...tinyConfig, report: { ...tinyConfig.report, hidden: 24 } }, new Vocabulary(tokens), {
      run: 7,
      site: 0,
    });
    await expect(train({ folder, model: wider })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/made with report\.hidden = 16; expected 24/),
    });
  });

  it('of another vocabulary is refused', async () => {
    const folder = await folderAfter(2);
    const other = new Emixer(tinyConfig, new Vocabulary(['heart', 'lung']), { run: 7, site: 0 });
    await expect(train({ folder, model: other })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('vocabulary'),
    });
  });

  it('of other numbers of steps is refused: the annealing follows them', async () => {
    const folder = await folderAfter(2);
    await expect(train({ folder, steps: stepsOf(1, 2, 4) })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('3 steps of adversarial; expected 4'),
    });
  });

  it.each([
    [
      'tampered with in a weight',
      (bytes: Buffer) => bytes.writeUInt8(bytes.readUInt8(bytes.length - 3) ^ 1, bytes.length - 3),
    ],
    [
      'tampered with in its progress',
      (bytes: Buffer) => bytes.write('9', bytes.indexOf('globalStep') + 'globalStep\\":'.length),
    ],
  ])('that was %s is refused', async (_, tamper) => {
    const folder = await folderAfter(2);
    const path = join(folder, 'checkpoint.safetensors');
    const bytes = await readFile(path);
    tamper(bytes);
    await writeFile(path, bytes);
    await expect(train({ folder })).rejects.toMatchObject({
      code: 'FILE_CORRUPT',
      message: expect.stringContaining('the file was changed'),
    });
  });

  it('that was cut off is refused', async () => {
    const folder = await folderAfter(2);
    const path = join(folder, 'checkpoint.safetensors');
    await writeFile(path, (await readFile(path)).subarray(0, -100));
    await expect(train({ folder })).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
  });
});

describe('a step that goes wrong', () => {
  it('leaves the checkpoint, keeps numbers and positions and no word of a report, and says what to do', async () => {
    const folder = await folderAfter(4);
    const checkpoint = await readFile(join(folder, 'checkpoint.safetensors'));
    const model = tinyEmixer();
    const { parameters } = model.imageDiscriminator;
    // A weight that the checkpoint restores would not stay broken; one that is read after it does.
    const broken = parameters.trainables[0] as tf.Variable;
    const assign = broken.assign.bind(broken);
    broken.assign = value => assign(tf.tidy(() => tf.mul(value, Number.NaN)));
    const failure = await train({ folder, model }).catch(error => error);
    expect(failure).toMatchObject({
      code: 'NON_FINITE',
      message: expect.stringMatching(/step 1 of adversarial: .*D_image.*the checkpoint of step 4 is as it was/),
      remedy: expect.stringMatching(/kept-step.step-4\.json.*optimiser\.discriminatorRate/),
    });
    expect(await readFile(join(folder, 'checkpoint.safetensors'))).toEqual(checkpoint);
    const text = await readFile(join(folder, 'kept-step', 'step-4.json'), 'utf8');
    const kept = JSON.parse(text);
    expect(kept).toMatchObject({ stage: 'adversarial', step: 1, globalStep: 4, seed: 7, checkpointStep: 4 });
    // Two discriminator steps, of which the first fails: one batch of images, one of pairs.
    expect(kept.batches.map((use: { stream: string; batchIndex: number }) => [use.stream, use.batchIndex])).toEqual([
      ['images', 2],
      ['pairs', 2],
    ]);
    for (const { positions } of kept.batches) expect(positions).toHaveLength(tinyConfig.batchSize);
    expect(text).not.toMatch(/heart|lungs|effusion/);
  }, 120_000);

  it('may be a collapse: the training goes on with a warning, or ends when it is asked to', () => {
    expect(made.whole.finished).toBe(true);
    expect(made.said.filter(line => line.startsWith('warning'))).toEqual([
      'warning: at adversarial step 2 generated images lie 0.010 times as far apart as real ones; expected at least 0.2',
    ]);
    expect(made.collapse).toMatchObject({
      code: 'TRAINING_COLLAPSED',
      message: expect.stringContaining('0.010 times as far apart'),
    });
  });
});
