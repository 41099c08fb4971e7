/** The image part of a site's audit: controls, cut-off, hits, and the plants that show that hits would be found. */
import { seededRandom } from '../random.ts';
import { type RecordSet, sameGroup, selectImages, stackImages } from './audit-records.ts';
import { distanceHistogram } from './histogram.ts';
import { countAmong, pixelHashes } from './image-exact.ts';
import { nearestByNcc } from './image-ncc.ts';
import { comparedSide, type ImageStack, imageCount } from './image-pixels.ts';
import { type Sampler, samplerOf, searchedTransforms } from './image-transforms.ts';
import type { Multiply } from './matrix.ts';
import { plantImages } from './plant-images.ts';
import { IMAGE_PLANTS, type SiteAudit } from './site-audit-schema.ts';
import type { Thresholds } from './thresholds.ts';

/** Plants are compared with their own sources, so many at once: a copy near another record is not a copy found. */
const PLANTS_TOGETHER = 16;

export interface ImageAudit {
  readonly audit: SiteAudit['images'];
  /** Training records that each generated image copies, by margin: what the pair audit needs. */
  readonly copied: ReadonlyMap<number, ReadonlySet<number>>;
}

export interface ImageAuditInput {
  readonly generated: ImageStack;
  readonly train: RecordSet;
  readonly holdout: RecordSet;
  readonly thresholds: Thresholds;
  readonly seed: number;
  readonly multiply?: Multiply | undefined;
  readonly onProgress?: ((doneShare: number) => void) | undefined;
}

export async function auditImages(input: ImageAuditInput): Promise<ImageAudit> {
  const { generated, train, holdout, thresholds, seed, multiply } = input;
  const side = comparedSide(train.stack.side);
  const samplers = searchedTransforms(thresholds.search).map(transform => samplerOf(transform, side));
  const sampled = seededRandom(seed, 'train controls').sample(imageCount(train.stack), thresholds.trainControls);
  const controls = pickRecords(train, sampled);
  const rows = [imageCount(holdout.stack), imageCount(controls.stack), imageCount(generated)];
  const all = Math.max(
    1,
    rows.reduce((sum, count) => sum + count),
  );
  const progress = (part: number) => (share: number) => {
    const before = rows.slice(0, part).reduce((sum, count) => sum + count, 0);
    input.onProgress?.((before + share * (rows[part] ?? 0)) / all);
  };
  const search = { samplers, multiply };

  const holdoutNear = await nearestByNcc(holdout.stack, train.stack, {
    ...search,
    excluded: sameGroup(holdout, train),
    onProgress: progress(0),
  });
  const trainNear = await nearestByNcc(controls.stack, train.stack, {
    ...search,
    excluded: sameGroup(controls, train),
    onProgress: progress(1),
  });
  const perPatient = smallestByPatient(holdout.patients, holdoutNear.distances);
  const controlMinimum = Math.min(...perPatient, minimum(trainNear.distances));
  const measurable = perPatient.length > 0 && imageCount(train.stack) > 0;
  const cutoff = measurable ? thresholds.marginFactor * controlMinimum : 0;

  const near = await nearestByNcc(generated, train.stack, { ...search, listBelow: cutoff, onProgress: progress(2) });
  const hits = near.distances.filter(distance => distance < cutoff).length;
  const tail = quantile(perPatient, thresholds.excessQuantile);
  const planted = await auditPlants(train, samplers, cutoff, thresholds, seed, multiply);

  return {
    copied: near.within,
    audit: {
      side,
      variants: samplers.length,
      exactCopies: countAmong(pixelHashes(generated), pixelHashes(train.stack)),
      controlPatients: perPatient.length,
      controlMinimum: measurable ? rounded(controlMinimum) : null,
      generatedMinimum: near.distances.length > 0 ? rounded(minimum(near.distances)) : null,
      cutoff: measurable ? rounded(cutoff) : null,
      marginHits: hits,
      excess: {
        generated: near.distances.filter(distance => distance <= tail).length,
        holdout: perPatient.filter(distance => distance <= tail).length,
      },
      histograms: {
        generated: distanceHistogram(near.distances),
        holdout: distanceHistogram(holdoutNear.distances),
        train: distanceHistogram(trainNear.distances),
        planted: distanceHistogram(planted.distances),
      },
      plants: planted.plants,
    },
  };
}

/** Plants of every kind under every seed, found by the same search under the same cut-off. */
async function auditPlants(
  train: RecordSet,
  samplers: readonly Sampler[],
  cutoff: number,
  thresholds: Thresholds,
  seed: number,
  multiply: Multiply | undefined,
) {
  const plants: SiteAudit['images']['plants'] = [];
  const distances: number[] = [];
  for (let draw = 0; draw < thresholds.seeds; draw++) {
    const random = seededRandom(seed, `image plants ${draw}`);
    const sources = random.sample(imageCount(train.stack), thresholds.plants);
    const found = new Map(IMAGE_PLANTS.map(kind => [kind, 0]));
    for (let at = 0; at < sources.length; at += PLANTS_TOGETHER) {
      const group = sources.slice(at, at + PLANTS_TOGETHER);
      const originals = selectImages(train.stack, group);
      const copies = IMAGE_PLANTS.map(kind => plantImages(train.stack, group, kind, random));
      const near = await nearestByNcc(stackImages(copies), originals, { samplers, multiply });
      distances.push(...near.distances);
      for (const [k, kind] of IMAGE_PLANTS.entries()) {
        const own = near.distances.subarray(k * group.length, (k + 1) * group.length);
        found.set(kind, (found.get(kind) ?? 0) + own.filter(distance => distance < cutoff).length);
      }
    }
    for (const kind of IMAGE_PLANTS) {
      plants.push({ kind, seed: draw, planted: sources.length, found: found.get(kind) ?? 0 });
    }
  }
  return { plants, distances };
}

/** Images of one patient are not independent: each patient counts once, by the smallest distance. */
function smallestByPatient(patients: readonly string[], distances: Float32Array): number[] {
  const smallest = new Map<string, number>();
  for (const [i, patient] of patients.entries()) {
    smallest.set(patient, Math.min(smallest.get(patient) ?? 2, distances[i] ?? 2));
  }
  return [...smallest.values()];
}

function pickRecords(records: RecordSet, indices: readonly number[]): RecordSet {
  const pick = <T>(list: readonly T[]) => indices.map(i => list[i] as T);
  const stack = selectImages(records.stack, indices);
  return {
    images: stack.pixels,
    stack,
    patients: pick(records.patients),
    studies: pick(records.studies),
    reports: pick(records.reports),
    studyReports: new Map(),
  };
}

const minimum = (values: Float32Array): number => values.reduce((a, b) => Math.min(a, b), 2);

/** The value that a share `q` of the values does not exceed; the smallest when they are few. */
function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
}

/** Four decimals: enough to read, too few to find a record by. */
const rounded = (value: number): number => Math.round(value * 1e4) / 1e4;
