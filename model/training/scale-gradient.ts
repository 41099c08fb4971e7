/** The identity, with its gradient scaled: how much of the text half's wishes reaches G. */
import * as tf from '@tensorflow/tfjs-core';
import { withGradient } from '../layers/custom-gradient.ts';

export function scaleGradient<T extends tf.Tensor>(x: T, factor: number): T {
  if (factor === 1) return x;
  return withGradient<T>([x], () => ({ value: tf.clone(x), gradient: dy => [tf.mul(dy, factor)] }));
}
