/** A convolution without spectral normalisation and without bias, as dense networks have them before a batch norm. */
import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '#model/random.ts';
import type { ParameterSet } from './parameters.ts';
import { scaledNormal } from './scaled-normal.ts';

export interface PlainConvShape {
  readonly inputs: number;
  readonly outputs: number;
  readonly size: number;
  readonly stride: 1 | 2;
}

export class PlainConv {
  readonly #kernel: tf.Variable<tf.Rank.R4>;
  readonly #shape: PlainConvShape;

  /** Registers "<name>/kernel" [size, size, in, out], normal with the variance 2 / fan-in that ReLU asks for (He et al. 2015). */
  constructor(parameters: ParameterSet, name: string, shape: PlainConvShape, random: Random) {
    const { inputs, outputs, size } = shape;
    this.#shape = shape;
    const initial = scaledNormal([size, size, inputs, outputs], 2 / (size * size * inputs), random);
    this.#kernel = parameters.trainable(`${name}/kernel`, initial) as tf.Variable<tf.Rank.R4>;
  }

  /**
   * [B, H, W, in] -> [B, ceil(H / stride), ceil(W / stride), out] for even sides. The padding is (size - 1) / 2 on every
   * side, as PyTorch's weights expect: TensorFlow's 'same' pads one side more when the stride is 2.
   */
  apply(x: tf.Tensor4D): tf.Tensor4D {
    const { size, stride } = this.#shape;
    return stride === 1 || size === 1
      ? tf.conv2d(x, this.#kernel, stride, 'same')
      : tf.conv2d(padded(x, (size - 1) / 2), this.#kernel, stride, 'valid');
  }
}

/** Zeros around an image, the same on every side. */
export const padded = (x: tf.Tensor4D, side: number): tf.Tensor4D =>
  tf.pad(x, [
    [0, 0],
    [side, side],
    [side, side],
    [0, 0],
  ]);
