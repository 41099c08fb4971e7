/** Batch normalisation over the batch's own statistics: TensorFlow's fused kernel, and the same in plain operations. */
import * as tf from '@tensorflow/tfjs-core';
import { executeOp, hasNativeOps, opAttr } from '#model/backend/execute-op.ts';
import { withGradient } from './custom-gradient.ts';

export const BATCH_NORM_EPSILON = 1e-5;

export interface BatchNormInputs {
  /** [B, H, W, C] */
  readonly x: tf.Tensor4D;
  /** [C] */
  readonly scale: tf.Tensor1D;
  /** [C] */
  readonly offset: tf.Tensor1D;
  /** Is told the batch's mean and (biased) variance, both [C]; they live as long as the caller's tidy. */
  readonly observe?: ((mean: tf.Tensor1D, variance: tf.Tensor1D) => void) | undefined;
}

/** (x - mean) / sqrt(variance + epsilon) * scale + offset, [B, H, W, C], by the fastest way of the backend. */
export const batchNorm = (inputs: BatchNormInputs): tf.Tensor4D =>
  hasNativeOps() ? fusedBatchNorm(inputs) : composedBatchNorm(inputs);

/** The same in operations of every backend, with tfjs's own gradients. */
export function composedBatchNorm({ x, scale, offset, observe }: BatchNormInputs): tf.Tensor4D {
  const mean = tf.mean<tf.Tensor1D>(x, [0, 1, 2]);
  const centred = tf.sub(x, mean);
  const variance = tf.mean<tf.Tensor1D>(tf.square(centred), [0, 1, 2]);
  observe?.(mean, variance);
  const factor = tf.mul(tf.rsqrt(tf.add(variance, BATCH_NORM_EPSILON)), scale);
  return tf.add(tf.mul(centred, factor), offset) as tf.Tensor4D;
}

/** FusedBatchNormV3 and FusedBatchNormGradV3. */
export function fusedBatchNorm({ x, scale, offset, observe }: BatchNormInputs): tf.Tensor4D {
  return withGradient([x, scale, offset], save => {
    // An empty running mean and variance: in training the kernel wants none.
    const none = tf.tensor1d([]);
    const forward = executeOp('FusedBatchNormV3', attributes, [x, scale, offset, none, none], 6);
    const [value, mean, unbiased, ...reserved] = forward as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D, ...tf.Tensor[]];
    const samples = x.size / (x.shape[3] as number);
    observe?.(mean, tf.mul(unbiased, (samples - 1) / samples));
    save([x, scale, ...reserved]);
    const gradient = (dy: tf.Tensor4D, saved: tf.Tensor[]) =>
      executeOp('FusedBatchNormGradV3', attributes, [dy, ...saved], 5).slice(0, 3);
    return { value, gradient };
  });
}

const attributes = [
  opAttr.type('T', 'float32'),
  opAttr.type('U', 'float32'),
  opAttr.float('epsilon', BATCH_NORM_EPSILON),
  opAttr.string('data_format', 'NHWC'),
  opAttr.bool('is_training', true),
];
