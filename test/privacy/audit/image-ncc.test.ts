import { describe, expect, it } from 'vitest';
import { stackImages } from '#privacy/audit/audit-records.ts';
import { nearestByNcc } from '#privacy/audit/image-ncc.ts';
import { comparedSide, greyImage, type ImageStack, standardise } from '#privacy/audit/image-pixels.ts';
import { IDENTITY, resample, samplerOf, searchedTransforms, type Transform } from '#privacy/audit/image-transforms.ts';
import { plainMultiply } from '#privacy/audit/matrix.ts';
import { plantImages } from '#privacy/audit/plant-images.ts';
import { IMAGE_PLANTS } from '#privacy/audit/site-audit-schema.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import { seededRandom } from '#privacy/random.ts';
import { cohort } from '../../support/audit-cohort.ts';

const SIDE = 32;
const train = { pixels: cohort(60, SIDE, 1, 't').images, side: SIDE, channels: 1 };
const others = { pixels: cohort(40, SIDE, 2, 'o').images, side: SIDE, channels: 1 };
const { search } = resolveThresholds();
const samplers = (transforms: readonly Transform[], side = SIDE) => transforms.map(t => samplerOf(t, side));
const all = samplers(searchedTransforms(search));
const only = samplers([IDENTITY]);

/** The definition, pair by pair. */
function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (v: Float32Array) => v.reduce((x, y) => x + y, 0) / v.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [(a[i] ?? 0) - ma, (b[i] ?? 0) - mb];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}

describe('nearestByNcc', () => {
  it('is 1 - the largest Pearson correlation, computed pair by pair', async () => {
    const { distances } = await nearestByNcc(others, train, { samplers: only });
    for (const i of [0, 7, 39]) {
      let best = -1;
      for (let j = 0; j < 72; j++) best = Math.max(best, correlation(greyImage(others, i), greyImage(train, j)));
      expect(distances[i]).toBeCloseTo(1 - best, 5);
    }
  });

  it('finds every kind of planted copy far below all other patients', async () => {
    const { distances } = await nearestByNcc(others, train, { samplers: all });
    const closest = Math.min(...distances);
    for (const kind of IMAGE_PLANTS) {
      const copies = plantImages(train, [3, 14, 15, 50], kind, seededRandom(1, kind));
      const found = await nearestByNcc(copies, train, { samplers: all });
      expect(Math.max(...found.distances), kind).toBeLessThan(0.4 * closest);
    }
  });

  it('misses mirrored copies when mirrors are not searched: the search is what finds them', async () => {
    const copies = plantImages(train, [3, 14], 'mirrored', seededRandom(1, 'm'));
    const without = await nearestByNcc(copies, train, { samplers: only });
    expect(Math.min(...without.distances)).toBeGreaterThan(0.02);
  });

  it('skips excluded pairs, lists training images below the cut-off, ties included', async () => {
    const twice = stackImages([train, train]);
    const near = await nearestByNcc(train, twice, { samplers: only, listBelow: 0.001 });
    // Every fifth patient has a second, almost equal image: patient 0 is images 0 and 1.
    expect([...(near.within.get(0) ?? [])]).toEqual([0, 1, 72, 73]);
    expect([...(near.within.get(2) ?? [])]).toEqual([2, 74]);
    const self = await nearestByNcc(train, train, { samplers: only, excluded: (i, j) => i === j });
    expect(self.distances[2]).toBeGreaterThan(0.01);
    const none = await nearestByNcc(train, train, { samplers: only, excluded: () => true });
    expect(new Set(none.distances)).toEqual(new Set([2]));
  });

  it('a flat image resembles nothing', async () => {
    const flat = { pixels: new Uint8Array(SIDE * SIDE).fill(90), side: SIDE, channels: 1 };
    expect(standardise(greyImage(flat, 0))).toBe(false);
    expect((await nearestByNcc(flat, train, { samplers: all })).distances[0]).toBe(1);
  });

  it('compares 128-pixel colour images at 64 pixels of grey, and asks the product of the given size', async () => {
    const side = 128;
    const colour = (seed: number): ImageStack => {
      const grey = cohort(4, side, seed, `c${seed}`).images;
      return {
        pixels: Uint8Array.from({ length: grey.length * 3 }, (_, i) => grey[Math.floor(i / 3)] ?? 0),
        side,
        channels: 3,
      };
    };
    expect([comparedSide(32), comparedSide(64), comparedSide(128), comparedSide(100), comparedSide(224)]).toEqual([
      32, 64, 64, 50, 56,
    ]);
    const depths = new Set<number>();
    const near = await nearestByNcc(colour(1), colour(1), {
      samplers: samplers([IDENTITY], 64),
      multiply: (a, b, d) => {
        depths.add(d);
        return plainMultiply(a, b, d);
      },
    });
    expect(Math.max(...near.distances)).toBeLessThan(1e-5);
    expect([...depths]).toEqual([64 * 64]);
  });
});

describe('transformations', () => {
  it('the default search holds mirrors, 3 degrees either way and a 94 % crop', () => {
    const searched = searchedTransforms(search);
    for (const flip of [false, true]) {
      for (const angleDegrees of [-3, 3]) expect(searched).toContainEqual({ ...IDENTITY, flip, angleDegrees });
      expect(searched).toContainEqual({ ...IDENTITY, flip, crop: 0.94 });
    }
  });

  it('the identity is always searched, even when it is not configured', () => {
    const searched = searchedTransforms({ flip: false, anglesDegrees: [5], crops: [0.9], shifts: [[0, 0]] });
    expect(searched[0]).toEqual(IDENTITY);
    expect(searched).toHaveLength(2);
  });

  it('mirror, shift and quarter turn move pixels where they should', () => {
    const image = Float32Array.from({ length: 16 }, (_, i) => i);
    const moved = (t: Partial<Transform>) => {
      const out = new Float32Array(16);
      resample(image, samplerOf({ ...IDENTITY, ...t }, 4), out);
      return [...out].map(value => Math.round(value * 1e4) / 1e4);
    };
    expect(moved({})).toEqual([...image]);
    expect(moved({ flip: true }).slice(0, 4)).toEqual([3, 2, 1, 0]);
    expect(moved({ right: 0.25 }).slice(0, 4)).toEqual([0, 0, 1, 2]);
    expect(moved({ down: 0.25 }).slice(4, 8)).toEqual([0, 1, 2, 3]);
    // Counter-clockwise on the screen: the right column becomes the top row.
    expect(moved({ angleDegrees: 90 }).slice(0, 4)).toEqual([3, 7, 11, 15]);
  });
});
