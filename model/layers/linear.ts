/** A spectrally normalised dense layer. */
import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '#model/random.ts';
import { addBias } from './activation.ts';
import { orthogonal } from './initialisers.ts';
import type { SpectralNorm, SpectralWeights } from './spectral-norm.ts';

export interface LinearShape {
  readonly inputs: number;
  readonly outputs: number;
  readonly bias: boolean;
}

/** x W / sigma(W) + b with "<name>/kernel" [in, out] and "<name>/bias" [out]. */
export class Linear {
  readonly #kernel: string;
  readonly #bias: tf.Variable | undefined;

  constructor(spectral: SpectralNorm, name: string, { inputs, outputs, bias }: LinearShape, random: Random) {
    this.#kernel = `${name}/kernel`;
    spectral.add(this.#kernel, orthogonal([inputs, outputs], random));
    this.#bias = bias ? spectral.parameters.trainable(`${name}/bias`, tf.zeros([outputs])) : undefined;
  }

  /** [B, in] -> [B, out] */
  apply(x: tf.Tensor2D, weights: SpectralWeights): tf.Tensor2D {
    const product = tf.matMul<tf.Tensor2D>(x, weights.get(this.#kernel) as tf.Tensor2D);
    return this.#bias === undefined ? product : addBias(product, this.#bias);
  }
}
