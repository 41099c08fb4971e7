/** Ids as one-hot rows. */
import * as tf from '@tensorflow/tfjs-core';

/** [N, depth] float32. (tf.oneHot of float32 writes integers' bits on wasm, so it is asked for integers.) */
export const oneHotRows = (ids: Int32Array, depth: number): tf.Tensor2D =>
  tf.cast(tf.oneHot(tf.tensor1d(ids, 'int32'), depth) as tf.Tensor2D, 'float32');
