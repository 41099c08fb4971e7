/**
 * Nearest neighbours by normalised cross-correlation (distance 1 - r), searched over transformations of the training
 * side. The deciding image detector: what is far closer to a training image than any control is a copy.
 */
import { comparedSide, greyImage, type ImageStack, imageCount, standardise } from './image-pixels.ts';
import { resample, type Sampler } from './image-transforms.ts';
import { type Multiply, plainMultiply } from './matrix.ts';

export interface NccSearch {
  /** Transformations of the training side, for the side at which images are compared. */
  readonly samplers: readonly Sampler[];
  readonly multiply?: Multiply | undefined;
  /** Pairs of the same group (patient or study) that must not count as neighbours. */
  readonly excluded?: ((query: number, train: number) => boolean) | undefined;
  /** Every training image nearer than this is listed in `within`; none without it. */
  readonly listBelow?: number | undefined;
  readonly onProgress?: ((doneShare: number) => void) | undefined;
}

export interface Neighbours {
  /** Smallest distance of each query to the training set, 2 where there is no training image to compare with. */
  readonly distances: Float32Array;
  /** Training images nearer than `listBelow`, for each query that has any, at most MAX_LISTED. */
  readonly within: ReadonlyMap<number, ReadonlySet<number>>;
}

const MAX_LISTED = 64;
/** Floats held at once in each of: transformed training images, queries, products (16 MB each). */
const CHUNK_FLOATS = 4 * 2 ** 20;
const FARTHEST = 2;

/**
 * Smallest distance of every query to every training image under every transformation. Memory does not grow with
 * either set beyond one distance a query.
 * @param queries [N, H, W, C]; the same side as `train` [M, H, W, C]
 */
export async function nearestByNcc(queries: ImageStack, train: ImageStack, search: NccSearch): Promise<Neighbours> {
  const multiply = search.multiply ?? plainMultiply;
  const side = comparedSide(train.side);
  const d = side * side;
  const { samplers } = search;
  const [n, m, variants] = [imageCount(queries), imageCount(train), samplers.length];
  const distances = new Float32Array(n).fill(FARTHEST);
  const within = new Map<number, Set<number>>();
  const trainStep = Math.max(1, Math.floor(CHUNK_FLOATS / (d * variants)));
  const queryStep = Math.max(
    1,
    Math.min(Math.floor(CHUNK_FLOATS / d), Math.floor(CHUNK_FLOATS / (trainStep * variants))),
  );

  for (let t = 0; t < m; t += trainStep) {
    const trainCount = Math.min(trainStep, m - t);
    const right = new Float32Array(trainCount * variants * d);
    for (let j = 0; j < trainCount; j++) {
      const grey = greyImage(train, t + j);
      for (const [v, sampler] of samplers.entries()) {
        const row = right.subarray((j * variants + v) * d, (j * variants + v + 1) * d);
        resample(grey, sampler, row);
        standardise(row);
      }
    }
    for (let q = 0; q < n; q += queryStep) {
      const queryCount = Math.min(queryStep, n - q);
      const left = new Float32Array(queryCount * d);
      for (let i = 0; i < queryCount; i++) {
        const grey = greyImage(queries, q + i);
        standardise(grey);
        left.set(grey, i * d);
      }
      const products = await multiply(left, right, d);
      for (let i = 0; i < queryCount; i++) {
        for (let j = 0; j < trainCount; j++) {
          if (search.excluded?.(q + i, t + j)) continue;
          const first = (i * trainCount + j) * variants;
          let correlation = -1;
          for (let v = first; v < first + variants; v++) correlation = Math.max(correlation, products[v] as number);
          const distance = Math.max(0, 1 - correlation);
          if (distance < (distances[q + i] as number)) distances[q + i] = distance;
          if (distance < (search.listBelow ?? 0)) list(within, q + i, t + j);
        }
      }
      search.onProgress?.((t + (trainCount * (q + queryCount)) / n) / m);
    }
  }
  return { distances, within };
}

function list(within: Map<number, Set<number>>, query: number, train: number): void {
  const listed = within.get(query) ?? new Set<number>();
  if (listed.size < MAX_LISTED) listed.add(train);
  within.set(query, listed);
}
