/**
 * UnsortedSegmentSum, which tfjs-backend-wasm lacks and which the gradient of `gather` (word embeddings) needs. Additions
 * straight in the module's memory: a product with one-hot rows would do as many for every word of the vocabulary.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { TensorInfo } from '@tensorflow/tfjs-core';

/**
 * @param x [N, ...]
 * @param segmentIds [N], rows outside 0 <= id < segments are left out, as TensorFlow does
 * @returns [segments, ...]
 */
export function segmentSum(backend: BackendWasm, x: TensorInfo, segmentIds: TensorInfo, segments: number): TensorInfo {
  const shape = [segments, ...x.shape.slice(1)];
  const out = backend.makeOutput(shape, x.dtype);
  // After makeOutput, which may let the memory grow: arrays over the old memory would be detached.
  const rows = backend.typedArrayFromHeap(x);
  const ids = backend.typedArrayFromHeap(segmentIds);
  const sums = backend.typedArrayFromHeap(out).fill(0);
  const width = x.shape.slice(1).reduce((product, size) => product * size, 1);
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row] ?? -1;
    if (id < 0 || id >= segments) continue;
    for (let column = 0; column < width; column++) {
      const at = id * width + column;
      sums[at] = (sums[at] ?? 0) + (rows[row * width + column] ?? 0);
    }
  }
  return out;
}
