/** From a collection's folder to a site's prepared set. */
import { createHash } from 'node:crypto';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { canonicalJson } from '#model/federated.ts';
import { FedError, toFedError } from '#proto/errors.ts';
import type { ImageSettings } from './image.ts';
import type { LabelCounts } from './label-counts.ts';
import { writeRecords, writeSplit } from './prepare-records.ts';
import { draftOf, type Manifest, preparedFiles, retiredOf } from './prepared.ts';
import type { Loader, Skipped, SourceRecord, Split } from './record.ts';
import { DEFAULT_SHARES, type SplitShares, splitPatients } from './split.ts';

export interface PrepareOptions {
  readonly loader: Loader;
  /** The collection's folder; only read. */
  readonly folder: string;
  /** The prepared set's folder, replaced as a whole when the new one is complete. */
  readonly out: string;
  readonly resolution: number;
  readonly imageChannels: 1 | 3;
  readonly fit?: 'pad' | 'crop';
  /** The site's data key (keyed-hash.ts): decides the split and hides the ids. */
  readonly key: Uint8Array;
  readonly shares?: SplitShares;
  /** Only these patients of the collection, when given. */
  readonly patients?: ReadonlySet<string>;
  readonly onProgress?: (progress: { readonly records: number; readonly skipped: number }) => void;
  readonly signal?: AbortSignal;
}

export interface PrepareSummary {
  readonly dir: string;
  readonly kind: string;
  readonly records: number;
  readonly patients: number;
  readonly studies: number;
  readonly reports: number;
  /** Images that are, pixel by pixel, an earlier one's: a run may leave them out of training. */
  readonly duplicateImages: number;
  readonly labels: LabelCounts;
  readonly splits: Readonly<Record<Split, number>>;
  readonly skipped: readonly Skipped[];
}

const SKIPPED_IN_MANIFEST = 10_000;

/**
 * Reads, checks and writes a collection's frontal images, reports and labels as a prepared set (mode 0700). Images that
 * cannot be used are skipped by name. Nothing is left behind when it fails: the set is written beside `out` and renamed.
 * @throws FedError NO_USABLE_RECORDS, DATA_INVALID (from the loader), DISK_FULL, CANCELLED
 */
export async function prepare(options: PrepareOptions): Promise<PrepareSummary> {
  const draft = draftOf(options.out);
  await rm(draft, { recursive: true, force: true });
  try {
    await mkdir(dirname(options.out), { recursive: true });
    await mkdir(draft, { mode: 0o700 });
    const summary = await writeDraft(options, draft);
    await replace(draft, options.out);
    return summary;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw toFedError(error);
  }
}

async function writeDraft(options: PrepareOptions, draft: string): Promise<PrepareSummary> {
  const files = preparedFiles(draft);
  const unsplit = join(draft, 'records.unsplit');
  const skipped: Skipped[] = [];
  const settings = settingsOf(options);
  const progress = (records: number) => options.onProgress?.({ records, skipped: skipped.length });
  const written = await writeRecords({
    records: selected(options, skipped),
    settings,
    key: options.key,
    pixelPath: files.pixels,
    checkPath: files.checks,
    recordPath: unsplit,
    refused: (record, reason) => skipped.push({ path: relative(options.folder, record.imagePath), reason }),
    written: progress,
    signal: options.signal,
  });
  if (written.records === 0) throw noUsableRecords(skipped);

  const shares = options.shares ?? DEFAULT_SHARES;
  const split = splitPatients(written.patients, options.key, shares);
  const { recordsSha256, splits } = await writeSplit(unsplit, files.records, split);
  await rm(unsplit);
  const counts = {
    kind: options.loader.kind,
    records: written.records,
    patients: written.patients.size,
    studies: written.studies.size,
    reports: written.reports,
    duplicateImages: written.duplicateImages,
    splits,
  };
  const manifest: Manifest = {
    version: 2,
    ...counts,
    ...settings,
    settingsSha256: sha256(canonicalJson({ kind: counts.kind, settings, shares })),
    sourcesSha256: written.sourcesSha256,
    recordsSha256,
    checksSha256: written.checksSha256,
    skipped: skipped.length,
    skippedFiles: skipped.slice(0, SKIPPED_IN_MANIFEST).map(({ path, reason }) => ({ path, reason })),
  };
  await writeFile(files.manifest, `${JSON.stringify(manifest, null, 1)}\n`, { mode: 0o600, flush: true });
  return { dir: options.out, ...counts, labels: written.labels, skipped };
}

const settingsOf = ({ resolution, imageChannels, fit = 'pad' }: PrepareOptions): ImageSettings => ({
  resolution,
  imageChannels,
  fit,
});

async function* selected(
  { loader, folder, patients }: PrepareOptions,
  skipped: Skipped[],
): AsyncGenerator<SourceRecord> {
  for await (const record of loader.records(folder, skip => skipped.push(skip))) {
    if (patients === undefined || patients.has(record.patient)) yield record;
  }
}

/** The old set gives way only when the new one is whole. */
async function replace(draft: string, out: string): Promise<void> {
  const retired = retiredOf(out);
  await rm(retired, { recursive: true, force: true });
  const present = await stat(out).then(
    () => true,
    () => false,
  );
  if (present) await rename(out, retired);
  await rename(draft, out);
  await rm(retired, { recursive: true, force: true });
}

/** Reasons and how often, but no names: the message may end up in a log. */
function noUsableRecords(skipped: readonly Skipped[]): FedError {
  const reasons = new Map<string, number>();
  for (const { reason } of skipped) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const most = [...reasons].sort((a, b) => b[1] - a[1]).slice(0, 3);
  const why = most.length === 0 ? 'none was listed' : most.map(([reason, times]) => `${times} ${reason}`).join('; ');
  return new FedError(
    'NO_USABLE_RECORDS',
    `expected at least one usable frontal image, got none (${why})`,
    '`emixer data describe` lists every file with its reason',
  );
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
