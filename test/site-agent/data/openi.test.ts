import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LABELS } from '#model/labels.ts';
import { openi } from '#site-agent/data/openi.ts';
import { labelsOfMesh } from '#site-agent/data/openi-labels.ts';
import { readAll, temporaryFolder } from '../../support/phantoms.ts';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const real = join(process.env['EMIXER_DATA'] ?? resolve(repository, '../shared/data'), 'openi');

/** A report in the form of the collection's, invented. */
const report = ({
  uid = 'CXR9',
  findings = 'Heart &lt; normal &amp; clear.',
  majors = ['Cardiomegaly/mild'],
  images = ['A'],
  head = '',
}) =>
  `<?xml version="1.0" encoding="utf-8"?>${head}<eCitation><uId id="${uid}"/><MedlineCitation><Article><Abstract>
   <AbstractText Label="COMPARISON">None.</AbstractText><AbstractText Label="INDICATION">Cough</AbstractText>
   <AbstractText Label="FINDINGS">${findings}</AbstractText><AbstractText Label="IMPRESSION"/>
   </Abstract></Article></MedlineCitation><MeSH>${majors.map(major => `<major>${major}</major>`).join('')}</MeSH>
   ${images.map(id => `<parentImage id="${id}"><panel/></parentImage>`).join('')}</eCitation>`;

async function collection(reports: Readonly<Record<string, string>>, images: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'ecgen-radiology'));
  await mkdir(join(folder, 'NLMCXR_png'));
  for (const [name, text] of Object.entries(reports)) await writeFile(join(folder, 'ecgen-radiology', name), text);
  for (const name of images) await writeFile(join(folder, 'NLMCXR_png', name), 'not looked at by the loader');
  return folder;
}

describe('Open-i', () => {
  it('yields every image that a report lists, png or jpg, with findings and impression', async () => {
    const folder = await collection({ '9.xml': report({ images: ['A', 'B', 'C'] }) }, ['A.png', 'B.jpg', 'stray.png']);
    const { records, skipped } = await readAll(openi, folder);
    expect(records.map(({ patient, study, image, report }) => ({ patient, study, image, report }))).toEqual([
      { patient: 'CXR9', study: 'CXR9', image: 'A', report: 'Heart < normal & clear.' },
      { patient: 'CXR9', study: 'CXR9', image: 'B', report: 'Heart < normal & clear.' },
    ]);
    expect(records[0]?.labels.Cardiomegaly).toBe(1);
    expect(skipped).toEqual([
      { path: 'NLMCXR_png/C', reason: 'listed, but absent' },
      { path: 'NLMCXR_png/stray.png', reason: 'present, but no report lists it' },
    ]);
  });

  it('gives a report without text no report', async () => {
    const folder = await collection({ '9.xml': report({ findings: '' }) }, ['A.png']);
    expect((await readAll(openi, folder)).records[0]?.report).toBeNull();
  });

  it('refuses document types and entities, bad XML, other XML, traversal and links out, each by name', async () => {
    const bomb = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>';
    const external = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>';
    const folder = await collection(
      {
        '1.xml': report({ uid: 'CXR1', head: bomb, findings: '&b;' }),
        '2.xml': report({ uid: 'CXR2', head: external, findings: '&a;' }),
        '3.xml': '<eCitation><uId id="CXR3"',
        '4.xml': '<other/>',
        '5.xml': report({ uid: 'CXR5', images: ['../../secret', 'linked'] }),
        '6.xml': `${report({ uid: 'CXR6' })}${' '.repeat(2 ** 20)}`,
        '7.xml': report({ uid: 'CXR5' }),
      },
      [],
    );
    const outside = join(await temporaryFolder(), 'x.png');
    await writeFile(outside, 'x');
    await symlink(outside, join(folder, 'NLMCXR_png', 'linked.png'));
    const { records, skipped } = await readAll(openi, folder);
    expect(records).toEqual([]);
    expect(skipped.filter(({ reason }) => !reason.startsWith('present'))).toEqual([
      { path: 'ecgen-radiology/1.xml', reason: expect.stringContaining('document type') },
      { path: 'ecgen-radiology/2.xml', reason: expect.stringContaining('document type') },
      { path: 'ecgen-radiology/3.xml', reason: 'not well-formed XML' },
      { path: 'ecgen-radiology/4.xml', reason: expect.stringContaining('not an Open-i report') },
      { path: 'NLMCXR_png/../../secret', reason: 'an id that is no Open-i image id' },
      { path: 'NLMCXR_png/linked', reason: 'a symbolic link out of the folder' },
      { path: 'ecgen-radiology/6.xml', reason: 'larger than 1024 KiB' },
      { path: 'ecgen-radiology/7.xml', reason: 'a second report of the same study' },
    ]);
  });

  it('names the folder that is missing', async () => {
    await expect(readAll(openi, await temporaryFolder())).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringContaining('ecgen-radiology'),
    });
  });

  it('never throws on a mutated report', async () => {
    const whole = report({ majors: ['Opacity/lung', 'normal'] });
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), fc.nat(40), fc.string({ maxLength: 20 }), async (at, cut, insert) => {
        const folder = await collection({ '9.xml': whole.slice(0, at) + insert + whole.slice(at + cut) }, ['A.png']);
        const { records, skipped } = await readAll(openi, folder);
        expect(records.length + skipped.length).toBeGreaterThan(0);
      }),
      { numRuns: 60 },
    );
  });
});

describe('labels of MeSH headings', () => {
  it('are positive where a heading says so, negative elsewhere, missing where nothing was indexed', () => {
    const labels = labelsOfMesh(['Thickening/pleura/apex/right', 'Cardiac Shadow/enlarged', 'Opacity/lung/base']);
    expect(
      Object.entries(labels)
        .filter(([, value]) => value === 1)
        .map(([label]) => label),
    ).toEqual(['Cardiomegaly', 'Lung Opacity', 'Pleural Other']);
    expect(Object.keys(labels)).toHaveLength(LABELS.length);
    expect(labelsOfMesh(['normal'])).toMatchObject({ 'No Finding': 1, Cardiomegaly: 0 });
    expect(labelsOfMesh(['Cardiac Shadow/prominent'])).toMatchObject({ 'No Finding': 0, Cardiomegaly: 0 });
    expect(labelsOfMesh(['No Indexing'])).toEqual({});
    expect(labelsOfMesh([])).toEqual({});
  });
});

describe.skipIf(!existsSync(real))('the real Open-i collection (skipped: EMIXER_DATA holds no openi)', () => {
  it('has 3,054 images of 2,952 patients, whose labels agree with mesh-derived-labels.csv', {
    timeout: 120_000,
  }, async () => {
    const { records, skipped } = await readAll(openi, real);
    expect(records).toHaveLength(3054);
    expect(new Set(records.map(record => record.patient)).size).toBe(2952);
    expect(new Set(skipped.map(({ reason }) => reason))).toEqual(new Set(['listed, but absent']));
    const rows: Record<string, string>[] = parse(await readFile(join(real, 'mesh-derived-labels.csv')), {
      columns: true,
    });
    const given = new Map(rows.map(row => [row['image'], row]));
    let disagreements = 0;
    for (const record of records) {
      const row = given.get(record.image);
      for (const label of LABELS) {
        if (label !== 'No Finding' && (record.labels[label] === 1) !== (row?.[label] === '1')) disagreements++;
      }
    }
    expect(disagreements).toBe(0);
  });
});
