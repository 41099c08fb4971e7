/** A training set small enough for a unit test: drawn gradients with reports that follow the label. */
import { resolveModelConfig } from '#model/config.ts';
import { Emixer } from '#model/emixer/emixer.ts';
import { Random } from '#model/random.ts';
import { Vocabulary } from '#model/text/vocabulary.ts';
import type { TrainingData, TrainingRecord } from '#model/training/dataset.ts';

export const tinyConfig = resolveModelConfig('phantom32', {
  channels: 8,
  batchSize: 4,
  pretrainingBatchSize: 4,
  report: { maxSentences: 3, maxWords: 5, hidden: 16, embedding: 16, wordLayers: 2 },
  reportDiscriminator: { embedding: 8, hidden: 16, maxTokens: 12 },
  jointDiscriminator: { embedding: 8, hidden: 16 },
  encoder: { growth: 4, blocks: [1, 1, 1, 1] },
  optimiser: { pretrainingRate: 0.01 },
  standingBatches: 2,
});

const WORDS = ['heart', 'is', 'large', 'normal', 'lungs', 'are', 'clear', 'no', 'effusion'];

export function tinyData(count = 24): TrainingData {
  const records: TrainingRecord[] = Array.from({ length: count }, (_, index) => ({
    index,
    split: index % 4 === 3 ? 'test' : 'train',
    report: index % 2 === 0 ? 'heart is large . lungs are clear .' : 'heart is normal . no effusion .',
    labels: Array.from({ length: 14 }, (_label, k) => (k === 1 ? (index % 2 === 0 ? 1 : 0) : null)),
  }));
  return {
    records,
    resolution: 32,
    imageChannels: 1,
    readImages: async indices => {
      const pixels = new Uint8Array(indices.length * 1024);
      for (const [n, index] of indices.entries()) {
        const random = new Random('tiny', index);
        const slope = index % 2 === 0 ? 6 : 2;
        for (let i = 0; i < 1024; i++) pixels[n * 1024 + i] = (i % 32) * slope + random.integer(20);
      }
      return pixels;
    },
  };
}

export const tinyEmixer = (site = 0): Emixer => new Emixer(tinyConfig, new Vocabulary(WORDS), { run: 7, site });
