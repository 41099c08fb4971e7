/** The per-image affine map of a conditional batch norm, with the ReLU that always follows it. */
import * as tf from '@tensorflow/tfjs-core';
import { reluGradient } from './activation.ts';
import { withGradient } from './custom-gradient.ts';

/** relu(x * gain + bias): x [B, H, W, C], gain and bias [B, C] or [1, C]. */
export function modulate(x: tf.Tensor4D, gain: tf.Tensor2D, bias: tf.Tensor2D): tf.Tensor4D {
  return withGradient([x, gain, bias], save => {
    const spread = (t: tf.Tensor2D) => tf.reshape<tf.Rank.R4>(t, [t.shape[0], 1, 1, t.shape[1]]);
    const spreadGain = spread(gain);
    const value = tf.relu(tf.add<tf.Tensor4D>(tf.mul(x, spreadGain), spread(bias)));
    save([x, spreadGain, value]);
    const gradient = (dy: tf.Tensor4D, saved: tf.Tensor[]) => {
      const [input, factor, y] = saved as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
      const dPre = reluGradient(dy, y);
      return [tf.mul(dPre, factor), overImage(tf.mul(dPre, input), gain), overImage(dPre, bias)];
    };
    return { value, gradient };
  });
}

/** The sum over an image's places, and over the batch where all images share one row. */
const overImage = (x: tf.Tensor4D, of: tf.Tensor2D): tf.Tensor =>
  of.shape[0] === x.shape[0] ? tf.sum(x, [1, 2]) : tf.expandDims(tf.sum(x, [0, 1, 2]), 0);
