/** Doubling and halving of an image's sides. */
import * as tf from '@tensorflow/tfjs-core';

/** 2x2 average pooling, [B, H, W, C] -> [B, H/2, W/2, C]. */
export const averagePool = (x: tf.Tensor4D): tf.Tensor4D => tf.avgPool(x, 2, 2, 'valid');

/** Nearest-neighbour upsampling, [B, H, W, C] -> [B, 2H, 2W, C]. */
export const upsample = (x: tf.Tensor4D): tf.Tensor4D =>
  tf.image.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]]);
