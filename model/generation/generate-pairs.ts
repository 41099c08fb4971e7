/** Synthetic pairs (paper, section 3.1): I^ = G(z, y), S^ = F(I^). */
import * as tf from '@tensorflow/tfjs-core';
import type { Emixer } from '../emixer/emixer.ts';
import { drawingOf } from '../emixer/report-sampling.ts';
import { Random } from '../random.ts';
import { joinReport } from '../text/report-cleaner.ts';
import { drawLabels, drawNoise, pixelsOf } from '../training/tensors.ts';
import type { LabelDistribution } from './label-distribution.ts';
import type { SyntheticBatch } from './synthetic-file.ts';

/**
 * Batches of pairs at constant memory, the same for the same seed and batch size. G must have been made standing; F writes
 * as the configuration's `decoding` says.
 * @param labels where y comes from
 */
export function* generatePairs(
  model: Pick<Emixer, 'config' | 'vocabulary' | 'generator' | 'encoder' | 'reportGenerator'>,
  options: {
    readonly count: number;
    /** Pairs that are there already, a multiple of batchSize; 0 by default. */
    readonly from?: number;
    readonly batchSize: number;
    readonly labels: LabelDistribution;
    readonly seed: number;
  },
): Generator<SyntheticBatch> {
  const { count, from = 0, batchSize, labels, seed } = options;
  const { config, generator, encoder, reportGenerator, vocabulary } = model;
  for (let done = from; done < count; done += batchSize) {
    const batch = Math.min(batchSize, count - done);
    const random = new Random(seed, 'pairs', done);
    yield tf.tidy(() => {
      const y = drawLabels(batch, labels, random);
      const images = generator.forward(drawNoise(batch, generator.zLength, random), y, { training: false });
      const grid = reportGenerator.decode(encoder.features(images), drawingOf(config.decoding, random));
      const reports = vocabulary.decode(grid).map(joinReport);
      return { pixels: pixelsOf(images), labels: Uint8Array.from(y.dataSync()), reports };
    });
  }
}

/** Images alone, [B, H, W, C] a batch of 0..255, for FID. */
export function* generateImages(
  model: Pick<Emixer, 'generator'>,
  options: {
    readonly count: number;
    readonly batchSize: number;
    readonly labels: LabelDistribution;
    readonly seed: number;
  },
): Generator<Uint8Array> {
  const { count, batchSize, labels, seed } = options;
  const { generator } = model;
  for (let done = 0; done < count; done += batchSize) {
    const batch = Math.min(batchSize, count - done);
    const random = new Random(seed, 'images', done);
    yield tf.tidy(() => {
      const y = drawLabels(batch, labels, random);
      return pixelsOf(generator.forward(drawNoise(batch, generator.zLength, random), y, { training: false }));
    });
  }
}
