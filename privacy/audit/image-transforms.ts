/** The transformations under which copies are looked for, and planted: mirror, rotate, crop, shift, in one resampling. */
import type { SearchConfig } from './thresholds.ts';

export interface Transform {
  readonly flip: boolean;
  /** Counter-clockwise. */
  readonly angleDegrees: number;
  /** Share of the side that is kept and enlarged to the full side. */
  readonly crop: number;
  /** Shares of the side. */
  readonly right: number;
  readonly down: number;
}

export const IDENTITY: Transform = { flip: false, angleDegrees: 0, crop: 1, right: 0, down: 0 };

/** The product of the lists of a search, the identity always among it. */
export function searchedTransforms(search: SearchConfig): Transform[] {
  const transforms = (search.flip ? [false, true] : [false]).flatMap(flip =>
    search.anglesDegrees.flatMap(angleDegrees =>
      search.crops.flatMap(crop => search.shifts.map(([right, down]) => ({ flip, angleDegrees, crop, right, down }))),
    ),
  );
  return transforms.some(isIdentity) ? transforms : [IDENTITY, ...transforms];
}

const isIdentity = (t: Transform): boolean =>
  !t.flip && t.angleDegrees === 0 && t.crop === 1 && t.right === 0 && t.down === 0;

/** Bilinear resampling as a table: output pixel p = sum over q of weight[4p + q] * input[source[4p + q]]. */
export interface Sampler {
  readonly source: Int32Array;
  readonly weight: Float32Array;
}

/** The table of one transformation of images [side, side]; beyond the border the border is repeated. */
export function samplerOf(transform: Transform, side: number): Sampler {
  const source = new Int32Array(4 * side * side);
  const weight = new Float32Array(4 * side * side);
  const centre = (side - 1) / 2;
  const radians = (transform.angleDegrees * Math.PI) / 180;
  const cos = Math.cos(radians) * transform.crop;
  const sin = Math.sin(radians) * transform.crop;
  const clamp = (value: number) => Math.min(side - 1, Math.max(0, value));
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const dx = (x - centre - transform.right * side) * (transform.flip ? -1 : 1);
      const dy = y - centre - transform.down * side;
      const u = clamp(centre + cos * dx - sin * dy);
      const v = clamp(centre + sin * dx + cos * dy);
      const [left, top] = [Math.floor(u), Math.floor(v)];
      const [right, bottom] = [clamp(left + 1), clamp(top + 1)];
      const [fx, fy] = [u - left, v - top];
      const at = 4 * (y * side + x);
      source.set([top * side + left, top * side + right, bottom * side + left, bottom * side + right], at);
      weight.set([(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy], at);
    }
  }
  return { source, weight };
}

/** `image` [side, side] resampled into `out` [side, side]. */
export function resample(image: Float32Array, { source, weight }: Sampler, out: Float32Array): void {
  for (let p = 0, at = 0; p < out.length; p++, at += 4) {
    out[p] =
      (image[source[at] as number] as number) * (weight[at] as number) +
      (image[source[at + 1] as number] as number) * (weight[at + 1] as number) +
      (image[source[at + 2] as number] as number) * (weight[at + 2] as number) +
      (image[source[at + 3] as number] as number) * (weight[at + 3] as number);
  }
}
