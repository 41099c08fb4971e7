/** Fixed bins for nearest-neighbour distances, so that the histograms of all sites and of all groups can be laid over each other. */

const LOWEST = 1e-4;
const BINS_PER_DECADE = 8;
const DECADES = 4;

/**
 * Bin edges of NCC distances, ascending: [0, 1e-4), then eight bins a decade up to 1, then [1, 2]. Logarithmic, since
 * copies lie decades below the distances of different patients.
 */
export const DISTANCE_EDGES: readonly number[] = [
  0,
  ...Array.from({ length: BINS_PER_DECADE * DECADES + 1 }, (_, k) => LOWEST * 10 ** (k / BINS_PER_DECADE)),
  2,
];

export const DISTANCE_BINS = DISTANCE_EDGES.length - 1;

/** Counts of `distances` in the bins of DISTANCE_EDGES; what lies outside falls into the outermost bins. */
export function distanceHistogram(distances: ArrayLike<number>): number[] {
  const counts = new Array<number>(DISTANCE_BINS).fill(0);
  for (let i = 0; i < distances.length; i++) {
    const distance = distances[i] ?? 0;
    let bin = 0;
    while (bin < DISTANCE_BINS - 1 && distance >= (DISTANCE_EDGES[bin + 1] ?? 0)) bin++;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}
