/** A site's own records as the audit takes them, checked once, and grouped by patient and study. */
import { FedError } from '#proto/errors.ts';
import { type ImageStack, imageBytes, imageCount } from './image-pixels.ts';
import { normaliseReport } from './report-text.ts';

/** N records: bytes [N, H, W, C] and one patient, study and report (or null) each. */
export interface AuditRecords {
  readonly images: Uint8Array;
  readonly patients: readonly string[];
  readonly studies: readonly string[];
  readonly reports: readonly (string | null)[];
}

export interface RecordSet extends AuditRecords {
  readonly stack: ImageStack;
  /** Normalised report of every study that has one: several images of a study share it. */
  readonly studyReports: ReadonlyMap<string, string>;
}

/**
 * @param name of the set, for the error
 * @throws FedError DATA_INVALID when pixels, patients, studies and reports do not belong to the same number of records
 */
export function recordSet(records: AuditRecords, side: number, channels: number, name: string): RecordSet {
  const stack = { pixels: records.images, side, channels };
  const count = imageCount(stack);
  const lengths = [records.patients.length, records.studies.length, records.reports.length];
  if (lengths.some(length => length !== count)) {
    throw new FedError(
      'DATA_INVALID',
      `${name}: ${records.images.length} bytes hold ${count} images of ${imageBytes(stack)} bytes, but there are ${lengths.join(', ')} patients, studies, reports`,
      'pass images of the stated resolution and channels, and one patient, study and report for each',
    );
  }
  const studyReports = new Map<string, string>();
  for (const [i, study] of records.studies.entries()) {
    const text = normaliseReport(records.reports[i] ?? '');
    if (text !== '' && !studyReports.has(study)) studyReports.set(study, text);
  }
  return { ...records, stack, studyReports };
}

/** Whether record i of `a` and record j of `b` belong to one patient or one study: natural duplicates. */
export function sameGroup(a: AuditRecords, b: AuditRecords): (i: number, j: number) => boolean {
  const codes = new Map<string, number>();
  const encode = (ids: readonly string[], prefix: string) =>
    Int32Array.from(ids, id => {
      const key = prefix + id;
      const code = codes.get(key) ?? codes.size;
      codes.set(key, code);
      return code;
    });
  const [patientsA, patientsB] = [encode(a.patients, 'p'), encode(b.patients, 'p')];
  const [studiesA, studiesB] = [encode(a.studies, 's'), encode(b.studies, 's')];
  return (i, j) => patientsA[i] === patientsB[j] || studiesA[i] === studiesB[j];
}

/** The images `indices` of a stack. */
export function selectImages(stack: ImageStack, indices: readonly number[]): ImageStack {
  const size = imageBytes(stack);
  const pixels = new Uint8Array(indices.length * size);
  for (const [row, index] of indices.entries()) {
    pixels.set(stack.pixels.subarray(index * size, (index + 1) * size), row * size);
  }
  return { ...stack, pixels };
}

/** Stacks of one side and one number of channels, one behind the other. */
export function stackImages(stacks: readonly ImageStack[]): ImageStack {
  const { side, channels } = stacks[0] ?? { side: 1, channels: 1 };
  return { side, channels, pixels: Buffer.concat(stacks.map(({ pixels }) => pixels)) };
}
