/** An image file of a collection as a small square of bytes. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import sharp from 'sharp';

export interface ImageSettings {
  /** Side of the square in pixels. */
  readonly resolution: number;
  readonly imageChannels: 1 | 3;
  /** How an image that is not square becomes one: black bars, or its middle. */
  readonly fit: 'pad' | 'crop';
}

export type DecodedImage =
  | {
      readonly ok: true /** [resolution, resolution, imageChannels] */;
      readonly pixels: Uint8Array;
      /** Of the file's bytes. */
      readonly sha256: Buffer;
    }
  | { readonly ok: false; readonly reason: string };

const MAX_FILE_BYTES = 64 * 2 ** 20;
/** Declared size, checked before anything is decoded: a bomb of 60,000 x 60,000 is refused by its header. */
const MAX_PIXELS = 100_000_000;
const MIN_SIDE = 32;
/** Grey levels between the darkest and the brightest pixel below which an image shows nothing. */
const MIN_RANGE = 4;

/**
 * Decodes a JPEG or PNG (by content, whatever its name), to grey, to a square, anti-aliased to `resolution`.
 * What cannot be used is told by its reason, never thrown; reasons hold no path and no pixel.
 */
export async function decodeImage(path: string, settings: ImageSettings): Promise<DecodedImage> {
  const read = await readBounded(path);
  if (typeof read === 'string') return { ok: false, reason: read };
  if (!isJpeg(read) && !isPng(read)) return { ok: false, reason: 'neither a JPEG nor a PNG' };
  const { resolution } = settings;
  try {
    const { width, height } = await sharp(read, { limitInputPixels: false }).metadata();
    if (width * height > MAX_PIXELS) return { ok: false, reason: `declares more than ${MAX_PIXELS} pixels` };
    if (Math.min(width, height) < MIN_SIDE) {
      return { ok: false, reason: `tiny: ${width} x ${height} pixels, expected at least ${MIN_SIDE} each way` };
    }
    const { data } = await sharp(read, { failOn: 'truncated', limitInputPixels: MAX_PIXELS, sequentialRead: true })
      .flatten({ background: '#000000' })
      .toColourspace('b-w')
      .resize(resolution, resolution, {
        fit: settings.fit === 'pad' ? 'contain' : 'cover',
        background: '#000000',
        kernel: 'lanczos3',
      })
      .extractChannel(0)
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (data.length !== resolution * resolution) return { ok: false, reason: 'unexpected pixel layout' };
    if (range(data) < MIN_RANGE) return { ok: false, reason: 'constant: every pixel has the same grey' };
    return { ok: true, pixels: settings.imageChannels === 1 ? data : repeated(data), sha256: digest(read) };
  } catch {
    return { ok: false, reason: hasEnd(read) ? 'not decodable' : 'truncated' };
  }
}

async function readBounded(path: string): Promise<Buffer | string> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size === 0) return 'empty: zero bytes';
      if (size > MAX_FILE_BYTES) return `larger than ${MAX_FILE_BYTES / 2 ** 20} MiB`;
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 'listed, but absent';
    return `not readable (${code ?? 'unknown'})`;
  }
}

const digest = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
const isJpeg = (bytes: Buffer): boolean => bytes[0] === 0xff && bytes[1] === 0xd8;
const isPng = (bytes: Buffer): boolean => bytes.subarray(0, 4).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47]));

function range(pixels: Uint8Array): number {
  let low = 255;
  let high = 0;
  for (const value of pixels) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return high - low;
}

function repeated(grey: Uint8Array): Uint8Array {
  const pixels = new Uint8Array(grey.length * 3);
  for (let index = 0; index < grey.length; index++) pixels.fill(grey[index] as number, 3 * index, 3 * index + 3);
  return pixels;
}

/**
 * Whether the file has its format's end. The decoder's own message cannot tell: libvips keeps one buffer of messages
 * for all images that are being decoded, so they come mixed.
 */
function hasEnd(bytes: Buffer): boolean {
  const tail = bytes.subarray(-4096);
  return isPng(bytes) ? tail.includes('IEND') : tail.includes(END_OF_JPEG);
}

const END_OF_JPEG = Buffer.from([0xff, 0xd9]);
