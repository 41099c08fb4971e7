/** Batch norm whose gain and bias are linear in a condition (BigGAN), followed by ReLU. */
import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '#model/random.ts';
import { BATCH_NORM_EPSILON, batchNorm } from './batch-norm.ts';
import { Linear } from './linear.ts';
import { modulate } from './modulate.ts';
import type { SpectralNorm, SpectralWeights } from './spectral-norm.ts';
import { StandingStatistics, type Statistics } from './standing-statistics.ts';

/** relu(standardised x * (1 + Wg c) + Wb c) with "<name>/gain/kernel" and "<name>/bias/kernel" [condition, C]. */
export class ConditionalBatchNorm {
  readonly #features: number;
  readonly #gain: Linear;
  readonly #bias: Linear;
  readonly #standing: StandingStatistics;

  constructor(
    spectral: SpectralNorm,
    name: string,
    shape: { readonly features: number; readonly condition: number },
    random: Random,
  ) {
    const linear = { inputs: shape.condition, outputs: shape.features, bias: false };
    this.#features = shape.features;
    this.#gain = new Linear(spectral, `${name}/gain`, linear, random);
    this.#bias = new Linear(spectral, `${name}/bias`, linear, random);
    this.#standing = new StandingStatistics(spectral.parameters, name, shape.features);
  }

  /** x [B, H, W, C], condition [B, condition] -> [B, H, W, C] */
  apply(x: tf.Tensor4D, condition: tf.Tensor2D, weights: SpectralWeights, statistics: Statistics): tf.Tensor4D {
    const gain = tf.add<tf.Tensor2D>(this.#gain.apply(condition, weights), 1);
    const bias = this.#bias.apply(condition, weights);
    if (statistics === 'standing') {
      const { mean, variance } = this.#standing;
      const scale = tf.mul<tf.Tensor2D>(gain, tf.rsqrt(tf.add(variance, BATCH_NORM_EPSILON)));
      return modulate(x, scale, tf.sub(bias, tf.mul(mean, scale)));
    }
    const features = this.#features;
    const observe = this.#standing.observer(statistics);
    return modulate(batchNorm({ x, scale: tf.ones([features]), offset: tf.zeros([features]), observe }), gain, bias);
  }
}
