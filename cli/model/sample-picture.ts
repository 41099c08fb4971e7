/** A sheet of samples as a picture and as text: one row a label. */
import sharp from 'sharp';
import type { SampleRow } from '#model/generation/sample-sheet.ts';
import { readableReport } from '../pictures/gallery.ts';
import { type TextStyle, textPath, textWidth } from '../pictures/text.ts';

const CELL = 96;
const GAP = 4;
const style: TextStyle = { size: 13 };

export interface SheetPicture {
  readonly png: Buffer;
  readonly width: number;
  readonly height: number;
}

export async function sheetPicture(
  rows: readonly SampleRow[],
  resolution: number,
  channels: 1 | 3,
): Promise<SheetPicture> {
  const imageBytes = resolution ** 2 * channels;
  const columns = Math.max(0, ...rows.map(({ pixels }) => pixels.length / imageBytes));
  const margin = Math.ceil(Math.max(0, ...rows.map(({ label }) => textWidth(label, style)))) + 2 * GAP;
  const width = margin + columns * (CELL + GAP);
  const height = rows.length * (CELL + GAP) + GAP;
  const names = rows.map(({ label }, row) => textPath(label, GAP, GAP + row * (CELL + GAP) + CELL / 2, style));
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="${width}" height="${height}" fill="#fff"/>${names.join('')}</svg>`;
  const images = rows.flatMap(({ pixels }, row) =>
    Array.from({ length: pixels.length / imageBytes }, async (_, column) => ({
      input: await sharp(pixels.subarray(column * imageBytes, (column + 1) * imageBytes), {
        raw: { width: resolution, height: resolution, channels },
      })
        .resize(CELL, CELL, { kernel: 'cubic' })
        .png()
        .toBuffer(),
      left: margin + column * (CELL + GAP),
      top: GAP + row * (CELL + GAP),
    })),
  );
  const png = await sharp(Buffer.from(svg))
    .composite(await Promise.all(images))
    .removeAlpha()
    .png()
    .toBuffer();
  return { png, width, height };
}

/** The reports under their labels, as Markdown, which is readable as it is. */
export const sheetText = (rows: readonly SampleRow[]): string =>
  rows
    .map(({ label, reports }) => {
      const lines = reports.map((report, i) => `${i + 1}. ${readableReport(report) || '(empty report)'}`);
      return `${label}\n\n${lines.join('\n')}\n`;
    })
    .join('\n');
