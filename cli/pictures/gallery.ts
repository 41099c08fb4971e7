/** A sheet of generated pairs: each image with its labels and its report. */
import sharp from 'sharp';
import { type TextStyle, textPath, textWidth, wrapText } from './text.ts';

export interface GalleryPair {
  /** [resolution, resolution, channels], 0..255. */
  readonly pixels: Uint8Array;
  /** Names of the labels that the pair was generated for. */
  readonly labels: readonly string[];
  readonly report: string;
}

export interface Gallery {
  readonly title: string;
  readonly subtitle: string;
  readonly resolution: number;
  readonly imageChannels: 1 | 3;
  readonly pairs: readonly GalleryPair[];
}

const COLUMNS = 3;
const IMAGE = 192;
const TEXT = 236;
const PAD = 12;
const MARGIN = 24;
const HEADER = 76;
const CELL_WIDTH = IMAGE + TEXT + 3 * PAD;
const CELL_HEIGHT = IMAGE + 2 * PAD;
const LINE = 15;

const titleStyle: TextStyle = { size: 22, weight: 'bold' };
const subtitleStyle: TextStyle = { size: 13, fill: '#555' };
const labelStyle: TextStyle = { size: 12, weight: 'bold', fill: '#0b3d66' };
const reportStyle: TextStyle = { size: 11.5, fill: '#222' };

/** The gallery as a PNG. */
export async function renderGallery(gallery: Gallery): Promise<Buffer> {
  const { pairs } = gallery;
  const columns = Math.max(1, Math.min(COLUMNS, pairs.length));
  const rows = Math.max(1, Math.ceil(pairs.length / columns));
  const titleWidth = Math.max(textWidth(gallery.title, titleStyle), textWidth(gallery.subtitle, subtitleStyle));
  const width = Math.ceil(Math.max(2 * MARGIN + columns * CELL_WIDTH + (columns - 1) * PAD, 2 * MARGIN + titleWidth));
  const height = HEADER + MARGIN + rows * (CELL_HEIGHT + PAD);
  const placed = pairs.map((pair, i) => ({
    pair,
    x: MARGIN + (i % columns) * (CELL_WIDTH + PAD),
    y: HEADER + Math.floor(i / columns) * (CELL_HEIGHT + PAD),
  }));
  const svg = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">`,
    `<rect width="${width}" height="${height}" fill="#f3f4f6"/>`,
    textPath(gallery.title, MARGIN, 38, titleStyle),
    textPath(gallery.subtitle, MARGIN, 60, subtitleStyle),
    ...placed.map(({ pair, x, y }) => cell(pair, x, y)),
    '</svg>',
  ].join('');
  const images = await Promise.all(
    placed.map(async ({ pair, x, y }) => ({
      input: await enlarged(pair.pixels, gallery.resolution, gallery.imageChannels),
      left: x + PAD,
      top: y + PAD,
    })),
  );
  return sharp(Buffer.from(svg)).composite(images).png({ compressionLevel: 9 }).toBuffer();
}

function cell({ labels, report }: GalleryPair, x: number, y: number): string {
  const left = x + IMAGE + 2 * PAD;
  const labelLines = wrapText(labels.length === 0 ? 'no label' : labels.join(', '), TEXT, 3, labelStyle);
  const room = Math.floor((CELL_HEIGHT - 2 * PAD - labelLines.length * LINE - 8) / LINE);
  const text = readableReport(report);
  const reportLines = wrapText(text === '' ? '(empty report)' : text, TEXT, room, reportStyle);
  return [
    `<rect x="${x}" y="${y}" width="${CELL_WIDTH}" height="${CELL_HEIGHT}" rx="4" fill="#fff" stroke="#d0d4da"/>`,
    ...labelLines.map((line, i) => textPath(line, left, y + PAD + 11 + i * LINE, labelStyle)),
    ...reportLines.map((line, i) => textPath(line, left, y + PAD + 19 + (labelLines.length + i) * LINE, reportStyle)),
  ].join('');
}

/** Enlarged without smoothing beyond what the eye needs: the pixels are what the model made. */
function enlarged(pixels: Uint8Array, resolution: number, channels: 1 | 3): Promise<Buffer> {
  return sharp(pixels, { raw: { width: resolution, height: resolution, channels } })
    .resize(IMAGE, IMAGE, { kernel: 'cubic' })
    .png()
    .toBuffer();
}

/** "the heart is normal . no effusion ." as a person writes it. The words stay what the model said. */
export function readableReport(report: string): string {
  return report
    .split(/\s*\.(?:\s+|$)/)
    .map(sentence => sentence.trim())
    .filter(sentence => sentence !== '')
    .map(sentence => `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`)
    .join(' ');
}
