/** What a collection's folder holds: the document of `emixer data describe`. It names skipped files and stays at the site. */
import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import { LABELS } from '#model/labels.ts';
import { decodeImage } from './image.ts';
import { keyedHash } from './keyed-hash.ts';
import { countLabels, type LabelCounts, newLabelCounts } from './label-counts.ts';
import { mapOrdered } from './ordered.ts';
import type { Loader, Skipped, Split } from './record.ts';
import { splitPatients } from './split.ts';

export interface Description {
  readonly kind: string;
  readonly patients: number;
  readonly studies: number;
  /** Usable frontal images: what a prepared set of the folder would hold. */
  readonly images: number;
  /** Images with a report. */
  readonly reports: number;
  /** Counts of images. */
  readonly labels: LabelCounts;
  readonly skipped: readonly Skipped[];
  /** Images by split. */
  readonly splits: Readonly<Record<Split, number>>;
}

export interface DescribeOptions {
  readonly loader: Loader;
  readonly folder: string;
  /** The site's data key; without one the splits are those of no site, of the same sizes. */
  readonly key?: Uint8Array;
  /** False counts what is listed without decoding it: quick, but truncated images are not found. */
  readonly decode?: boolean;
}

/** @throws FedError DATA_INVALID when the folder as a whole cannot be this collection */
export async function describe(options: DescribeOptions): Promise<Description> {
  const { loader, folder, key = Buffer.alloc(32), decode = true } = options;
  const skipped: Skipped[] = [];
  const labels = newLabelCounts();
  const images = new Map<string, number>();
  const studies = new Set<string>();
  let reports = 0;
  const settings = { resolution: 32, imageChannels: 1, fit: 'pad' } as const;
  const checked = mapOrdered(
    loader.records(folder, skip => skipped.push(skip)),
    2 * availableParallelism(),
    async record => {
      const image = decode ? await decodeImage(record.imagePath, settings) : undefined;
      return { record, reason: image?.ok === false ? image.reason : undefined };
    },
  );
  for await (const { record, reason } of checked) {
    if (reason !== undefined) {
      skipped.push({ path: relative(folder, record.imagePath), reason });
      continue;
    }
    images.set(record.patient, (images.get(record.patient) ?? 0) + 1);
    studies.add(JSON.stringify([record.patient, record.study]));
    countLabels(
      labels,
      LABELS.map(label => record.labels[label] ?? null),
    );
    if (record.report !== null) reports++;
  }
  // As `prepare` does it, so that with a site's key both name the same splits.
  const hashed = new Map([...images].map(([patient, count]) => [keyedHash(key, 'patient', patient), count]));
  const splits = { train: 0, validation: 0, test: 0 };
  for (const [patient, split] of splitPatients(hashed.keys(), key)) splits[split] += hashed.get(patient) ?? 0;
  const total = splits.train + splits.validation + splits.test;
  return {
    kind: loader.kind,
    patients: images.size,
    studies: studies.size,
    images: total,
    reports,
    labels,
    skipped,
    splits,
  };
}
