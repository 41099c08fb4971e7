/** Where pair number i lies in a generated folder, and what its files hold. Ids are made up, and say so by their order. */
import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { studyPath } from '#site-agent/data/mimic-cxr-jpg-writer.ts';
import { readableReport } from '../pictures/gallery.ts';

const FIRST_SUBJECT = 10_000_000;
const FIRST_STUDY = 50_000_000;
const JPEG_QUALITY = 95;

export interface PairPlace {
  readonly subject: string;
  readonly study: string;
  readonly image: string;
  /** Relative to the folder, with "/". */
  readonly imageFile: string;
  readonly reportFile: string;
}

/** One patient with one study of one image a pair. */
export function placeOf(seed: number, index: number): PairPlace {
  const subject = String(FIRST_SUBJECT + index);
  const study = String(FIRST_STUDY + index);
  const digest = createHash('sha256').update(`generated ${seed} ${index}`).digest('hex');
  // Five groups of eight, as MIMIC-CXR-JPG's file names.
  const image = [0, 8, 16, 24, 32].map(at => digest.slice(at, at + 8)).join('-');
  const folder = studyPath(subject, study);
  return { subject, study, image, imageFile: `${folder}/${image}.jpg`, reportFile: `${folder}.txt` };
}

/** The whole text of a report file; findSections reads it back. */
export const reportText = (report: string): string => `FINDINGS: ${readableReport(report)}\n`;

/** @param pixels [resolution, resolution, channels] */
export const jpegOf = (pixels: Uint8Array, resolution: number, channels: 1 | 3): Promise<Buffer> =>
  sharp(pixels, { raw: { width: resolution, height: resolution, channels } })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .jpeg({ quality: JPEG_QUALITY, chromaSubsampling: '4:4:4' })
    .toBuffer();
