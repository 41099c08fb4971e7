import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requireSameModel } from '#coordinator/handlers/outcome.ts';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { parseRunConfig } from '#model/federated.ts';
import { readSyntheticSet } from '#model/generation/synthetic-file.ts';
import { mimicCxrJpg } from '#site-agent/data/mimic-cxr-jpg.ts';
import { writePhantomCollection } from '#site-agent/data/phantom/collection.ts';
import { prepare } from '#site-agent/data/prepare.ts';
import { Outgoing } from '#site-agent/outgoing.ts';
import { generate } from '#site-agent/worker/jobs/generate.ts';
import { train } from '#site-agent/worker/jobs/train.ts';

const run = parseRunConfig({
  sites: ['a'],
  model: {
    batchSize: 4,
    report: { maxSentences: 3, maxWords: 5, hidden: 16, embedding: 16, wordLayers: 2 },
    reportDiscriminator: { embedding: 8, hidden: 16, maxTokens: 12 },
    jointDiscriminator: { embedding: 8, hidden: 16 },
    encoder: { growth: 4, blocks: [1, 1, 1, 1] },
    standingBatches: 2,
  },
  adversarial: { rounds: 1, steps: 1 },
  pairs: 70,
});
const vocabulary = ['the', 'lungs', 'are', 'clear', 'heart', 'no', 'effusion'];

let folder: string;
beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
  folder = await mkdtemp(join(tmpdir(), 'generate-'));
  const collection = join(folder, 'collection');
  await writePhantomCollection({ out: collection, patients: 6, seed: 1 });
  const out = join(folder, 'prepared');
  const common = { resolution: 32, imageChannels: 1, key: Buffer.alloc(32) } as const;
  await prepare({ loader: mimicCxrJpg, folder: collection, out, ...common });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('what a site generates passes its own egress, and the model is that of the run to the byte', async () => {
  const path = (name: string): string => join(folder, `${name}.safetensors`);
  const base = {
    run,
    preparedDir: join(folder, 'prepared'),
    stateDir: folder,
    siteIndex: 0,
    vocabulary,
    statistics: { records: 10, sites: 1, labels: { Edema: 5, Fracture: 5 } },
  };
  const step = { stage: 'adversarial', round: 1, checkpointEverySteps: 1, weightsPath: null } as const;
  await train({ ...base, ...step, kind: 'train', taskId: 't', outPath: path('global') }, () => undefined);
  // The average over one round of one site is its contribution.
  await copyFile(path('global'), path('ema'));
  await generate(
    {
      ...base,
      kind: 'generate',
      taskId: 'g',
      weightsPath: path('global'),
      emaWeightsPath: path('ema'),
      syntheticOutPath: path('synthetic'),
      modelOutPath: path('model'),
    },
    () => undefined,
  );

  const source = { runId: 'r', run, vocabulary };
  const weights = await Outgoing.read({ ...source, kind: 'weights', path: path('ema') });
  const reference = weights.manifest;
  const model = { ...source, kind: 'weights', path: path('model'), reference } as const;
  const { manifest } = await Outgoing.read({ ...model, buffersOfG: true });
  expect(manifest.tensors.length).toBeGreaterThan(reference.tensors.length);
  expect(() => requireSameModel(manifest, reference)).not.toThrow();
  // As a contribution it would be refused: the buffers of G do not travel during training.
  await expect(Outgoing.read(model)).rejects.toMatchObject({ code: 'POLICY_REFUSED' });

  await Outgoing.read({ ...source, kind: 'synthetic', path: path('synthetic') });
  const { reports, count } = await readSyntheticSet(path('synthetic'));
  expect(count).toBe(run.pairs);
  expect(new Set(reports.join(' ').split(' ').filter(Boolean)).size).toBeGreaterThan(2);
}, 120_000);
