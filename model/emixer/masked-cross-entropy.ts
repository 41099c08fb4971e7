/** The cross-entropy of rows of logits, some of which count. */
import * as tf from '@tensorflow/tfjs-core';
import { withGradient } from '#model/layers/custom-gradient.ts';
import type { Ids } from '#model/layers/gather-rows.ts';
import { oneHotRows } from '#model/layers/one-hot.ts';

/**
 * Sum over n of weights[n] * -log softmax(logits[n])[targets[n]], in nats.
 * @param logits [N, K]
 * @param targets [N]; rows of weight 0 may hold any id
 * @param weights [N]
 */
export function crossEntropySum(logits: tf.Tensor2D, targets: Ids, weights: Float32Array | tf.Tensor1D): tf.Scalar {
  return withGradient<tf.Scalar>([logits], save => {
    const logProbabilities = tf.logSoftmax(logits);
    const [rows, classes] = logits.shape;
    // weights[n] at target n, 0 elsewhere
    const each = weights instanceof tf.Tensor ? tf.reshape(weights, [rows, 1]) : tf.tensor2d(weights, [rows, 1]);
    const wanted = tf.mul(oneHotRows(targets, classes), each);
    save([logProbabilities, wanted, each]);
    const gradient = (dy: tf.Scalar, saved: tf.Tensor[]) => {
      const [logP, target, weight] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const expected = tf.mul(tf.exp(logP), weight);
      return [tf.mul(tf.sub(expected, target), dy)];
    };
    return { value: tf.neg(tf.sum(tf.mul(wanted, logProbabilities))), gradient };
  });
}
