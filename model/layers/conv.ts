/** Spectrally normalised convolutions, and the two that change the resolution at less than half the price. */
import * as tf from '@tensorflow/tfjs-core';
import { hasNativeOps } from '#model/backend/execute-op.ts';
import type { Random } from '#model/random.ts';
import { addBias } from './activation.ts';
import { orthogonal } from './initialisers.ts';
import { averagePool, upsample } from './resampling.ts';
import type { SpectralNorm, SpectralWeights } from './spectral-norm.ts';

export interface ConvShape {
  readonly inputs: number;
  readonly outputs: number;
  readonly size: 1 | 3;
  readonly bias: boolean;
}

/** A convolution of stride 1 with zero padding: "<name>/kernel" [size, size, in, out], "<name>/bias" [out]. */
export class Conv {
  readonly #kernel: string;
  readonly #shape: ConvShape;
  readonly #bias: tf.Variable | undefined;

  constructor(spectral: SpectralNorm, name: string, shape: ConvShape, random: Random) {
    this.#kernel = `${name}/kernel`;
    this.#shape = shape;
    spectral.add(this.#kernel, orthogonal([shape.size, shape.size, shape.inputs, shape.outputs], random));
    this.#bias = shape.bias ? spectral.parameters.trainable(`${name}/bias`, tf.zeros([shape.outputs])) : undefined;
  }

  /** [B, H, W, in] -> [B, H, W, out] */
  apply(x: tf.Tensor4D, weights: SpectralWeights): tf.Tensor4D {
    return this.#biased(tf.conv2d(x, this.#weight(weights), 1, 'same'));
  }

  /**
   * 2x2 average pooling of the 3x3 convolution, [B, H, W, in] -> [B, H/2, W/2, out], as one 4x4 convolution of
   * stride 2: the same function with 4 instead of 9 multiply-adds an input pixel.
   */
  applyThenPool(x: tf.Tensor4D, weights: SpectralWeights): tf.Tensor4D {
    if (!stridesAreCheap()) return averagePool(this.apply(x, weights));
    return this.#biased(tf.conv2d(x, widened(this.#weight(weights), 1 / 4), 2, 'same'));
  }

  /**
   * The 3x3 convolution of x upsampled to its double by nearest neighbours, [B, H, W, in] -> [B, 2H, 2W, out], as one
   * 4x4 transposed convolution of stride 2: the same function with 4 instead of 9 multiply-adds an output pixel.
   */
  upsampleThenApply(x: tf.Tensor4D, weights: SpectralWeights): tf.Tensor4D {
    if (!stridesAreCheap()) return this.apply(upsample(x), weights);
    const [batch, height, width] = x.shape;
    // A transposed convolution walks its kernel backwards, and has the output channels before the input channels.
    const kernel = tf.transpose(widened(this.#weight(weights), 1, true), [0, 1, 3, 2]);
    const size: [number, number, number, number] = [batch, 2 * height, 2 * width, this.#shape.outputs];
    return this.#biased(tf.conv2dTranspose(x, kernel, size, 2, 'same'));
  }

  #weight = (weights: SpectralWeights): tf.Tensor4D => weights.get(this.#kernel) as tf.Tensor4D;

  #biased = (x: tf.Tensor4D): tf.Tensor4D => (this.#bias === undefined ? x : addBias(x, this.#bias));
}

/** The wasm backend fills strides with zeros and multiplies them. */
const stridesAreCheap = hasNativeOps;

/** Row t of the 4-tap kernel is the sum of these rows of the 3-tap kernel: its convolution with a box of two. */
const TAPS: readonly (readonly number[])[] = [[0], [0, 1], [1, 2], [2]];

/** [3, 3, in, out] -> [4, 4, in, out]: the kernel spread over a 2x2 box and scaled, mirrored if asked. */
function widened(kernel: tf.Tensor4D, scale: number, mirrored = false): tf.Tensor4D {
  const taps = mirrored ? TAPS.toReversed() : TAPS;
  const [, , inputs, outputs] = kernel.shape;
  const spread = taps.flatMap(rows =>
    taps.map(columns =>
      Array.from({ length: 9 }, (_, k) => (rows.includes(Math.floor(k / 3)) && columns.includes(k % 3) ? scale : 0)),
    ),
  );
  const flat = tf.reshape(kernel, [9, inputs * outputs]);
  return tf.reshape(tf.matMul(tf.tensor2d(spread, [16, 9]), flat as tf.Tensor2D), [4, 4, inputs, outputs]);
}
