/** Computing inside a gradient function what no gradient passes through. */
import * as tf from '@tensorflow/tfjs-core';

/**
 * Runs `compute` without recording it: a loop on the tape keeps every tensor it ever made. A custom gradient's forward
 * function is not recorded, and one without inputs is a constant.
 */
export const offTape = <T extends tf.Tensor>(compute: () => T): T =>
  tf.customGrad(() => ({ value: compute(), gradFunc: () => [] }))() as T;
