/** Pointwise operations whose gradients tfjs composes of many kernels, each as one. */
import * as tf from '@tensorflow/tfjs-core';
import { withGradient } from './custom-gradient.ts';
import { floatType, nativeKernel } from './native.ts';

/** max(x, 0); tfjs's own gradient takes seven kernels on the TensorFlow backend. */
export const relu = <T extends tf.Tensor>(x: T): T =>
  withGradient([x], save => {
    const value = tf.relu(x);
    save([value]);
    return { value, gradient: (dy, [y]) => [reluGradient(dy, y as tf.Tensor)] };
  });

/** dy where y = relu(x) is positive, else 0. */
export function reluGradient<T extends tf.Tensor>(dy: T, y: tf.Tensor): T {
  const kernel = nativeKernel();
  if (kernel === undefined) return tf.mul(dy, tf.step(y));
  return kernel('ReluGrad', [floatType()], [dy, y], 1)[0] as T;
}

/** a + b of one shape; tfjs's own gradient reshapes twice. */
export const residual = <T extends tf.Tensor>(a: T, b: T): T =>
  withGradient([a, b], () => ({ value: tf.add<T>(a, b), gradient: dy => [tf.clone(dy), tf.clone(dy)] }));

/** x [..., C] + bias [C] */
export function addBias<T extends tf.Tensor>(x: T, bias: tf.Tensor): T {
  const kernel = nativeKernel();
  if (kernel === undefined) return tf.add(x, bias);
  return withGradient([x, bias], () => ({
    value: kernel('BiasAdd', [floatType()], [x, bias], 1)[0] as T,
    gradient: dy => [tf.clone(dy), kernel('BiasAddGrad', [floatType()], [dy], 1)[0] as tf.Tensor],
  }));
}
