/** Records that cost what real ones cost, made of noise: uniform pixels, random labels, random words. */
import type { ModelConfig } from '../config.ts';
import { Random } from '../random.ts';
import { joinReport } from '../text/report-cleaner.ts';
import type { TrainingData, TrainingRecord } from '../training/dataset.ts';

/** Enough that batches differ; they are drawn anew at every reading. */
const RECORDS = 64;
/** About a label in five is positive in CheXpert's rows that have any. */
const POSITIVE = 0.2;
/** The length of Open-i's reports: few reach its limits of 8 sentences of 20 words. */
const SENTENCES = { fewest: 3, most: 8 };
const WORDS = { fewest: 4, most: 14 };

/** `words` different words: "w0", "w1", ... */
export const syntheticWords = (words: number): string[] => Array.from({ length: words }, (_, i) => `w${i}`);

/**
 * @param words of which reports are drawn; none for records without reports
 */
export function syntheticData(config: ModelConfig, words: readonly string[], seed: number): TrainingData {
  const { resolution, imageChannels, labels } = config;
  const records: TrainingRecord[] = Array.from({ length: RECORDS }, (_, index) => {
    const random = new Random(seed, 'bench', index);
    return {
      index,
      split: 'train',
      labels: Array.from({ length: labels }, () => (random.uniform() < POSITIVE ? 1 : 0)),
      report: words.length === 0 ? null : report(config, words, random),
    };
  });
  const pixels = resolution ** 2 * imageChannels;
  return {
    records,
    resolution,
    imageChannels,
    readImages: async indices => {
      const result = new Uint8Array(indices.length * pixels);
      for (const [n, index] of indices.entries()) noise(result.subarray(n * pixels, (n + 1) * pixels), seed, index);
      return result;
    },
  };
}

function report({ report: limits }: ModelConfig, words: readonly string[], random: Random): string {
  const between = ({ fewest, most }: { fewest: number; most: number }, limit: number): number =>
    Math.min(limit, fewest + random.integer(most - fewest + 1));
  const sentences = Array.from({ length: between(SENTENCES, limits.maxSentences) }, () =>
    Array.from({ length: between(WORDS, limits.maxWords) }, () => words[random.integer(words.length)] as string),
  );
  return joinReport(sentences);
}

function noise(pixels: Uint8Array, seed: number, index: number): void {
  const random = new Random(seed, 'pixels', index);
  for (let i = 0; i < pixels.length; i += 4) {
    const four = random.uint32();
    for (let k = 0; k < 4 && i + k < pixels.length; k++) pixels[i + k] = (four >>> (8 * k)) & 255;
  }
}
