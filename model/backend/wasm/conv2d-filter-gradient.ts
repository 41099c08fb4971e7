/**
 * Conv2DBackpropFilter, which tfjs-backend-wasm lacks, composed of kernels that it has.
 *
 * dW[i, j, c, o] = sum over b, h, w of x[b, s h + i - p, s w + j - p, c] dy[b, h, w, o]
 */
import * as tf from '@tensorflow/tfjs-core';

/** Output height from which one convolution with dy as its filter is faster than im2col (measured, SIMD, one thread). */
const convolutionFromHeight = 17;

/**
 * @param x [B, H, W, C]
 * @param dy [B, OH, OW, O]
 * @returns dW [KH, KW, C, O]
 */
export function conv2dFilterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, info: tf.backend_util.Conv2DInfo): tf.Tensor4D {
  return tf.tidy(() => {
    const padded = padToReach(x, info);
    const pointwise = info.filterHeight === 1 && info.filterWidth === 1;
    return !pointwise && info.outHeight >= convolutionFromHeight
      ? byConvolution(padded, dy, info)
      : byMatrixProduct(padded, dy, info);
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
  return tf.slice(padded, [0, 0, 0, 0], [info.batchSize, rows, columns, info.inChannels]);
}

/** Batch and channels trade places: the image's channels become the batch, the batch what is summed over. */
function byConvolution(padded: tf.Tensor4D, dy: tf.Tensor4D, info: tf.backend_util.Conv2DInfo): tf.Tensor4D {
  const images = tf.transpose(padded, [3, 1, 2, 0]); // [C, H', W', B]
  const filter = tf.transpose(dy, [1, 2, 0, 3]); // [OH, OW, B, O]
  const dilation: [number, number] = [info.strideHeight, info.strideWidth];
  const product = tf.conv2d(images, filter, 1, 'valid', 'NHWC', dilation); // [C, KH, KW, O]
  return tf.transpose(product, [1, 2, 0, 3]); // [KH, KW, C, O]
}

function byMatrixProduct(padded: tf.Tensor4D, dy: tf.Tensor4D, info: tf.backend_util.Conv2DInfo): tf.Tensor4D {
  const { batchSize, outHeight, outWidth, inChannels, outChannels, filterHeight, filterWidth } = info;
  const positions = batchSize * outHeight * outWidth;
  const columns: tf.Tensor2D[] = [];
  for (let i = 0; i < filterHeight; i++) {
    for (let j = 0; j < filterWidth; j++) {
      const window = tf.stridedSlice(
        padded,
        [0, i, j, 0],
        [batchSize, i + (outHeight - 1) * info.strideHeight + 1, j + (outWidth - 1) * info.strideWidth + 1, inChannels],
        [1, info.strideHeight, info.strideWidth, 1],
      );
      columns.push(tf.reshape(window, [positions, inChannels]));
    }
  }
  const first = columns[0] as tf.Tensor2D;
  const unfolded = columns.length === 1 ? first : tf.concat(columns, 1); // [B OH OW, KH KW C]
  // Transposed beforehand: the fast matrix product of this backend takes no transposed operands.
  const product = tf.matMul(tf.transpose(unfolded), tf.reshape(dy, [positions, outChannels])); // [KH KW C, O]
  return tf.reshape(product, [filterHeight, filterWidth, inChannels, outChannels]);
}
