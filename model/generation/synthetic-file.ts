/**
 * A set of synthetic pairs as one safetensors file: "images" U8 [N, H, W, C], "labels" U8 [N, K] and "reports" U8 [M],
 * JSON lines {"report": string}, one a pair. This file is what is audited, and what is released.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { openSafetensors, writeSafetensors } from '#model/checkpoint/safetensors.ts';
import { FedError } from '#proto/errors.ts';

export interface SyntheticShape {
  readonly resolution: number;
  readonly imageChannels: number;
  readonly labels: number;
}

export interface SyntheticBatch {
  /** [B, H, W, C], 0..255. */
  readonly pixels: Uint8Array;
  /** [B, K] of 0 and 1. */
  readonly labels: Uint8Array;
  readonly reports: readonly string[];
}

const PARTS = ['images', 'labels', 'reports'] as const;
type Part = (typeof PARTS)[number];

/** Appends batches to three part files beside the target, so that memory does not grow with the number of pairs. */
export class SyntheticWriter {
  readonly #path: string;
  readonly #shape: SyntheticShape;
  readonly #files: Record<Part, FileHandle>;
  #pairs = 0;
  #reportBytes = 0;

  private constructor(path: string, shape: SyntheticShape, files: Record<Part, FileHandle>) {
    this.#path = path;
    this.#shape = shape;
    this.#files = files;
  }

  static async create(path: string, shape: SyntheticShape): Promise<SyntheticWriter> {
    const [images, labels, reports] = await Promise.all(PARTS.map(part => open(`${path}.${part}`, 'w')));
    return new SyntheticWriter(path, shape, { images, labels, reports } as Record<Part, FileHandle>);
  }

  async append({ pixels, labels, reports }: SyntheticBatch): Promise<void> {
    const lines = Buffer.from(reports.map(report => `${JSON.stringify({ report })}\n`).join(''));
    await this.#files.images.writeFile(pixels);
    await this.#files.labels.writeFile(labels);
    await this.#files.reports.writeFile(lines);
    this.#pairs += reports.length;
    this.#reportBytes += lines.byteLength;
  }

  /** Assembles the parts into the file, atomically, and removes them. */
  async finish(): Promise<void> {
    const { resolution, imageChannels, labels } = this.#shape;
    for (const part of PARTS) await this.#files[part].close();
    const data = (part: Part): AsyncIterable<Uint8Array> => createReadStream(`${this.#path}.${part}`);
    await writeSafetensors(this.#path, [
      {
        name: 'images',
        dtype: 'U8',
        shape: [this.#pairs, resolution, resolution, imageChannels],
        data: data('images'),
      },
      { name: 'labels', dtype: 'U8', shape: [this.#pairs, labels], data: data('labels') },
      { name: 'reports', dtype: 'U8', shape: [this.#reportBytes], data: data('reports') },
    ]);
    for (const part of PARTS) await rm(`${this.#path}.${part}`);
  }
}

export interface SyntheticSet extends SyntheticShape {
  readonly count: number;
  readonly pixels: Uint8Array;
  readonly labelRows: Uint8Array;
  readonly reports: readonly string[];
}

/**
 * Reads a whole set; `count` is checked against every part.
 * @throws FedError FILE_CORRUPT when the parts do not describe the same number of pairs
 */
export async function readSyntheticSet(path: string): Promise<SyntheticSet> {
  const file = await openSafetensors(path);
  try {
    const images = file.entries.get('images')?.shape ?? [];
    const labels = file.entries.get('labels')?.shape ?? [];
    const [count = 0, resolution = 0, , imageChannels = 0] = images;
    const pixels = await file.read('images');
    const labelRows = await file.read('labels');
    const reports = parseReports(Buffer.from(await file.read('reports')).toString('utf8'), path);
    if (images.length !== 4 || labels.length !== 2 || labels[0] !== count || reports.length !== count) {
      throw corrupt(path, `images [${images}], labels [${labels}], ${reports.length} reports`);
    }
    return { count, resolution, imageChannels, labels: labels[1] ?? 0, pixels, labelRows, reports };
  } finally {
    await file.close();
  }
}

function parseReports(text: string, path: string): string[] {
  const lines = text.split('\n').filter(line => line !== '');
  return lines.map(line => {
    const value: unknown = safeParse(line);
    const report = (value as { report?: unknown } | null)?.report;
    if (typeof report !== 'string') throw corrupt(path, 'a line of "reports" is not {"report": string}');
    return report;
  });
}

function safeParse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

const corrupt = (path: string, came: string): FedError =>
  new FedError('FILE_CORRUPT', `expected a synthetic set in ${path}; its parts disagree: ${came}`, 'generate it again');
