/** Doubling and halving of an image's sides. */
import * as tf from '@tensorflow/tfjs-core';
import { withGradient } from './custom-gradient.ts';

/** 2x2 average pooling, [B, H, W, C] -> [B, H/2, W/2, C]. */
export const averagePool = (x: tf.Tensor4D): tf.Tensor4D => tf.avgPool(x, 2, 2, 'valid');

/**
 * Nearest-neighbour upsampling, [B, H, W, C] -> [B, 2H, 2W, C]. Its gradient, the sum over each 2x2 box, is taken as
 * four times the average: TensorFlow's own is slow on the CPU and adds in any order on a GPU.
 */
export const upsample = (x: tf.Tensor4D): tf.Tensor4D =>
  withGradient([x], () => ({
    value: tf.image.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]]),
    gradient: dy => [tf.mul(averagePool(dy), 4)],
  }));
