/** Gradient clipping by the global norm (Pascanu et al. 2013). */
import * as tf from '@tensorflow/tfjs-core';

/** The L2 norm of all tensors together, []. */
export const globalNorm = (tensors: readonly tf.Tensor[]): tf.Scalar =>
  tf.sqrt(tf.addN(tensors.map(tensor => tf.sum(tf.square(tensor))))) as tf.Scalar;

/** Scales tensors by min(1, maxNorm / norm), norm the L2 norm of all of them together. */
export function clipByGlobalNorm<T extends tf.Tensor>(tensors: readonly T[], maxNorm: number): T[] {
  return tf.tidy(() => {
    const factor = tf.minimum(tf.div(maxNorm, tf.maximum(globalNorm(tensors), 1e-12)), 1);
    return tensors.map(tensor => tf.mul<T>(tensor, factor));
  });
}
