/** Rows of a matrix by index. */
import * as tf from '@tensorflow/tfjs-core';
import { withGradient } from './custom-gradient.ts';

/**
 * rows [N, D] of table [R, D]; an index may come more than once, and its gradients add up. (tf.gather's own gradient
 * transposes and reshapes around the same sum.)
 */
export function gatherRows(table: tf.Tensor2D, indices: Int32Array): tf.Tensor2D {
  const rows = table.shape[0];
  return withGradient<tf.Tensor2D>([table], save => {
    const ids = tf.tensor1d(indices, 'int32');
    save([ids]);
    const gradient = (dy: tf.Tensor, saved: tf.Tensor[]) => [tf.unsortedSegmentSum(dy, saved[0] as tf.Tensor1D, rows)];
    return { value: tf.gather(table, ids), gradient };
  });
}
