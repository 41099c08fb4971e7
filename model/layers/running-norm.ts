/** Batch norm with running statistics and the ReLU that follows it, as DenseNet has them. */
import * as tf from '@tensorflow/tfjs-core';
import { relu, reluGradient } from './activation.ts';
import { BATCH_NORM_EPSILON, batchNorm } from './batch-norm.ts';
import { withGradient } from './custom-gradient.ts';
import type { ParameterSet } from './parameters.ts';

/** PyTorch's: the share of a new batch in the running statistics. */
const MOMENTUM = 0.1;

/**
 * Where the statistics come from: the batch, which also moves the running ones (training), or the running ones, with
 * gain and bias held fixed (a frozen network, through which gradient reaches the input only).
 */
export type NormMode = 'train' | 'frozen';

/** "<name>/gain" and "<name>/bias" [C], and the buffers "<name>/mean" and "<name>/variance" [C]. */
export class RunningNorm {
  readonly #gain: tf.Variable<tf.Rank.R1>;
  readonly #bias: tf.Variable<tf.Rank.R1>;
  readonly #mean: tf.Variable<tf.Rank.R1>;
  readonly #variance: tf.Variable<tf.Rank.R1>;

  constructor(parameters: ParameterSet, name: string, channels: number) {
    this.#gain = parameters.trainable(`${name}/gain`, tf.ones([channels])) as tf.Variable<tf.Rank.R1>;
    this.#bias = parameters.trainable(`${name}/bias`, tf.zeros([channels])) as tf.Variable<tf.Rank.R1>;
    this.#mean = parameters.buffer(`${name}/mean`, tf.zeros([channels])) as tf.Variable<tf.Rank.R1>;
    this.#variance = parameters.buffer(`${name}/variance`, tf.ones([channels])) as tf.Variable<tf.Rank.R1>;
  }

  /** relu(batch norm of x), [B, H, W, C] */
  apply(x: tf.Tensor4D, mode: NormMode): tf.Tensor4D {
    if (mode === 'frozen') return this.#frozen(x);
    const samples = x.size / (x.shape[3] || 1);
    const observe = (mean: tf.Tensor1D, variance: tf.Tensor1D) => {
      move(this.#mean, mean);
      // The running variance is the unbiased one, as PyTorch's.
      move(this.#variance, tf.mul(variance, samples / Math.max(1, samples - 1)));
    };
    return relu(batchNorm({ x, scale: this.#gain, offset: this.#bias, observe }));
  }

  #frozen(x: tf.Tensor4D): tf.Tensor4D {
    return withGradient([x], save => {
      const scale = tf.mul(this.#gain, tf.rsqrt(tf.add(this.#variance, BATCH_NORM_EPSILON)));
      const shift = tf.sub(this.#bias, tf.mul(this.#mean, scale));
      const value = tf.relu(tf.add<tf.Tensor4D>(tf.mul(x, scale), shift));
      save([value, scale]);
      const gradient = (dy: tf.Tensor4D, saved: tf.Tensor[]) => {
        const [y, factor] = saved as [tf.Tensor4D, tf.Tensor1D];
        return [tf.mul(reluGradient(dy, y), factor)];
      };
      return { value, gradient };
    });
  }
}

function move(running: tf.Variable<tf.Rank.R1>, batch: tf.Tensor1D): void {
  running.assign(tf.add(tf.mul(running, 1 - MOMENTUM), tf.mul(batch, MOMENTUM)));
}
