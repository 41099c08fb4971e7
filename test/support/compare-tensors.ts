import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

/** A tensor of seeded normals, for comparisons. */
export function normals(shape: number[], random: { normals(length: number): Float32Array }): tf.Tensor {
  return tf.tensor(random.normals(shape.reduce((product, side) => product * side, 1)), shape);
}

/** Every element within `tolerance` of the expected one, relative to the expected tensor's largest. */
export function expectClose(actual: tf.Tensor, expected: tf.Tensor, tolerance: number): void {
  expect(actual.shape).toEqual(expected.shape);
  const wanted = expected.dataSync<'float32'>();
  const scale = wanted.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-30);
  const worst = actual.dataSync<'float32'>().reduce((max, value, i) => {
    const difference = Math.abs(value - (wanted[i] as number));
    return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(max, difference);
  }, 0);
  expect(worst / scale).toBeLessThan(tolerance);
}

/** Value and gradients of two functions agree, for a random direction of the output. */
export function expectSameFunction(
  actual: (...inputs: tf.Tensor[]) => tf.Tensor,
  expected: (...inputs: tf.Tensor[]) => tf.Tensor,
  inputs: tf.Tensor[],
  direction: tf.Tensor,
  tolerance = 1e-4,
): void {
  const a = tf.valueAndGrads(actual)(inputs, direction);
  const e = tf.valueAndGrads(expected)(inputs, direction);
  expectClose(a.value, e.value, tolerance);
  for (const [i, grad] of e.grads.entries()) expectClose(a.grads[i] as tf.Tensor, grad, tolerance);
}
