/** Top-p (nucleus) sampling (Holtzman et al. 2020, section 3.1). */
import * as tf from '@tensorflow/tfjs-core';

type Nucleus = {
  /** [N, V], the likeliest first; far below all others outside the nucleus. */
  readonly logits: tf.Tensor2D;
  /** [N, V] int32: the word at each place. */
  readonly words: tf.Tensor2D;
};

const OUTSIDE = -1e9;

/**
 * The smallest set of words whose probability under softmax(logits) is at least `topP`, each row on its own. Words of
 * equal probability come in the order of their ids, so that the set has one size.
 * @param logits [N, V]
 */
export function nucleus(logits: tf.Tensor2D, topP: number): Nucleus {
  return tf.tidy(() => {
    const { values, indices } = tf.topk(logits, logits.shape[1], true);
    const probabilities = tf.softmax(values);
    // A word is inside while those before it have less than topP together: the first always is.
    const before = tf.cumsum(probabilities, 1, true);
    const outside = tf.cast(tf.greaterEqual(before, topP), 'float32');
    return { logits: tf.add(values, tf.mul(outside, OUTSIDE)) as tf.Tensor2D, words: indices as tf.Tensor2D };
  });
}

/** The word [N] of each row's chosen place [N]. */
export const wordsAt = ({ words }: Nucleus, places: tf.Tensor1D): tf.Tensor1D =>
  tf.sum(tf.mul(words, tf.oneHot(places, words.shape[1], 1, 0, 'int32')), 1);
