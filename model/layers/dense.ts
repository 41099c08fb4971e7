/** A dense layer without spectral normalisation, as the report generator has them. */
import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '#model/random.ts';
import { addBias } from './activation.ts';
import { orthogonal } from './initialisers.ts';
import type { LinearShape } from './linear.ts';
import type { ParameterSet } from './parameters.ts';

/** x W + b with "<name>/kernel" [in, out] and "<name>/bias" [out]. */
export class Dense {
  readonly #kernel: tf.Variable;
  readonly #bias: tf.Variable | undefined;

  constructor(parameters: ParameterSet, name: string, { inputs, outputs, bias }: LinearShape, random: Random) {
    this.#kernel = parameters.trainable(`${name}/kernel`, orthogonal([inputs, outputs], random));
    this.#bias = bias ? parameters.trainable(`${name}/bias`, tf.zeros([outputs])) : undefined;
  }

  /** [B, in] -> [B, out] */
  apply(x: tf.Tensor2D): tf.Tensor2D {
    const product = tf.matMul<tf.Tensor2D>(x, this.#kernel);
    return this.#bias === undefined ? product : addBias(product, this.#bias);
  }
}
