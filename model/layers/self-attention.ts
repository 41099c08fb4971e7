/** Self-attention over the places of an image (SAGAN, Zhang et al. 2018, in BigGAN's form). */
import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '#model/random.ts';
import { attention } from './attention.ts';
import { Conv } from './conv.ts';
import type { SpectralNorm, SpectralWeights } from './spectral-norm.ts';

/** x + gamma * attention(x); gamma starts at 0, so that the block starts as the identity. */
export class SelfAttention {
  readonly #theta: Conv;
  readonly #phi: Conv;
  readonly #g: Conv;
  readonly #output: Conv;
  readonly #gamma: tf.Variable;

  /** Registers "<name>/theta", "phi", "g", "output" (1x1, no biases) and the scalar "gamma". */
  constructor(spectral: SpectralNorm, name: string, channels: number, random: Random) {
    const conv = (part: string, inputs: number, outputs: number) =>
      new Conv(spectral, `${name}/${part}`, { inputs, outputs, size: 1, bias: false }, random);
    this.#theta = conv('theta', channels, channels / 8);
    this.#phi = conv('phi', channels, channels / 8);
    this.#g = conv('g', channels, channels / 2);
    this.#output = conv('output', channels / 2, channels);
    this.#gamma = spectral.parameters.trainable(`${name}/gamma`, tf.scalar(0));
  }

  /** [B, H, W, C] -> [B, H, W, C] */
  apply(x: tf.Tensor4D, weights: SpectralWeights): tf.Tensor4D {
    const [batch, height, width] = x.shape;
    const places = (t: tf.Tensor4D) => tf.reshape<tf.Rank.R3>(t, [batch, -1, t.shape[3]]);
    const pooled = (t: tf.Tensor4D) => places(tf.maxPool(t, 2, 2, 'valid'));
    const query = places(this.#theta.apply(x, weights)); // [B, HW, C/8]
    const key = pooled(this.#phi.apply(x, weights)); // [B, HW/4, C/8]
    const value = pooled(this.#g.apply(x, weights)); // [B, HW/4, C/2]
    const attended = tf.reshape(attention(query, key, value), [batch, height, width, -1]) as tf.Tensor4D;
    return tf.add(x, tf.mul(this.#output.apply(attended, weights), this.#gamma));
  }
}
