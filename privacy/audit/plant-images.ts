/** Positive controls of the image audit: copies of training images as a leaking generator might make them. */
import type { Random } from '../random.ts';
import { comparedSide, greyImage, type ImageStack } from './image-pixels.ts';
import { IDENTITY, resample, samplerOf, type Transform } from './image-transforms.ts';
import type { ImagePlant } from './site-audit-schema.ts';

/** Grey levels: visible as grain, less than the noise of a small GAN. */
const NOISE_STD = 5;
const BRIGHTER_BY = 15;
const ROTATED_DEGREES = 3;
const CROPPED_TO = 0.94;

/**
 * Copies of the training images `sources`, changed as `kind` says, at the side at which images are compared.
 * @returns bytes [sources, s, s, 1]
 */
export function plantImages(
  train: ImageStack,
  sources: readonly number[],
  kind: ImagePlant,
  random: Random,
): ImageStack {
  const side = comparedSide(train.side);
  const pixels = new Uint8Array(sources.length * side * side);
  for (const [row, source] of sources.entries()) {
    pixels.set(changed(greyImage(train, source), side, kind, random), row * side * side);
  }
  return { pixels, side, channels: 1 };
}

function changed(grey: Float32Array, side: number, kind: ImagePlant, random: Random): Uint8ClampedArray {
  // The clamped array rounds and clips as an image file does.
  const out = new Uint8ClampedArray(side * side);
  const moved = (transform: Partial<Transform>) => {
    const result = new Float32Array(side * side);
    resample(grey, samplerOf({ ...IDENTITY, ...transform }, side), result);
    return result;
  };
  const sign = random.uniform() < 0.5 ? -1 : 1;
  switch (kind) {
    case 'exact':
      out.set(grey);
      break;
    case 'noise':
      out.set(grey.map(value => value + NOISE_STD * random.gaussian()));
      break;
    case 'brightened':
      out.set(grey.map(value => value + BRIGHTER_BY));
      break;
    case 'mirrored':
      out.set(moved({ flip: true }));
      break;
    case 'rotated':
      out.set(moved({ angleDegrees: sign * ROTATED_DEGREES }));
      break;
    case 'cropped':
      out.set(moved({ crop: CROPPED_TO }));
      break;
  }
  return out;
}
