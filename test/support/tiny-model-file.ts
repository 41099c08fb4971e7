/** A model file as a run releases it, small enough for a unit test: freshly initialised networks, made standing. */

import { modelMetadata } from '#model/checkpoint/model-file.ts';
import { tensorsOf } from '#model/checkpoint/network-file.ts';
import { Emixer } from '#model/emixer/emixer.ts';
import { modelConfigOf, parseRunConfig } from '#model/federated.ts';
import { marginalLabels } from '#model/generation/label-distribution.ts';
import { makeStanding } from '#model/generation/standing.ts';
import { Vocabulary } from '#model/text/vocabulary.ts';
import { takeSnapshot } from '#model/training/state-file.ts';

const VOCABULARY = ['the', 'heart', 'is', 'large', 'normal', 'lungs', 'are', 'clear', 'no', 'effusion'];

export const tinyRun = parseRunConfig({
  sites: ['a'],
  model: {
    batchSize: 4,
    report: { maxSentences: 3, maxWords: 5, hidden: 16, embedding: 16, wordLayers: 1 },
    reportDiscriminator: { embedding: 8, hidden: 8, maxTokens: 12 },
    jointDiscriminator: { embedding: 8, hidden: 8 },
    encoder: { growth: 4, blocks: [1, 1, 1, 1] },
    standingBatches: 2,
  },
});

const statistics = { records: 30, sites: 1, labels: { Edema: 20, Fracture: 10 } };

/**
 * Writes the file; the backend must have been loaded.
 * @param change of its metadata, which is hashed as it is written
 * @returns the networks that it holds
 */
export async function writeTinyModel(path: string, change: Readonly<Record<string, string>> = {}): Promise<Emixer> {
  const model = new Emixer(modelConfigOf(tinyRun), new Vocabulary(VOCABULARY), { run: 3, site: 0 });
  makeStanding(model.generator, { batches: 2, batchSize: 4, labels: marginalLabels(statistics), seed: 1 });
  const metadata = { run_id: 'r', ...modelMetadata(tinyRun, VOCABULARY, statistics), ...change };
  await takeSnapshot(tensorsOf(model.shared), metadata).write(path);
  return model;
}
