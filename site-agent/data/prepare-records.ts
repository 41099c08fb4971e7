/** The two passes that write a prepared set: pixels and records as they come, then the records with their split. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { crc32 } from 'node:zlib';
import { LABELS } from '#model/labels.ts';
import { FedError } from '#proto/errors.ts';
import { AppendFile } from './append-file.ts';
import { decodeImage, type ImageSettings } from './image.ts';
import { keyedHash } from './keyed-hash.ts';
import { countLabels, type LabelCounts, newLabelCounts } from './label-counts.ts';
import { mapOrdered } from './ordered.ts';
import type { PreparedRecord, SourceRecord, Split } from './record.ts';
import { cleanSections } from './report-sections.ts';

export interface WriteRecords {
  readonly records: AsyncIterable<SourceRecord>;
  readonly settings: ImageSettings;
  readonly key: Uint8Array;
  readonly pixelPath: string;
  readonly checkPath: string;
  /** Records as JSON lines, without their split. */
  readonly recordPath: string;
  /** Told of every record whose image cannot be used. */
  readonly refused: (record: SourceRecord, reason: string) => void;
  readonly written: (records: number) => void;
  readonly signal: AbortSignal | undefined;
}

export interface Written {
  readonly records: number;
  /** Keyed hashes. */
  readonly patients: ReadonlySet<string>;
  readonly studies: ReadonlySet<string>;
  readonly reports: number;
  /** Images that are, pixel by pixel, an earlier one's. */
  readonly duplicateImages: number;
  readonly labels: LabelCounts;
  readonly sourcesSha256: string;
  readonly checksSha256: string;
}

/** One pass over the collection, in the loader's order; a few images at a time are decoded beside each other. */
export async function writeRecords(options: WriteRecords): Promise<Written> {
  const { key, settings, signal } = options;
  const files: AppendFile[] = [];
  const create = async (path: string) => {
    const file = await AppendFile.create(path);
    files.push(file);
    return file;
  };
  try {
    const pixelFile = await create(options.pixelPath);
    const checkFile = await create(options.checkPath);
    const recordFile = await create(options.recordPath);
    const sources = createHash('sha256');
    const patients = new Set<string>();
    const studies = new Set<string>();
    const labels = newLabelCounts();
    let records = 0;
    let reports = 0;
    let duplicateImages = 0;
    const firstWith = new Map<string, number>();
    const decoded = mapOrdered(options.records, 2 * availableParallelism(), async record => ({
      record,
      image: await decodeImage(record.imagePath, settings),
    }));
    for await (const { record, image } of decoded) {
      if (signal?.aborted === true) throw new FedError('CANCELLED', 'the preparation was interrupted', 'run it again');
      if (!image.ok) {
        options.refused(record, image.reason);
        continue;
      }
      const pixelHash = createHash('sha256').update(image.pixels).digest('base64');
      const duplicateOf = firstWith.get(pixelHash) ?? null;
      if (duplicateOf === null) firstWith.set(pixelHash, records);
      else duplicateImages++;
      const prepared = preparedRecord(record, records, duplicateOf, key);
      sources.update(image.sha256);
      sources.update(
        JSON.stringify([record.patient, record.study, record.report, prepared.findingsSentences, prepared.labels]),
      );
      const check = Buffer.alloc(4);
      check.writeUInt32LE(crc32(image.pixels));
      await pixelFile.write(image.pixels);
      await checkFile.write(check);
      await recordFile.write(Buffer.from(`${JSON.stringify(prepared)}\n`));
      patients.add(prepared.patient);
      studies.add(prepared.study);
      countLabels(labels, prepared.labels);
      if (prepared.report !== null) reports++;
      records++;
      options.written(records);
    }
    await pixelFile.finish();
    await recordFile.finish();
    const hashes = { sourcesSha256: sources.digest('hex'), checksSha256: await checkFile.finish() };
    return { records, patients, studies, reports, duplicateImages, labels, ...hashes };
  } finally {
    for (const file of files) await file.abandon();
  }
}

function preparedRecord(
  record: SourceRecord,
  index: number,
  duplicateOf: number | null,
  key: Uint8Array,
): Omit<PreparedRecord, 'split'> {
  const { report, findingsSentences } = cleanSections(record.report, record.findings);
  return {
    index,
    patient: keyedHash(key, 'patient', record.patient),
    study: keyedHash(key, 'study', JSON.stringify([record.patient, record.study])),
    report,
    findingsSentences,
    duplicateOf,
    labels: LABELS.map(label => record.labels[label] ?? null),
  };
}

/** Copies the records, each with the split of its patient: that is known only when all patients are. */
export async function writeSplit(
  from: string,
  to: string,
  splitOf: ReadonlyMap<string, Split>,
): Promise<{ splits: Record<Split, number>; recordsSha256: string }> {
  const splits = { train: 0, validation: 0, test: 0 };
  const file = await AppendFile.create(to);
  try {
    for await (const line of createInterface({ input: createReadStream(from) })) {
      const record = JSON.parse(line) as Omit<PreparedRecord, 'split'>;
      const split = splitOf.get(record.patient) ?? 'train';
      splits[split]++;
      await file.write(Buffer.from(`${JSON.stringify({ ...record, split })}\n`));
    }
    return { splits, recordsSha256: await file.finish() };
  } finally {
    await file.abandon();
  }
}
