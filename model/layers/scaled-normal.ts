/** Normal starting values whose size follows from what they are multiplied with. */
import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '#model/random.ts';

/** Normal with mean 0 and the given variance, drawn from a seeded stream. */
export function scaledNormal(shape: readonly number[], variance: number, random: Random): tf.Tensor {
  const deviation = Math.sqrt(variance);
  const size = shape.reduce((product, side) => product * side, 1);
  return tf.tensor(
    random.normals(size).map(value => value * deviation),
    [...shape],
  );
}

/**
 * Variance times fan-in of what reads an LSTM's h, or feeds one. h is well below 1 (a sigmoid times a tanh), so with 1
 * every layer would shrink the signal: on the reports of Open-i, F then needs more than
 * three times the steps to the same perplexity.
 */
export const LSTM_GAIN = 3;
