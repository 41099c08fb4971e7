/** The same few samples at every time of a training: for each label, images of fixed z, and what F writes about them. */
import * as tf from '@tensorflow/tfjs-core';
import type { Emixer } from '../emixer/emixer.ts';
import { drawingOf } from '../emixer/report-sampling.ts';
import { LABELS } from '../labels.ts';
import { Random } from '../random.ts';
import { joinReport } from '../text/report-cleaner.ts';
import { drawNoise, pixelsOf } from '../training/tensors.ts';

export interface SampleRow {
  readonly label: string;
  /** [samples, H, W, C], 0..255. */
  readonly pixels: Uint8Array;
  readonly reports: readonly string[];
}

/** One row a label, `samples` images each; a label's row differs from the others' in y alone. G must have been made standing. */
export function sampleSheet(model: Emixer, samples: number, seed: number): SampleRow[] {
  const { config, generator, encoder, reportGenerator, vocabulary } = model;
  return LABELS.map((label, k) => {
    // Images of one column share z. What F draws does not: equal reports then say something about F.
    const noise = new Random(seed, 'sheet', 'z');
    const random = new Random(seed, 'sheet', 'words', k);
    return tf.tidy(() => {
      const z = drawNoise(samples, generator.zLength, noise);
      const row = LABELS.map((_, i) => Number(i === k));
      const y = tf.tensor2d(Array.from({ length: samples }, () => row));
      const images = generator.forward(z, y, { training: false });
      const grid = reportGenerator.decode(encoder.features(images), drawingOf(config.decoding, random));
      return { label, pixels: pixelsOf(images), reports: vocabulary.decode(grid).map(joinReport) };
    });
  });
}
