/** G made ready for sampling: spectral norms that belong to its weights, and standing batch-norm statistics. */
import * as tf from '@tensorflow/tfjs-core';
import type { ImageGenerator } from '../emixer/image-generator.ts';
import { Random } from '../random.ts';
import { drawLabels, drawNoise } from '../training/tensors.ts';
import type { LabelDistribution } from './label-distribution.ts';

/**
 * Averaged weights come without u vectors. From any u, power iteration is within some 1 % of the spectral norm after this
 * many, even of weights whose singular values lie close together, as orthogonal starting values have them. In training one
 * a step is enough, because the weights hardly move.
 */
const POWER_ITERATIONS = 16;

/** Averages G's batch statistics over `batches` forward passes (BigGAN's standing statistics). */
export function makeStanding(
  generator: ImageGenerator,
  options: {
    readonly batches: number;
    readonly batchSize: number;
    readonly labels: LabelDistribution;
    readonly seed: number;
  },
): void {
  const { batches, batchSize, labels, seed } = options;
  for (let n = 0; n < POWER_ITERATIONS; n++) generator.beginStep();
  generator.resetStanding();
  for (let n = 0; n < batches; n++) {
    const random = new Random(seed, 'standing', n);
    tf.tidy(() => {
      const z = drawNoise(batchSize, generator.zLength, random);
      generator.accumulateStanding(z, drawLabels(batchSize, labels, random));
    });
  }
}
