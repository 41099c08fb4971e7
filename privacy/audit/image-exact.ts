/** Exact copies by a hash of the pixels: supporting evidence, and the count of distinct images (mode collapse). */
import { createHash } from 'node:crypto';
import { type ImageStack, imageBytes, imageCount } from './image-pixels.ts';

/** SHA-256 of the pixels of every image; sides and channels must agree for hashes to be comparable. */
export function pixelHashes(stack: ImageStack): string[] {
  const size = imageBytes(stack);
  return Array.from({ length: imageCount(stack) }, (_, i) =>
    createHash('sha256')
      .update(stack.pixels.subarray(i * size, (i + 1) * size))
      .digest('base64'),
  );
}

/** How many of `hashes` occur in `among`. */
export function countAmong(hashes: readonly string[], among: readonly string[]): number {
  const known = new Set(among);
  return hashes.filter(hash => known.has(hash)).length;
}
