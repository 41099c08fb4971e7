import { access, chmod, open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { LABELS } from '#model/labels.ts';
import { cleanReport, joinReport } from '#model/text/report-cleaner.ts';
import { describe as describeData } from '#site-agent/data/describe.ts';
import { keyedHash, loadOrCreateDataKey } from '#site-agent/data/keyed-hash.ts';
import { mimicCxrJpg } from '#site-agent/data/mimic-cxr-jpg.ts';
import { type PrepareOptions, prepare } from '#site-agent/data/prepare.ts';
import { deletePrepared, openPrepared } from '#site-agent/data/prepared.ts';
import type { Loader } from '#site-agent/data/record.ts';
import { splitPatients } from '#site-agent/data/split.ts';
import { phantomFolder, readAll, temporaryFolder } from '../../support/phantoms.ts';

const key = Buffer.alloc(32, 7);

async function options(patients = 6, overrides: Partial<PrepareOptions> = {}): Promise<PrepareOptions> {
  const folder = overrides.folder ?? (await phantomFolder(patients, 3));
  const out = join(await temporaryFolder(), 'prepared');
  return { loader: mimicCxrJpg, resolution: 32, imageChannels: 1, key, ...overrides, folder, out };
}

const flipByte = async (path: string, position: number) => {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 0xff;
  await file.write(byte, 0, 1, position);
  await file.close();
};

describe('prepare', () => {
  it('keeps labels, reports and pixels from the collection to the prepared set', async () => {
    const given = await options(10);
    const summary = await prepare(given);
    const { records: sources } = await readAll(mimicCxrJpg, given.folder);
    const set = await openPrepared(given.out);
    expect(summary).toMatchObject({ kind: 'mimic-cxr-jpg', records: sources.length, patients: 10, skipped: [] });
    expect(set.records).toHaveLength(sources.length);
    const pixels = await set.readImages(sources.map((_, index) => index));
    for (const [index, source] of sources.entries()) {
      const record = set.records[index];
      expect(record?.index).toBe(index);
      expect(record?.labels).toEqual(LABELS.map(label => source.labels[label] ?? null));
      expect(record?.report).toBe(joinReport(cleanReport(source.report ?? '')));
      expect(record?.patient).toBe(keyedHash(key, 'patient', source.patient));
      const expected = await sharp(source.imagePath).resize(32, 32).toColourspace('b-w').raw().toBuffer();
      const image = pixels.subarray(index * 1024, (index + 1) * 1024);
      const worst = expected.reduce((most, value, at) => Math.max(most, Math.abs(value - (image[at] ?? -255))), 0);
      expect(worst).toBeLessThanOrEqual(1);
    }
  });

  it('hides the ids, and is for its owner only', async () => {
    const given = await options();
    await prepare(given);
    const { records } = await readAll(mimicCxrJpg, given.folder);
    const stored = await readFile(join(given.out, 'records.jsonl'), 'utf8');
    for (const { patient, study, image } of records) {
      for (const id of [patient, study, image]) expect(stored).not.toContain(id);
    }
    expect((await stat(given.out)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(given.out)) expect((await stat(join(given.out, name))).mode & 0o077).toBe(0);
  });

  it('is the same for the same key and settings, and split otherwise under another key', async () => {
    const first = await options(10);
    const second = { ...first, out: `${first.out}-2` };
    const other = { ...first, out: `${first.out}-3`, key: Buffer.alloc(32, 8) };
    for (const given of [first, second, other]) await prepare(given);
    const [a, b, c] = await Promise.all([first, second, other].map(given => openPrepared(given.out)));
    expect(b?.manifest).toEqual(a?.manifest);
    expect(b?.records).toEqual(a?.records);
    expect(c?.records.map(record => record.split)).not.toEqual(a?.records.map(record => record.split));
    expect(c?.manifest.sourcesSha256).toBe(a?.manifest.sourcesSha256);
  });

  it('gives three equal channels, pads what is not square, and takes only the patients asked for', async () => {
    const given = await options(10, { imageChannels: 3 });
    const { records } = await readAll(mimicCxrJpg, given.folder);
    const wide = records[0]?.imagePath ?? '';
    await writeFile(
      wide,
      await sharp(await readFile(wide))
        .resize(400, 200, { fit: 'fill' })
        .linear(1, 40)
        .jpeg()
        .toBuffer(),
    );
    const patient = records[0]?.patient ?? '';
    const summary = await prepare({ ...given, patients: new Set([patient]) });
    expect(summary.records).toBe(records.filter(record => record.patient === patient).length);
    const set = await openPrepared(given.out);
    const image = await set.readImages([0]);
    expect(image).toHaveLength(32 * 32 * 3);
    const rowMean = (row: number) =>
      image.subarray(row * 96, (row + 1) * 96).reduce((sum, value) => sum + value, 0) / 96;
    expect(rowMean(2)).toBe(0);
    expect(rowMean(29)).toBe(0);
    expect(rowMean(16)).toBeGreaterThan(40);
    for (let at = 0; at < image.length; at += 3) expect(image[at + 1]).toBe(image[at]);
  });

  it('skips empty, truncated, tiny, constant and foreign files by name, in the summary, the manifest and describe', async () => {
    const given = await options(10);
    const { records } = await readAll(mimicCxrJpg, given.folder);
    const bad = records.slice(0, 6);
    const path = (index: number) => bad[index]?.imagePath ?? '';
    const grey = { width: 64, height: 64, channels: 3, background: '#777777' } as const;
    await truncate(path(0), 0);
    await truncate(path(1), Math.floor((await stat(path(1))).size / 2));
    await writeFile(path(2), await sharp(path(5)).resize(16, 16).jpeg().toBuffer());
    await writeFile(path(3), await sharp({ create: grey }).jpeg().toBuffer());
    await writeFile(path(4), '<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"/>');
    await writeFile(path(5), pngHeader(60_000, 60_000));
    const expected = [
      'empty: zero bytes',
      'truncated',
      'tiny: 16 x 16 pixels, expected at least 32 each way',
      'constant: every pixel has the same grey',
      'neither a JPEG nor a PNG',
      'declares more than 100000000 pixels',
    ].map((reason, index) => ({ path: path(index).slice(given.folder.length + 1), reason }));
    const summary = await prepare(given);
    expect(summary.skipped).toEqual(expected);
    const set = await openPrepared(given.out);
    expect(set.manifest.skippedFiles).toEqual(expected);
    const description = await describeData({ loader: mimicCxrJpg, folder: given.folder, key });
    expect(description.skipped).toEqual(expected);
    expect(description).toMatchObject({ images: summary.records, splits: summary.splits, labels: summary.labels });
  });

  it('refuses a collection without usable records, and leaves nothing behind', async () => {
    const given = await options();
    for (const { imagePath } of (await readAll(mimicCxrJpg, given.folder)).records) await truncate(imagePath, 0);
    await expect(prepare(given)).rejects.toMatchObject({
      code: 'NO_USABLE_RECORDS',
      exitCode: 3,
      message: expect.stringContaining('empty: zero bytes'),
    });
    expect(await readdir(join(given.out, '..'))).toEqual([]);
  });

  it('keeps the old set when a new preparation fails or is interrupted, and clears its draft on a full disk', async () => {
    const given = await options();
    await prepare(given);
    const before = await openPrepared(given.out);
    const full: Loader = {
      kind: 'full',
      async *records(folder, skip) {
        yield* mimicCxrJpg.records(folder, skip);
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      },
    };
    await expect(prepare({ ...given, loader: full })).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(prepare({ ...given, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'CANCELLED' });
    expect((await openPrepared(given.out)).manifest).toEqual(before.manifest);
    expect(await readdir(join(given.out, '..'))).toEqual(['prepared']);
    await deletePrepared(given.out);
    await expect(access(given.out)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(openPrepared(given.out)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a damaged prepared set', () => {
  it.each([
    ['a truncated pixel file', (dir: string) => truncate(join(dir, 'pixels.u8'), 100)],
    ['a changed record', (dir: string) => flipByte(join(dir, 'records.jsonl'), 5)],
    ['a changed checksum', (dir: string) => flipByte(join(dir, 'pixels.crc32'), 1)],
    ['a changed manifest', (dir: string) => writeFile(join(dir, 'manifest.json'), '{}')],
  ])('is found when it is opened: %s', async (_, damage) => {
    const given = await options();
    await prepare(given);
    await damage(given.out);
    await expect(openPrepared(given.out)).rejects.toMatchObject({ code: 'FILE_CORRUPT', exitCode: 3 });
  });

  it('is found when a changed pixel is read, wherever it is', async () => {
    const given = await options();
    await prepare(given);
    const set = await openPrepared(given.out);
    await flipByte(join(given.out, 'pixels.u8'), 2 * 1024 + 77);
    await expect(set.readImages([1, 2])).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
    expect(await set.readImages([1, 0])).toHaveLength(2048);
    await expect(set.readImages([set.records.length])).rejects.toMatchObject({ code: 'USAGE' });
    await expect(set.readImages([-1])).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('splits', () => {
  it('put every patient in one split, with the shares asked for, whatever the order', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string(), { minLength: 3, maxLength: 200 }),
        fc.uint8Array({ minLength: 8 }),
        (ids, salt) => {
          const split = splitPatients(ids, salt);
          expect(split.size).toBe(ids.length);
          expect(splitPatients([...ids].reverse(), salt)).toEqual(split);
          const sizes = { train: 0, validation: 0, test: 0 };
          for (const part of split.values()) sizes[part]++;
          expect(sizes.test).toBe(Math.max(1, Math.round(0.15 * ids.length)));
          expect(sizes.validation).toBe(sizes.test);
          expect(sizes.train).toBeGreaterThan(0);
        },
      ),
    );
  });

  it('share no patient in a prepared set', async () => {
    const given = await options(10);
    await prepare(given);
    const splits = new Map<string, string>();
    for (const { patient, split } of (await openPrepared(given.out)).records) {
      expect(splits.get(patient) ?? split).toBe(split);
      splits.set(patient, split);
    }
    expect(new Set(splits.values())).toEqual(new Set(['train', 'validation', 'test']));
  });
});

describe('the data key', () => {
  it('is made once, readable by its owner, and a damaged one is not replaced', async () => {
    const file = join(await temporaryFolder(), 'state', 'data.key');
    const made = await loadOrCreateDataKey(file);
    expect(made).toHaveLength(32);
    expect(await loadOrCreateDataKey(file)).toEqual(made);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await chmod(file, 0o600);
    await truncate(file, 31);
    await expect(loadOrCreateDataKey(file)).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
  });
});

/** A PNG that declares a size and has no pixels. */
function pngHeader(width: number, height: number): Buffer {
  const header = Buffer.alloc(33);
  Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex').copy(header);
  header.writeUInt32BE(width, 16);
  header.writeUInt32BE(height, 20);
  header.set([8, 0, 0, 0, 0], 24);
  header.writeUInt32BE(crc(header.subarray(12, 29)), 29);
  return Buffer.concat([header, Buffer.from('000000004944415435af061e0000000049454e44ae426082', 'hex')]);
}

function crc(bytes: Uint8Array): number {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return ~value >>> 0;
}
