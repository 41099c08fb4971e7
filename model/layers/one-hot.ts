/** Ids as one-hot rows. */
import * as tf from '@tensorflow/tfjs-core';
import { type Ids, idTensor } from './gather-rows.ts';

/** [N, depth] float32. (tf.oneHot of float32 writes integers' bits on wasm, so it is asked for integers.) */
export const oneHotRows = (ids: Ids, depth: number): tf.Tensor2D =>
  tf.cast(tf.oneHot(idTensor(ids), depth) as tf.Tensor2D, 'float32');
