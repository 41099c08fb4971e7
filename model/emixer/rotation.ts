/** Self-supervision by rotation (SS-GAN, Chen et al. 2019): which images are turned, and by how much. */
import * as tf from '@tensorflow/tfjs-core';

/** Turns images [B, H, W, C] (H = W) by k quarter turns counter-clockwise, as numpy's rot90. */
export function rot90(images: tf.Tensor4D, k: 0 | 1 | 2 | 3): tf.Tensor4D {
  if (k === 0) return tf.clone(images);
  if (k === 2) return tf.reverse(images, [1, 2]);
  return tf.reverse(tf.transpose(images, [0, 2, 1, 3]), k === 1 ? 1 : 2);
}

/** How many of a batch's images are turned: at least one where any are. */
export const rotatedCount = (batch: number, fraction: number): number =>
  fraction === 0 ? 0 : Math.max(1, Math.floor(batch * fraction));

/**
 * The last `count` of images [B, H, W, C] at 90, then 180, then 270 degrees: [3 count, H, W, C]. Those at 0 degrees are
 * the upright pass's last `count`, so that no image is judged twice.
 */
export function rotatedBatch(images: tf.Tensor4D, count: number): tf.Tensor4D {
  const last = lastRows(images, count);
  return tf.concat4d([rot90(last, 1), rot90(last, 2), rot90(last, 3)], 0);
}

/** y [B, K] of what `rotatedBatch` makes of the images that y belongs to: [3 count, K]. */
export function rotatedLabels(y: tf.Tensor2D, count: number): tf.Tensor2D {
  return tf.tile(lastRows(y, count), [3, 1]);
}

/**
 * The rotation logits of the images that were turned, 0 degrees first: [4 count, 4].
 * @param upright [B, 4], of the batch as it is
 * @param turned [3 count, 4], of `rotatedBatch`
 */
export function rotationLogits(upright: tf.Tensor2D, turned: tf.Tensor2D): tf.Tensor2D {
  return tf.concat2d([lastRows(upright, turned.shape[0] / 3), turned], 0);
}

function lastRows<T extends tf.Tensor>(x: T, count: number): T {
  const [batch = 0] = x.shape;
  return tf.slice(x, batch - count, count) as T;
}
