/** Rows of a matrix by index. */
import * as tf from '@tensorflow/tfjs-core';
import { executeOp, hasNativeOps, opAttr } from '#model/backend/execute-op.ts';
import { withGradient } from './custom-gradient.ts';

/** Whole numbers [N]; where a step is compiled they are a tensor, since an array would be a constant of the graph. */
export type Ids = Int32Array | tf.Tensor1D;

export const idTensor = (ids: Ids): tf.Tensor1D => (ids instanceof tf.Tensor ? ids : tf.tensor1d(ids, 'int32'));

/**
 * rows [N, D] of table [R, D]; an index may come more than once, and its gradients add up. (tf.gather's own gradient
 * transposes and reshapes around the same sum.)
 */
export function gatherRows(table: tf.Tensor2D, indices: Ids): tf.Tensor2D {
  const rows = table.shape[0];
  return withGradient<tf.Tensor2D>([table], save => {
    const ids = idTensor(indices);
    save([ids]);
    const gradient = (dy: tf.Tensor, saved: tf.Tensor[]) => [tf.unsortedSegmentSum(dy, saved[0] as tf.Tensor1D, rows)];
    return { value: gathered(table, ids), gradient };
  });
}

/** tf.gather reads its indices to check them, which a compiled step may not; TensorFlow's kernel checks them itself. */
const gathered = (table: tf.Tensor2D, ids: tf.Tensor1D): tf.Tensor2D =>
  hasNativeOps()
    ? (executeOp('GatherV2', gatherTypes, [table, ids, tf.scalar(0, 'int32')])[0] as tf.Tensor2D)
    : tf.gather(table, ids);

const gatherTypes = [
  opAttr.int('batch_dims', 0),
  opAttr.type('Tparams', 'float32'),
  opAttr.type('Tindices', 'int32'),
  opAttr.type('Taxis', 'int32'),
];
