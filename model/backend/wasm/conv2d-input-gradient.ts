/**
 * Conv2DBackpropInput as one convolution: dX = conv2d(dy with s - 1 zeros between its pixels, rot180(W)^T). The kernel that
 * tfjs-backend-wasm brings is a scalar loop, some ten times slower.
 */
import * as tf from '@tensorflow/tfjs-core';

/**
 * @param dy [B, OH, OW, O]
 * @param filter [KH, KW, C, O]
 * @returns dX [B, H, W, C]
 */
export function conv2dInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  info: tf.backend_util.Conv2DInfo,
): tf.Tensor4D {
  return tf.tidy(() => {
    const spread = insertZeros(dy, info.strideHeight, info.strideWidth);
    const turned = turnedAndTransposed(filter);
    const top = info.filterHeight - 1 - info.padInfo.top;
    const left = info.filterWidth - 1 - info.padInfo.left;
    // So many zeros below and to the right that the result has x's size again.
    const bottom = info.inHeight + info.filterHeight - 1 - spread.shape[1] - top;
    const right = info.inWidth + info.filterWidth - 1 - spread.shape[2] - left;
    return tf.conv2d(spread, turned, 1, [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ]);
  });
}

/** Rotated by 180 degrees, channels exchanged: [KH, KW, C, O] -> [KH, KW, O, C]. With few axes, which this backend needs. */
function turnedAndTransposed(filter: tf.Tensor4D): tf.Tensor4D {
  const [height, width, inChannels, outChannels] = filter.shape;
  const taps: tf.Tensor3D = tf.reshape(filter, [height * width, inChannels, outChannels]);
  return tf.reshape(tf.transpose(tf.reverse(taps, 0), [0, 2, 1]), [height, width, outChannels, inChannels]);
}

/** [B, OH, OW, O] -> [B, (OH - 1) s + 1, (OW - 1) s + 1, O] */
function insertZeros(dy: tf.Tensor4D, strideHeight: number, strideWidth: number): tf.Tensor4D {
  if (strideHeight === 1 && strideWidth === 1) return dy;
  const [batch, height, width, channels] = dy.shape;
  const cells = tf.pad(tf.reshape(dy, [batch, height, 1, width, 1, channels]), [
    [0, 0],
    [0, 0],
    [0, strideHeight - 1],
    [0, 0],
    [0, strideWidth - 1],
    [0, 0],
  ]);
  const spread: tf.Tensor4D = tf.reshape(cells, [batch, height * strideHeight, width * strideWidth, channels]);
  const wanted: [number, number, number, number] = [
    batch,
    (height - 1) * strideHeight + 1,
    (width - 1) * strideWidth + 1,
    channels,
  ];
  return tf.slice(spread, [0, 0, 0, 0], wanted);
}
