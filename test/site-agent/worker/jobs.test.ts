import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { parseRunConfig } from '#model/federated.ts';
import type { Label } from '#model/labels.ts';
import { mimicCxrJpg } from '#site-agent/data/mimic-cxr-jpg.ts';
import { writePhantomCollection } from '#site-agent/data/phantom/collection.ts';
import { prepare } from '#site-agent/data/prepare.ts';
import type { LabelValue, Loader, SourceRecord } from '#site-agent/data/record.ts';
import { evaluate } from '#site-agent/worker/jobs/evaluate.ts';
import { train } from '#site-agent/worker/jobs/train.ts';
import type { EvaluateJob, TrainJob } from '#site-agent/worker/messages.ts';

const run = parseRunConfig({
  sites: ['a'],
  model: {
    batchSize: 4,
    pretrainingBatchSize: 4,
    report: { maxSentences: 3, maxWords: 5, hidden: 16, embedding: 16, wordLayers: 2 },
    reportDiscriminator: { embedding: 8, hidden: 16, maxTokens: 12 },
    jointDiscriminator: { embedding: 8, hidden: 16 },
    encoder: { growth: 4, blocks: [1, 1, 1, 1] },
    standingBatches: 2,
  },
  encoderPretraining: { rounds: 2, steps: 3 },
  reportPretraining: { rounds: 1, steps: 3 },
  adversarial: { rounds: 2, steps: 3 },
  evaluationImages: 100,
});

let folder: string;
beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
  folder = await mkdtemp(join(tmpdir(), 'jobs-'));
  await writePhantomCollection({ out: join(folder, 'collection'), patients: 8, seed: 1 });
  await prepared('prepared', record => record);
  await prepared('unlabelled', record => ({ ...record, labels: {} as Partial<Record<Label, LabelValue>> }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The phantoms, changed, as a site's prepared set. */
async function prepared(name: string, change: (record: SourceRecord) => SourceRecord): Promise<void> {
  const loader: Loader = {
    kind: mimicCxrJpg.kind,
    async *records(from, skip) {
      for await (const record of mimicCxrJpg.records(from, skip)) yield change(record);
    },
  };
  const out = join(folder, name);
  const collection = join(folder, 'collection');
  await prepare({ loader, folder: collection, out, resolution: 32, imageChannels: 1, key: Buffer.alloc(32) });
}

const base = (state: string, set = 'prepared') => ({
  run,
  preparedDir: join(folder, set),
  stateDir: state,
  siteIndex: 0,
  vocabulary: ['the', 'lungs', 'are', 'clear', 'heart', 'no', 'effusion'],
  statistics: { records: 1, sites: 1, labels: {} },
});

const stateFolder = (name: string): Promise<string> => mkdtemp(join(folder, name));

test('a worker killed before or after a checkpoint, in any stage, goes on to the byte, across rounds and stages', async () => {
  const whole = await stateFolder('whole-');
  const out = join(folder, 'out.safetensors');
  const plan = [
    ['encoder-pretraining', 1],
    ['encoder-pretraining', 2],
    ['report-pretraining', 1],
    ['adversarial', 1],
    ['adversarial', 2],
  ] as const;
  let weightsPath: string | null = null;
  for (const [stage, round] of plan) {
    const before = await stateFolder('before-');
    await cp(whole, before, { recursive: true });
    const job = (state: string): TrainJob => ({
      ...base(state),
      kind: 'train',
      taskId: `${stage}/${round}`,
      stage,
      round,
      weightsPath,
      checkpointEverySteps: 2,
      outPath: out,
    });
    const outcome = await train(job(whole), () => undefined);
    const expected = [await readFile(out), await readFile(join(whole, 'local.safetensors'))];
    for (const last of [1, 3]) {
      const resumed = await stateFolder('resumed-');
      await cp(before, resumed, { recursive: true });
      const dying = train(job(resumed), step => {
        if (step === last) throw new Error('killed');
      });
      await expect(dying, `${stage} ${round}`).rejects.toThrow('killed');
      expect(await train(job(resumed), () => undefined)).toEqual(outcome);
      const actual = [await readFile(out), await readFile(join(resumed, 'local.safetensors'))];
      expect(
        actual.map((bytes, i) => bytes.equals(expected[i] as Buffer)),
        `${stage} ${round} ${last}`,
      ).toEqual([true, true]);
    }
    weightsPath = join(folder, `global-${stage}-${round}.safetensors`);
    await cp(out, weightsPath);
  }
}, 120_000);

test('an evaluation says that it is alive, gives the same figures again, and holds no tensor', async () => {
  const job: EvaluateJob = {
    ...base(await stateFolder('evaluation-')),
    kind: 'evaluate',
    taskId: 'e',
    weightsPath: null,
  };
  const steps: number[] = [];
  const first = await evaluate(job, step => steps.push(step));
  // The extractor's three steps, batches of real images and reports, two batches of 100 images, twice.
  expect(steps.slice(0, 3)).toEqual([0, 0, 0]);
  expect(steps.filter(step => step > 0)).toEqual([64, 100, 64, 100]);
  expect(first.fid).toBeGreaterThan(0);
  // These weights are the untrained ones.
  expect(first.fid).toBe(first.fidUntrained);
  const { numTensors } = tf.memory();
  expect(await evaluate(job, () => undefined)).toEqual(first);
  expect(tf.memory().numTensors).toBe(numTensors);
});

test('a site without labels has no FID: nothing has taught its extractor what to look at', async () => {
  const state = await stateFolder('unlabelled-');
  const job: EvaluateJob = { ...base(state, 'unlabelled'), kind: 'evaluate', taskId: 'e', weightsPath: null };
  const { fid, fidUntrained, tokens, nllSum } = await evaluate(job, () => undefined);
  expect({ fid, fidUntrained }).toEqual({ fid: null, fidUntrained: null });
  expect(nllSum / tokens).toBeGreaterThan(0);
});
