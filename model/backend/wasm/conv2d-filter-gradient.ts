/**
 * Conv2DBackpropFilter, which tfjs-backend-wasm lacks, composed of kernels that it has.
 *
 * dW[i, j, c, o] = sum over b, h, w of x[b, s h + i - p, s w + j - p, c] dy[b, h, w, o]
 */
import * as tf from '@tensorflow/tfjs-core';

/**
 * @param x [B, H, W, C]
 * @param dy [B, OH, OW, O]
 * @returns dW [KH, KW, C, O]
 */
export function conv2dFilterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, info: tf.backend_util.Conv2DInfo): tf.Tensor4D {
  return tf.tidy(() => {
    const padded = padToReach(x, info);
    const pointwise = info.filterHeight === 1 && info.filterWidth === 1;
    return pointwise ? byMatrixProduct(padded, dy, info) : byConvolution(padded, dy, info);
  });
}

/** x with the convolution's padding, cut or extended to exactly the rows and columns that a window reaches. */
function padToReach(x: tf.Tensor4D, info: tf.backend_util.Conv2DInfo): tf.Tensor4D {
  const { top, left } = info.padInfo;
  const rows = (info.outHeight - 1) * info.strideHeight + info.filterHeight;
  const columns = (info.outWidth - 1) * info.strideWidth + info.filterWidth;
  const bottom = Math.max(0, rows - info.inHeight - top);
  const right = Math.max(0, columns - info.inWidth - left);
  const padded =
    top + left + bottom + right === 0
      ? x
      : tf.pad(x, [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ]);
  if (padded.shape[1] === rows && padded.shape[2] === columns) return padded;
  return tf.slice(padded, [0, 0, 0, 0], [info.batchSize, rows, columns, info.inChannels]);
}

/**
 * Batch and channels trade places: the image's channels become the batch, the batch what is summed over, dy the filter. At
 * every size tried (4 to 64 pixels, 8 to 128 channels) as fast as im2col and one matrix product, or up to 7 times faster.
 */
function byConvolution(padded: tf.Tensor4D, dy: tf.Tensor4D, info: tf.backend_util.Conv2DInfo): tf.Tensor4D {
  const images = tf.transpose(padded, [3, 1, 2, 0]); // [C, H', W', B]
  const filter = tf.transpose(dy, [1, 2, 0, 3]); // [OH, OW, B, O]
  const dilation: [number, number] = [info.strideHeight, info.strideWidth];
  const product = tf.conv2d(images, filter, 1, 'valid', 'NHWC', dilation); // [C, KH, KW, O]
  return tf.transpose(product, [1, 2, 0, 3]); // [KH, KW, C, O]
}

/** A 1x1 filter: dW = x^T dy over all positions. */
function byMatrixProduct(padded: tf.Tensor4D, dy: tf.Tensor4D, info: tf.backend_util.Conv2DInfo): tf.Tensor4D {
  const { batchSize, outHeight, outWidth, inChannels, outChannels, strideHeight, strideWidth } = info;
  const positions = batchSize * outHeight * outWidth;
  const used =
    strideHeight === 1 && strideWidth === 1
      ? padded
      : tf.stridedSlice(padded, [0, 0, 0, 0], padded.shape, [1, strideHeight, strideWidth, 1]);
  // Transposed beforehand: the fast matrix product of this backend takes no transposed operands.
  const rows = tf.transpose(tf.reshape(used, [positions, inChannels])); // [C, B OH OW]
  const product = tf.matMul(rows, tf.reshape(dy, [positions, outChannels])); // [C, O]
  return tf.reshape(product, [1, 1, inChannels, outChannels]);
}
