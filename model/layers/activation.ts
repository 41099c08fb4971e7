/** Pointwise operations whose gradients tfjs composes of many kernels, each as one. */
import * as tf from '@tensorflow/tfjs-core';
import { executeOp, hasNativeOps, opAttr } from '#model/backend/execute-op.ts';
import { withGradient } from './custom-gradient.ts';

const float = [opAttr.type('T', 'float32')];

/** max(x, 0); tfjs's own gradient takes seven kernels on the TensorFlow backend. */
export const relu = <T extends tf.Tensor>(x: T): T =>
  withGradient([x], save => {
    const value = tf.relu(x);
    save([value]);
    return { value, gradient: (dy, [y]) => [reluGradient(dy, y as tf.Tensor)] };
  });

/** dy where y = relu(x) is positive, else 0. */
export function reluGradient<T extends tf.Tensor>(dy: T, y: tf.Tensor): T {
  return hasNativeOps() ? (executeOp('ReluGrad', float, [dy, y])[0] as T) : tf.mul(dy, tf.step(y));
}

/** a + b of one shape; tfjs's own gradient reshapes twice. */
export const residual = <T extends tf.Tensor>(a: T, b: T): T =>
  withGradient([a, b], () => ({ value: tf.add<T>(a, b), gradient: dy => [tf.clone(dy), tf.clone(dy)] }));

/** x [..., C] + bias [C] */
export function addBias<T extends tf.Tensor>(x: T, bias: tf.Tensor): T {
  if (!hasNativeOps()) return tf.add(x, bias);
  return withGradient([x, bias], () => ({
    value: executeOp('BiasAdd', float, [x, bias])[0] as T,
    gradient: dy => [tf.clone(dy), executeOp('BiasAddGrad', float, [dy])[0] as tf.Tensor],
  }));
}
