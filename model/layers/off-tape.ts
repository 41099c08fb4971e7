/** Computing inside a gradient function what no gradient passes through. */
import * as tf from '@tensorflow/tfjs-core';

/**
 * Runs `compute` without recording it: a loop on the tape keeps every tensor it ever made. A custom gradient's forward
 * function is not recorded, and one without inputs is a constant.
 */
export const offTape = <T extends tf.Tensor>(compute: () => T): T =>
  tf.customGrad(() => ({ value: compute(), gradFunc: () => [] }))() as T;

/** The same for several tensors by name, whatever else `compute` makes being freed. */
export function offTapeAll<T extends Readonly<Record<string, tf.Tensor>>>(compute: () => T): T {
  let kept: T | undefined;
  offTape(() => {
    kept = compute();
    for (const tensor of Object.values(kept)) tf.keep(tensor);
    return tf.scalar(0);
  }).dispose();
  // Kept through the function's own scope, they belong to the caller's now.
  return Object.fromEntries(
    Object.entries(kept as T).map(([name, tensor]) => {
      const handed = tf.clone(tensor);
      tensor.dispose();
      return [name, handed];
    }),
  ) as T;
}
