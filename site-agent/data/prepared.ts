/** A site's prepared set on disk: a flat pixel file read at positions, records as JSON lines, a manifest. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, read } from 'node:fs';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { type Static, Type } from 'typebox';
import { FedError } from '#proto/errors.ts';
import { parseWith } from '#proto/validate.ts';
import type { PreparedRecord } from './record.ts';

const closed = { additionalProperties: false };
const count = Type.Integer({ minimum: 0 });
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

export const ManifestSchema = Type.Object(
  {
    /** 2 says where findings end and which images are duplicates. */
    version: Type.Literal(2),
    kind: Type.String(),
    resolution: Type.Integer({ minimum: 1, maximum: 1024 }),
    imageChannels: Type.Union([Type.Literal(1), Type.Literal(3)]),
    fit: Type.Union([Type.Literal('pad'), Type.Literal('crop')]),
    records: Type.Integer({ minimum: 1 }),
    patients: count,
    studies: count,
    reports: count,
    duplicateImages: count,
    splits: Type.Object({ train: count, validation: count, test: count }, closed),
    /** Over kind, settings and split shares: equal for equal preparations. */
    settingsSha256: sha256,
    /** Over every used image file's content, report and labels, in order. */
    sourcesSha256: sha256,
    recordsSha256: sha256,
    checksSha256: sha256,
    skipped: count,
    /** The first of them, by name. */
    skippedFiles: Type.Array(Type.Object({ path: Type.String(), reason: Type.String() }, closed)),
  },
  closed,
);
export type Manifest = Static<typeof ManifestSchema>;

export const preparedFiles = (dir: string) => ({
  manifest: join(dir, 'manifest.json'),
  records: join(dir, 'records.jsonl'),
  pixels: join(dir, 'pixels.u8'),
  /** CRC-32 of each record's pixels, little endian: a changed byte is found when it is read, not by reading all. */
  checks: join(dir, 'pixels.crc32'),
});

export interface PreparedSet {
  readonly manifest: Manifest;
  readonly records: readonly PreparedRecord[];
  readonly resolution: number;
  readonly imageChannels: 1 | 3;
  /**
   * Pixels of the records at these positions, in this order.
   * @returns uint8, [N, resolution, resolution, imageChannels]
   * @throws FedError FILE_CORRUPT when what is read is not what was written; USAGE on an index that does not exist
   */
  readImages(indices: readonly number[]): Promise<Uint8Array>;
}

const corrupt = (what: string): FedError =>
  new FedError('FILE_CORRUPT', `the prepared set is damaged: ${what}`, 'prepare the data again');

/**
 * Opens a prepared set; only its records are held in memory.
 * @throws FedError NOT_FOUND where there is none, FILE_CORRUPT when a file is missing, truncated or changed
 */
export async function openPrepared(dir: string): Promise<PreparedSet> {
  const files = preparedFiles(dir);
  const manifest = await readManifest(files.manifest);
  const recordBytes = await readFile(files.records).catch(() => Promise.reject(corrupt('records.jsonl is missing')));
  const checkBytes = await readFile(files.checks).catch(() => Promise.reject(corrupt('pixels.crc32 is missing')));
  if (digest(recordBytes) !== manifest.recordsSha256) throw corrupt('records.jsonl has changed');
  if (digest(checkBytes) !== manifest.checksSha256) throw corrupt('pixels.crc32 has changed');
  const imageBytes = manifest.resolution ** 2 * manifest.imageChannels;
  const pixels = await stat(files.pixels).catch(() => Promise.reject(corrupt('pixels.u8 is missing')));
  if (pixels.size !== imageBytes * manifest.records) {
    throw corrupt(`pixels.u8 has ${pixels.size} bytes, expected ${imageBytes * manifest.records}`);
  }
  const records = parseLines(recordBytes);
  if (records.length !== manifest.records || checkBytes.length !== 4 * manifest.records) {
    throw corrupt(`${records.length} records, expected ${manifest.records}`);
  }
  return {
    manifest,
    records,
    resolution: manifest.resolution,
    imageChannels: manifest.imageChannels,
    readImages: indices => readImages(files.pixels, checkBytes, imageBytes, indices),
  };
}

/** Deletes a prepared set and everything that an interrupted preparation left beside it. */
export async function deletePrepared(dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  await rm(draftOf(dir), { recursive: true, force: true });
  await rm(retiredOf(dir), { recursive: true, force: true });
}

/** Where a preparation writes before it is whole, and where the set it replaces waits for the change. */
export const draftOf = (dir: string): string => `${dir}.preparing`;
export const retiredOf = (dir: string): string => `${dir}.replaced`;

async function readManifest(path: string): Promise<Manifest> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new FedError('NOT_FOUND', 'expected a prepared set, found none', 'run `emixer site prepare` first');
  }
  try {
    return parseWith(ManifestSchema, JSON.parse(text), 'manifest.json');
  } catch {
    throw corrupt('manifest.json does not hold a manifest');
  }
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Line by line: one string of a large set would exceed what a JavaScript string can hold. */
function parseLines(bytes: Buffer): PreparedRecord[] {
  const records: PreparedRecord[] = [];
  for (let from = 0; from < bytes.length; ) {
    const newline = bytes.indexOf(10, from);
    const to = newline < 0 ? bytes.length : newline;
    records.push(JSON.parse(bytes.toString('utf8', from, to)) as PreparedRecord);
    from = to + 1;
  }
  return records;
}

const readAt = promisify(read);

/**
 * Every read is under way before this first waits: the next batch then arrives while TensorFlow computes, during which
 * nothing else of this program can run.
 */
async function readImages(
  path: string,
  checks: Buffer,
  imageBytes: number,
  indices: readonly number[],
): Promise<Uint8Array> {
  const result = new Uint8Array(indices.length * imageBytes);
  const file = openSync(path, 'r');
  const reads: Promise<void>[] = [];
  try {
    for (let at = 0; at < indices.length; ) {
      const first = indices[at] as number;
      // Neighbours on disk are read at once.
      let run = 1;
      while (at + run < indices.length && indices[at + run] === first + run) run++;
      if (!Number.isInteger(first) || first < 0 || 4 * (first + run) > checks.length) {
        throw new FedError('USAGE', `expected records 0 to ${checks.length / 4 - 1}, got ${first}`);
      }
      const into = result.subarray(at * imageBytes, (at + run) * imageBytes);
      reads.push(
        readAt(file, into, 0, into.length, first * imageBytes).then(({ bytesRead }) => {
          if (bytesRead !== into.length) throw corrupt('pixels.u8 is truncated');
        }),
      );
      at += run;
    }
    await Promise.all(reads);
  } finally {
    // A number that is closed under a read may already be another file's.
    await Promise.allSettled(reads);
    closeSync(file);
  }
  for (const [at, index] of indices.entries()) {
    const image = result.subarray(at * imageBytes, (at + 1) * imageBytes);
    if (crc32(image) !== checks.readUInt32LE(4 * index)) throw corrupt(`pixels of record ${index} have changed`);
  }
  return result;
}
