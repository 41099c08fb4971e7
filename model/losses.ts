/**
 * The losses. Every one is to be MINIMISED by the network it is named after; logits are high for real. (The paper
 * prints the rotation terms with the sign of a log-likelihood to be maximised; here they are cross-entropies.)
 */
import * as tf from '@tensorflow/tfjs-core';

export interface AdversarialLoss {
  /** L_D from the logits of real and of fake samples, any shapes. */
  discriminator(real: tf.Tensor, fake: tf.Tensor): tf.Scalar;
  /** L_G from the logits of fake samples. */
  generator(fake: tf.Tensor): tf.Scalar;
}

/** mean max(0, 1 - real) + mean max(0, 1 + fake); -mean fake (Lim & Ye 2017). */
export const hinge: AdversarialLoss = {
  discriminator: (real, fake) => tf.add(tf.mean(tf.relu(tf.sub(1, real))), tf.mean(tf.relu(tf.add(1, fake)))),
  generator: fake => tf.neg(tf.mean(fake)),
};

/** -mean log s(real) - mean log(1 - s(fake)); -mean log s(fake), s the logistic function (Goodfellow et al. 2014). */
export const nonSaturating: AdversarialLoss = {
  discriminator: (real, fake) => tf.add(tf.mean(tf.softplus(tf.neg(real))), tf.mean(tf.softplus(fake))),
  generator: fake => tf.mean(tf.softplus(tf.neg(fake))),
};

/**
 * Cross-entropy of the rotation head.
 * @param logits [4 n, 4]: n images at 0, then the same at 90, 180 and 270 degrees (emixer/rotation.ts)
 */
export function rotationLoss(logits: tf.Tensor2D): tf.Scalar {
  const each = logits.shape[0] / 4;
  const targets = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: 4 * each }, (_, i) => Math.floor(i / each)),
      'int32',
    ),
    4,
  );
  return tf.neg(tf.mean(tf.sum(tf.mul(tf.cast(targets, 'float32'), tf.logSoftmax(logits)), 1)));
}

/**
 * Binary cross-entropy averaged over the entries that have a label; 0 where none has.
 * @param logits [B, K]
 * @param targets [B, K], 0 or 1
 * @param known [B, K], 1 where there is a label, 0 where it is missing or uncertain
 */
export function maskedBinaryLoss(logits: tf.Tensor2D, targets: tf.Tensor2D, known: tf.Tensor2D): tf.Scalar {
  // softplus(x) - t x = -t log s(x) - (1 - t) log(1 - s(x)), without overflow.
  const each = tf.sub(tf.softplus(logits), tf.mul(targets, logits));
  return tf.div(tf.sum(tf.mul(each, known)), tf.maximum(tf.sum(known), 1));
}
