/** A generated set as a folder of MIMIC-CXR-JPG's layout, with a manifest that names every file by its hash. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import sharp from 'sharp';
import type { SyntheticBatch } from '#model/generation/synthetic-file.ts';
import { LABELS } from '#model/labels.ts';
import { SOFTWARE_VERSION } from '#proto/version.ts';
import { type TableName, tableFile, writeTable } from '#site-agent/data/mimic-cxr-jpg-writer.ts';
import { findSections, joinSections } from '#site-agent/data/report-sections.ts';
import { renderGallery } from '../pictures/gallery.ts';
import type { GenerationIdentity, GenerationJournal, WrittenPair } from './generation-journal.ts';
import { maskOf, rowOf } from './label-mask.ts';
import { jpegOf, placeOf, reportText } from './pair-layout.ts';

export interface ImageShape {
  readonly resolution: number;
  readonly imageChannels: 1 | 3;
}

const GALLERY_PAIRS = 12;
export const MANIFEST = 'manifest.json';
export const GALLERY = 'gallery.png';

/**
 * Writes the images and reports of a batch.
 * @param first number of the batch's first pair
 */
export async function writePairs(
  out: string,
  seed: number,
  first: number,
  batch: SyntheticBatch,
  { resolution, imageChannels }: ImageShape,
): Promise<WrittenPair[]> {
  const size = resolution ** 2 * imageChannels;
  const labels = batch.labels.length / batch.reports.length;
  // The encoders begin in their own threads before this waits for anything.
  const jpegs = batch.reports.map((_, i) =>
    jpegOf(batch.pixels.subarray(i * size, (i + 1) * size), resolution, imageChannels),
  );
  return Promise.all(
    batch.reports.map(async (report, i) => {
      const { imageFile, reportFile } = placeOf(seed, first + i);
      const text = Buffer.from(reportText(report));
      const jpeg = (await jpegs[i]) as Buffer;
      await mkdir(join(out, dirname(imageFile)), { recursive: true });
      await writeFile(join(out, imageFile), jpeg);
      await writeFile(join(out, reportFile), text);
      const row = [...batch.labels.subarray(i * labels, (i + 1) * labels)];
      return {
        labels: maskOf(row.flatMap((value, k) => (value === 1 ? [k] : []))),
        image: sha256(jpeg),
        report: sha256(text),
      };
    }),
  );
}

/** Tables, gallery and, last and atomically, the manifest. */
export async function finishFolder(
  out: string,
  journal: GenerationJournal,
  identity: GenerationIdentity,
  shape: ImageShape,
): Promise<void> {
  const { seed } = identity;
  const rows = async function* (cells: (pair: WrittenPair, index: number) => readonly (string | number)[]) {
    let index = 0;
    for await (const pair of journal.pairs()) yield cells(pair, index++).join(',');
  };
  const side = shape.resolution;
  await writeTable(
    out,
    'split',
    rows((_, i) => {
      const { image, study, subject } = placeOf(seed, i);
      return [image, study, subject, 'train'];
    }),
  );
  // Every label of a pair is known: what it was not generated for is negative, not missing.
  await writeTable(
    out,
    'chexpert',
    rows(({ labels }, i) => {
      const { study, subject } = placeOf(seed, i);
      return [subject, study, ...rowOf(labels).map(value => value.toFixed(1))];
    }),
  );
  await writeTable(
    out,
    'metadata',
    rows((_, i) => {
      const { image, study, subject } = placeOf(seed, i);
      return [image, subject, study, 'SYNTHETIC', 'PA', side, side, '', ''];
    }),
  );
  await writeFile(join(out, GALLERY), await galleryOf(out, journal, identity, shape));
  await writeManifest(out, journal, identity);
  await journal.remove();
}

/** Drawn from the files, so that it is the same after an interruption. */
async function galleryOf(
  out: string,
  journal: GenerationJournal,
  { seed, count }: GenerationIdentity,
  { resolution, imageChannels }: ImageShape,
): Promise<Buffer> {
  const pairs = [];
  for await (const { labels } of journal.pairs()) {
    const { imageFile, reportFile } = placeOf(seed, pairs.length);
    const pixels = await sharp(join(out, imageFile))
      .toColourspace(imageChannels === 1 ? 'b-w' : 'srgb')
      .raw()
      .toBuffer();
    const report = joinSections(findSections(await readFile(join(out, reportFile), 'utf8'))) ?? '';
    const row = rowOf(labels);
    pairs.push({ pixels, labels: LABELS.filter((_, k) => row[k] === 1), report });
    if (pairs.length === GALLERY_PAIRS) break;
  }
  const subtitle = `The first ${pairs.length} of ${count} synthetic pairs, each with the labels it was generated for.`;
  return renderGallery({ title: 'Generated pairs', subtitle, resolution, imageChannels, pairs });
}

async function writeManifest(out: string, journal: GenerationJournal, identity: GenerationIdentity): Promise<void> {
  const { model, seed, count, batch, labels } = identity;
  const head = { software: `emixer ${SOFTWARE_VERSION}`, model: { sha256: model }, seed, count, batch, labels };
  const tables: TableName[] = ['split', 'chexpert', 'metadata'];
  const lines = async function* () {
    yield `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "files": {\n`;
    for (const name of [...tables.map(tableFile), GALLERY]) yield fileLine(name, await sha256OfFile(join(out, name)));
    let index = 0;
    for await (const { image, report } of journal.pairs()) {
      const { imageFile, reportFile } = placeOf(seed, index++);
      yield `${fileLine(imageFile, image)}${fileLine(reportFile, report, index === count ? '' : ',')}`;
    }
    yield '  }\n}\n';
  };
  const partial = join(out, `.${MANIFEST}.partial`);
  await pipeline(lines, createWriteStream(partial, { flush: true }));
  await rename(partial, join(out, MANIFEST));
}

const fileLine = (name: string, hash: string, end = ','): string => `    ${JSON.stringify(name)}: "${hash}"${end}\n`;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}
