/** From bytes to what images are compared by: grey, at most 64 pixels a side, zero mean and unit length. */

/** A stack of square images: bytes [N, side, side, channels]. */
export interface ImageStack {
  readonly pixels: Uint8Array;
  readonly side: number;
  readonly channels: number;
}

/** The largest side at which images are compared (the detector was measured at 64). */
const MAX_SIDE = 64;

export const imageBytes = (stack: ImageStack): number => stack.side * stack.side * stack.channels;
export const imageCount = (stack: ImageStack): number => stack.pixels.length / imageBytes(stack);

/** Side at which images of `side` pixels are compared: themselves up to 64, else an integer fraction of them up to 64. */
export function comparedSide(side: number): number {
  return Math.floor(side / Math.ceil(side / MAX_SIDE));
}

/**
 * Image `index` as grey values 0..255 [s, s] with s = comparedSide(side): channels are averaged, larger images are
 * averaged over boxes.
 */
export function greyImage(stack: ImageStack, index: number): Float32Array {
  const { pixels, side, channels } = stack;
  const box = Math.ceil(side / MAX_SIDE);
  const s = comparedSide(side);
  const grey = new Float32Array(s * s);
  const start = index * imageBytes(stack);
  const scale = 1 / (box * box * channels);
  for (let y = 0; y < s * box; y++) {
    for (let x = 0; x < s * box; x++) {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += pixels[start + (y * side + x) * channels + c] ?? 0;
      const at = Math.floor(y / box) * s + Math.floor(x / box);
      grey[at] = (grey[at] ?? 0) + sum * scale;
    }
  }
  return grey;
}

/**
 * Subtracts the mean and divides by the length, in place, so that a dot product is Pearson's r (NCC).
 * @returns false for a flat image, which becomes zeros and is correlated with nothing
 */
export function standardise(values: Float32Array): boolean {
  let mean = 0;
  for (const value of values) mean += value;
  mean /= values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    const centred = (values[i] ?? 0) - mean;
    values[i] = centred;
    squares += centred * centred;
  }
  // Less than half a grey level of variation is rounding, not a picture.
  if (squares < 0.25 * values.length) {
    values.fill(0);
    return false;
  }
  const scale = 1 / Math.sqrt(squares);
  for (let i = 0; i < values.length; i++) values[i] = (values[i] ?? 0) * scale;
  return true;
}
