import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeSafetensors } from '#model/checkpoint/safetensors.ts';
import { readSyntheticSet, SyntheticWriter } from '#model/generation/synthetic-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'synthetic-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('synthetic sets', () => {
  it('come back as they were appended, and leave no part files', async () => {
    const path = join(folder, 'set.safetensors');
    const writer = await SyntheticWriter.create(path, { resolution: 2, imageChannels: 1, labels: 3 });
    await writer.append({
      pixels: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
      labels: Uint8Array.of(1, 0, 0, 0, 1, 0),
      reports: ['the heart is normal .', 'naïve "quotes"\nand a line break'],
    });
    await writer.append({ pixels: Uint8Array.of(9, 9, 9, 9), labels: Uint8Array.of(0, 0, 0), reports: [''] });
    await writer.finish();
    const set = await readSyntheticSet(path);
    expect(set).toMatchObject({ count: 3, resolution: 2, imageChannels: 1, labels: 3 });
    expect([...set.pixels]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9]);
    expect([...set.labelRows]).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 0]);
    expect(set.reports).toEqual(['the heart is normal .', 'naïve "quotes"\nand a line break', '']);
    expect(await readdir(folder)).toEqual(['set.safetensors']);
  });

  it.each([
    ['fewer reports than images', '{"report":"a"}\n'],
    ['a line that is not JSON', '{"report":"a"}\nnot json\n'],
    ['a line without a report', '{"report":"a"}\n{"text":"b"}\n'],
  ])('refuse %s', async (_, lines) => {
    const path = join(folder, 'set.safetensors');
    await writeSafetensors(path, [
      { name: 'images', dtype: 'U8', shape: [2, 1, 1, 1], data: Uint8Array.of(0, 1) },
      { name: 'labels', dtype: 'U8', shape: [2, 1], data: Uint8Array.of(0, 1) },
      { name: 'reports', dtype: 'U8', shape: [lines.length], data: Buffer.from(lines) },
    ]);
    await expect(readSyntheticSet(path)).rejects.toMatchObject({ code: 'FILE_CORRUPT' });
  });
});
