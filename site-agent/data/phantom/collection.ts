/** A phantom collection on disk, in the layout in which a hospital finds MIMIC-CXR-JPG (reports laid beside). */
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { LABELS } from '#model/labels.ts';
import { Random } from '#model/random.ts';
import { FedError } from '#proto/errors.ts';
import { studyPath, writeTable } from '../mimic-cxr-jpg-writer.ts';
import { FIELD_SIZE } from './field.ts';
import { DEFAULT_PRIOR, type LabelPrior } from './findings.ts';
import { drawPatient, type PhantomStudy } from './patient.ts';
import { renderPhantom } from './render.ts';

export interface PhantomOptions {
  /** Folder to write; made if it is missing. */
  readonly out: string;
  readonly patients: number;
  readonly seed: number;
  /** How common each finding is; priors.ts draws different ones for several sites. */
  readonly prior?: LabelPrior;
  readonly signal?: AbortSignal;
}

export interface PhantomCounts {
  readonly patients: number;
  readonly studies: number;
  readonly images: number;
}

/**
 * Draws and writes `patients` phantom patients with 1 to 4 studies each. The same seed and prior give the same bytes.
 * @throws FedError USAGE on a count of patients that is not in 1 .. 100,000; CANCELLED when the signal fires
 */
export async function writePhantomCollection(options: PhantomOptions): Promise<PhantomCounts> {
  const { out, patients, seed, prior = DEFAULT_PRIOR, signal } = options;
  if (!Number.isInteger(patients) || patients < 1 || patients > 100_000) {
    throw new FedError('USAGE', `expected 1 to 100000 patients, got ${patients}`, 'choose how many patients to draw');
  }
  const first = 10_000_000 + new Random('phantom ids', seed).integer(800_000);
  const split: string[] = [];
  const chexpert: string[] = [];
  const metadata: string[] = [];
  const counts = { patients: 0, studies: 0, images: 0 };
  const writing = new Set<Promise<void>>();
  for (let index = 0; index < patients; index++) {
    if (signal?.aborted === true) throw new FedError('CANCELLED', 'drawing phantoms was interrupted', 'run it again');
    const subject = String(first + index);
    const patient = drawPatient(seed, index, prior);
    const subset = index % 20 === 18 ? 'validate' : index % 20 === 19 ? 'test' : 'train';
    for (const study of patient.studies) {
      const folder = path.join(out, studyPath(subject, study.id));
      await mkdir(folder, { recursive: true });
      await writeFile(`${folder}.txt`, study.report.text);
      chexpert.push([subject, study.id, ...LABELS.map(label => cell(study, label))].join(','));
      for (const exposure of study.exposures) {
        const pixels = renderPhantom(patient.anatomy, exposure.exposure, study.findings);
        await room(writing);
        // The encoder works in another thread while the next film is drawn here.
        const written = writeJpeg(path.join(folder, `${exposure.id}.jpg`), pixels);
        writing.add(written);
        written.then(
          () => writing.delete(written),
          () => {},
        );
        split.push([exposure.id, study.id, subject, subset].join(','));
        const { view } = exposure.exposure;
        const description = view === 'PA' ? 'CHEST (PA AND LAT)' : 'CHEST (PORTABLE AP)';
        const date = [study.date, study.time];
        metadata.push([exposure.id, subject, study.id, description, view, FIELD_SIZE, FIELD_SIZE, ...date].join(','));
        counts.images++;
      }
      counts.studies++;
    }
    counts.patients++;
  }
  await Promise.all(writing);
  await writeTable(out, 'split', split);
  await writeTable(out, 'chexpert', chexpert);
  await writeTable(out, 'metadata', metadata);
  return counts;
}

/** Waits until the encoders have room, so that films do not pile up in memory. */
async function room(writing: ReadonlySet<Promise<void>>): Promise<void> {
  while (writing.size >= 2 * availableParallelism()) await Promise.race(writing);
}

async function writeJpeg(file: string, pixels: Uint8Array): Promise<void> {
  const raw = { width: FIELD_SIZE, height: FIELD_SIZE, channels: 1 } as const;
  await writeFile(file, await sharp(pixels, { raw }).toColourspace('b-w').jpeg({ quality: 92 }).toBuffer());
}

function cell(study: PhantomStudy, label: (typeof LABELS)[number]): string {
  const value = study.report.labels[label];
  return value === undefined || value === null ? '' : value.toFixed(1);
}
