/**
 * Gradients of pooling for wasm. The package's own MaxPoolGrad gives wrong values for more than one channel or a wide image,
 * and its AvgPoolGrad divides by the whole window at a padded border where TensorFlow divides by the pixels inside
 * (found by comparison with TensorFlow; tests hold these here to it).
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { backend_util, TensorInfo } from '@tensorflow/tfjs-core';

/** A window's rows and columns inside the image. */
interface Window {
  readonly fromRow: number;
  readonly toRow: number;
  readonly fromColumn: number;
  readonly toColumn: number;
}

/** Calls `visit` for every image and output position with offsets of its pixel in dy and of its image in x (NHWC). */
function forEachWindow(
  info: backend_util.Conv2DInfo,
  visit: (window: Window, dyOffset: number, imageOffset: number) => void,
): void {
  const { batchSize, inHeight, inWidth, outHeight, outWidth, inChannels: channels, padInfo } = info;
  for (let image = 0; image < batchSize; image++) {
    for (let row = 0; row < outHeight; row++) {
      const top = row * info.strideHeight - padInfo.top;
      for (let column = 0; column < outWidth; column++) {
        const left = column * info.strideWidth - padInfo.left;
        const window = {
          fromRow: Math.max(0, top),
          toRow: Math.min(inHeight, top + info.effectiveFilterHeight),
          fromColumn: Math.max(0, left),
          toColumn: Math.min(inWidth, left + info.effectiveFilterWidth),
        };
        const dyOffset = ((image * outHeight + row) * outWidth + column) * channels;
        visit(window, dyOffset, image * inHeight * inWidth * channels);
      }
    }
  }
}

/**
 * dX of max pooling: each dy goes to the first largest pixel of its window, as in TensorFlow.
 * @param x [B, H, W, C]
 * @param dy [B, OH, OW, C]
 * @returns [B, H, W, C]
 */
export function maxPoolGradient(
  backend: BackendWasm,
  x: TensorInfo,
  dy: TensorInfo,
  info: backend_util.Conv2DInfo,
): TensorInfo {
  const out = backend.makeOutput(x.shape, 'float32');
  const pixels = backend.typedArrayFromHeap(x);
  const gradients = backend.typedArrayFromHeap(dy);
  const sums = backend.typedArrayFromHeap(out).fill(0);
  const channels = info.inChannels;
  forEachWindow(info, (window, dyOffset, imageOffset) => {
    for (let channel = 0; channel < channels; channel++) {
      let largest = Number.NEGATIVE_INFINITY;
      let at = -1;
      for (let row = window.fromRow; row < window.toRow; row++) {
        for (let column = window.fromColumn; column < window.toColumn; column++) {
          const index = imageOffset + (row * info.inWidth + column) * channels + channel;
          const value = pixels[index] ?? 0;
          if (value > largest || at < 0) {
            largest = value;
            at = index;
          }
        }
      }
      sums[at] = (sums[at] ?? 0) + (gradients[dyOffset + channel] ?? 0);
    }
  });
  return out;
}

/**
 * dX of average pooling: each dy is shared equally among the pixels of its window that are inside the image.
 * @param dy [B, OH, OW, C]
 * @returns [B, H, W, C]
 */
export function averagePoolGradient(backend: BackendWasm, dy: TensorInfo, info: backend_util.Conv2DInfo): TensorInfo {
  const out = backend.makeOutput(info.inShape, 'float32');
  const gradients = backend.typedArrayFromHeap(dy);
  const sums = backend.typedArrayFromHeap(out).fill(0);
  const channels = info.inChannels;
  forEachWindow(info, (window, dyOffset, imageOffset) => {
    const share = 1 / ((window.toRow - window.fromRow) * (window.toColumn - window.fromColumn));
    for (let row = window.fromRow; row < window.toRow; row++) {
      for (let column = window.fromColumn; column < window.toColumn; column++) {
        const pixel = imageOffset + (row * info.inWidth + column) * channels;
        for (let channel = 0; channel < channels; channel++) {
          const index = pixel + channel;
          sums[index] = (sums[index] ?? 0) + share * (gradients[dyOffset + channel] ?? 0);
        }
      }
    }
  });
  return out;
}
