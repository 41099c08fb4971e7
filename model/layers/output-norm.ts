/** The generator's last batch norm: a plain gain and bias, followed by ReLU. */
import * as tf from '@tensorflow/tfjs-core';
import { relu } from './activation.ts';
import { BATCH_NORM_EPSILON, batchNorm } from './batch-norm.ts';
import type { ParameterSet } from './parameters.ts';
import { StandingStatistics, type Statistics } from './standing-statistics.ts';

/** relu(batch norm) with "<name>/gain" and "<name>/bias" [C]. */
export class OutputNorm {
  readonly #gain: tf.Variable<tf.Rank.R1>;
  readonly #bias: tf.Variable<tf.Rank.R1>;
  readonly #standing: StandingStatistics;

  constructor(parameters: ParameterSet, name: string, features: number) {
    this.#gain = parameters.trainable(`${name}/gain`, tf.ones([features])) as tf.Variable<tf.Rank.R1>;
    this.#bias = parameters.trainable(`${name}/bias`, tf.zeros([features])) as tf.Variable<tf.Rank.R1>;
    this.#standing = new StandingStatistics(parameters, name, features);
  }

  /** [B, H, W, C] -> [B, H, W, C] */
  apply(x: tf.Tensor4D, statistics: Statistics): tf.Tensor4D {
    if (statistics === 'standing') {
      const { mean, variance } = this.#standing;
      const scale = tf.mul(this.#gain, tf.rsqrt(tf.add(variance, BATCH_NORM_EPSILON)));
      return relu(tf.add(tf.mul(x, scale), tf.sub(this.#bias, tf.mul(mean, scale))));
    }
    const observe = this.#standing.observer(statistics);
    return relu(batchNorm({ x, scale: this.#gain, offset: this.#bias, observe }));
  }
}
