import { mkdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { LABELS } from '#model/labels.ts';
import { describe as describeData } from '#site-agent/data/describe.ts';
import { mimicCxrJpg } from '#site-agent/data/mimic-cxr-jpg.ts';
import { DEFAULT_PRIOR } from '#site-agent/data/phantom/findings.ts';
import { drawPatient } from '#site-agent/data/phantom/patient.ts';
import { editTable, phantomFolder, readAll, temporaryFolder } from '../../support/phantoms.ts';

const METADATA = 'mimic-cxr-2.0.0-metadata.csv.gz';

describe('MIMIC-CXR-JPG', () => {
  it('reads back what the phantoms wrote: images, labels with their mask, reports', async () => {
    const folder = await phantomFolder(5, 1);
    const { records, skipped } = await readAll(mimicCxrJpg, folder);
    expect(skipped).toEqual([]);
    const drawn = Array.from({ length: 5 }, (_, index) => drawPatient(1, index, DEFAULT_PRIOR)).flatMap(patient =>
      patient.studies.flatMap(study => study.exposures.map(exposure => ({ study, exposure }))),
    );
    expect(records.map(record => record.image)).toEqual(drawn.map(({ exposure }) => exposure.id));
    for (const [index, { study }] of drawn.entries()) {
      const record = records[index];
      expect(record?.study).toBe(study.id);
      expect(record?.labels).toEqual(
        Object.fromEntries(LABELS.map(label => [label, study.report.labels[label] ?? null])),
      );
      const text = study.report.text.replace(/\s+/g, ' ');
      const [, findings, impression] = /FINDINGS: (.*) IMPRESSION: (.*)/.exec(text) ?? [];
      expect(record?.report).toBe(`${findings?.trim()}\n\n${impression?.trim()}`);
    }
  });

  it('leaves out lateral views and says so', async () => {
    const folder = await phantomFolder(5);
    await editTable(folder, 'metadata', csv => csv.replace(/,(PA|AP),/, ',LATERAL,'));
    const { skipped } = await readAll(mimicCxrJpg, folder);
    expect(skipped).toEqual([
      { path: expect.stringMatching(/^files\/p10\/p10\d+\/s5\d+\/.*\.jpg$/), reason: 'not a frontal view (LATERAL)' },
    ]);
  });

  it('gives a study without a report no report, and a study without labels none of them', async () => {
    const folder = await phantomFolder(5);
    const before = await readAll(mimicCxrJpg, folder);
    const first = before.records[0];
    await rm(`${dirname(first?.imagePath ?? '')}.txt`);
    await editTable(folder, 'chexpert', csv => `${csv.split('\n')[0]}\n`);
    const { records, skipped } = await readAll(mimicCxrJpg, folder);
    expect(skipped).toEqual([]);
    expect(records[0]?.report).toBeNull();
    expect(Object.values(records[0]?.labels ?? {}).every(value => value === null)).toBe(true);
  });

  it('skips absent images, symbolic links out of the folder, path traversal and repeated ids by name', async () => {
    const folder = await phantomFolder(5);
    const { records } = await readAll(mimicCxrJpg, folder);
    const [absent, linked, repeated] = records;
    const outside = join(await temporaryFolder(), 'secret.jpg');
    await rename(linked?.imagePath ?? '', outside);
    await symlink(outside, linked?.imagePath ?? '');
    await rm(absent?.imagePath ?? '');
    await editTable(folder, 'metadata', csv => {
      const lines = csv.trimEnd().split('\n');
      return [
        ...lines,
        lines[3],
        '../../../secret,10000001,50000001,x,PA,1,1,1,1',
        'a,../..,50000001,x,PA,1,1,1,1',
      ].join('\n');
    });
    const after = await readAll(mimicCxrJpg, folder);
    expect(after.records.map(record => record.image)).toEqual(records.slice(2).map(record => record.image));
    expect(after.skipped.map(({ reason }) => reason)).toEqual([
      'listed, but absent',
      'a symbolic link out of the folder',
      'listed twice',
      'an id that is no MIMIC-CXR id',
      'an id that is no MIMIC-CXR id',
    ]);
    expect(after.skipped[0]?.path).toContain(absent?.image);
    expect(after.skipped[1]?.path).toContain(linked?.image);
    expect(after.skipped[2]?.path).toContain(repeated?.image);
  });

  it('refuses a folder link that leads out, but follows a link to the collection itself', async () => {
    const folder = await phantomFolder(5);
    const elsewhere = await temporaryFolder();
    await rename(join(folder, 'files', 'p10'), join(elsewhere, 'p10'));
    await symlink(join(elsewhere, 'p10'), join(folder, 'files', 'p10'));
    const { records, skipped } = await readAll(mimicCxrJpg, folder);
    expect(records).toEqual([]);
    expect(new Set(skipped.map(({ reason }) => reason))).toEqual(new Set(['a symbolic link out of the folder']));

    const whole = await phantomFolder(5);
    const link = join(elsewhere, 'link');
    await symlink(whole, link);
    expect((await readAll(mimicCxrJpg, link)).records.length).toBeGreaterThan(0);
  });

  it('reads uncompressed tables, a byte-order mark and CRLF', async () => {
    const folder = await phantomFolder(5);
    const before = await readAll(mimicCxrJpg, folder);
    const csv = gunzipSync(await readFile(join(folder, METADATA))).toString('utf8');
    await rm(join(folder, METADATA));
    await writeFile(join(folder, METADATA.replace('.gz', '')), `\ufeff${csv.replaceAll('\n', '\r\n')}`);
    expect(await readAll(mimicCxrJpg, folder)).toEqual(before);
  });

  it.each(['metadata', 'chexpert'])('names the missing table %s', async name => {
    const folder = await phantomFolder(5);
    await rename(join(folder, `mimic-cxr-2.0.0-${name}.csv.gz`), join(folder, `mimic-cxr-2.0.1-${name}.csv.gz`));
    await expect(readAll(mimicCxrJpg, folder)).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining(`mimic-cxr-2.0.0-${name}.csv.gz`),
      remedy: expect.stringContaining(`mimic-cxr-2.0.1-${name}.csv.gz`),
    });
  });

  it('names a missing column and the nearest one', async () => {
    const folder = await phantomFolder(5);
    await editTable(folder, 'metadata', csv => csv.replace('ViewPosition', 'View_Position'));
    await expect(readAll(mimicCxrJpg, folder)).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining('"ViewPosition"'),
      remedy: expect.stringContaining('"View_Position"'),
    });
  });

  it('says that a table is damaged when its gzip is cut off', async () => {
    const folder = await phantomFolder(5);
    await truncate(join(folder, METADATA), 200);
    await expect(readAll(mimicCxrJpg, folder)).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });

  it('says of an empty and of an absent folder what it expected', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'empty'));
    for (const name of ['empty', 'absent']) {
      await expect(describeData({ loader: mimicCxrJpg, folder: join(folder, name) })).rejects.toMatchObject({
        code: 'DATA_INVALID',
        exitCode: 3,
      });
    }
  });
});
