/** Gumbel-softmax (Jang et al. 2017; Maddison et al. 2017) with straight-through gradients. */
import * as tf from '@tensorflow/tfjs-core';
import { executeOp, hasNativeOps, opAttr } from '#model/backend/execute-op.ts';
import { withGradient } from '#model/layers/custom-gradient.ts';
import type { Ids } from '#model/layers/gather-rows.ts';
import { oneHotRows } from '#model/layers/one-hot.ts';
import type { Random } from '#model/random.ts';

/**
 * The inverse temperature after `step` of `total` steps, betaMax^(step / total): 1 at the start, betaMax at the end
 * (RelGAN, Nie et al. 2019, section 3.3).
 */
export const gumbelBeta = (step: number, total: number, betaMax: number): number =>
  betaMax ** (total <= 0 ? 1 : Math.min(1, step / total));

/** Keeps both logarithms finite: the uniform kernel's values are multiples of 2^-23 in [0, 1). */
const SMALLEST = 2 ** -24;

/** -log(-log(u)), u uniform: argmax(logits + noise) is a draw from softmax(logits). The stream decides every value. */
export const gumbelNoise = (rows: number, columns: number, random: Random): tf.Tensor2D =>
  gumbelOf(
    hasNativeOps()
      ? nativeUniform(rows, columns, tf.tensor1d(random.seedPair(), 'int32'))
      : plainUniform(rows, columns, random),
  );

/** The same noise, where TensorFlow makes it, from the stream's next seed pair [2] as a tensor. */
export const seededGumbelNoise = (rows: number, columns: number, seed: tf.Tensor1D): tf.Tensor2D =>
  gumbelOf(nativeUniform(rows, columns, seed));

const gumbelOf = (uniform: tf.Tensor2D): tf.Tensor2D =>
  tf.neg(tf.log(tf.neg(tf.log(tf.maximum<tf.Tensor2D>(uniform, SMALLEST)))));

function plainUniform(rows: number, columns: number, random: Random): tf.Tensor2D {
  const values = Float32Array.from({ length: rows * columns }, () => (random.uint32() >>> 9) / 2 ** 23);
  return tf.tensor2d(values, [rows, columns]);
}

const nativeUniform = (rows: number, columns: number, seed: tf.Tensor1D): tf.Tensor2D =>
  executeOp('StatelessRandomUniform', uniformTypes, [tf.tensor1d([rows, columns], 'int32'), seed])[0] as tf.Tensor2D;

const uniformTypes = [opAttr.type('dtype', 'float32'), opAttr.type('T', 'int32'), opAttr.type('Tseed', 'int32')];

/**
 * Exactly one-hot rows [N, V] forward, the gradient of softmax((logits + noise) * beta) backward (Bengio et al. 2013).
 * @param logits [N, V]
 * @param noise [N, V], the Gumbel noise that `chosen` was drawn with; a large negative value forbids a word
 * @param chosen [N], argmax(logits + noise)
 */
export function straightThrough(
  logits: tf.Tensor2D,
  noise: tf.Tensor2D,
  chosen: Ids,
  beta: number | tf.Scalar,
): tf.Tensor2D {
  const soft = softWords(logits, noise, beta);
  return withGradient<tf.Tensor2D>([soft], () => ({
    value: oneHotRows(chosen, soft.shape[1]),
    gradient: dy => [tf.clone(dy)],
  }));
}

/** softmax((logits + noise) * beta) */
export const softWords = (logits: tf.Tensor2D, noise: tf.Tensor2D, beta: number | tf.Scalar): tf.Tensor2D =>
  tf.softmax(tf.mul<tf.Tensor2D>(tf.add(logits, noise), beta));
