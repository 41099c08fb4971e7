import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { provideSiteData } from '#cli/demo/site-data.ts';
import { writePhantomCollection } from '#site-agent/data/phantom/collection.ts';
import { loaderOf } from '#site-agent/data/registry.ts';

let work: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'site-data-'));
});
afterAll(() => rm(work, { recursive: true, force: true }));
const signal = new AbortController().signal;

describe('provideSiteData', () => {
  it('shares a real collection out so that every record is at exactly one site', async () => {
    const dir = join(work, 'collection');
    await writePhantomCollection({ out: dir, patients: 12, seed: 4 });
    const sources = [{ kind: 'mimic-cxr-jpg', dir }];
    const sites = await provideSiteData({ sources, sites: 3, seed: 5, work, signal });
    const shares = await Promise.all(
      sites.map(async ({ patientsFile }) => (await readFile(patientsFile ?? '', 'utf8')).trimEnd().split('\n')),
    );
    const patients = new Set<string>();
    for await (const { patient } of loaderOf('mimic-cxr-jpg').records(dir, () => {})) patients.add(patient);
    expect(patients.size).toBe(12);
    expect(shares.flat().sort()).toEqual([...patients].sort());
    expect(shares.every(share => share.length > 0)).toBe(true);
    // The same seed shares out the same way.
    const again = await provideSiteData({ sources, sites: 3, seed: 5, work, signal });
    expect(await readFile(again[0]?.patientsFile ?? '', 'utf8')).toBe(`${shares[0]?.join('\n')}\n`);
  });

  it('refuses an unknown kind, a folder that is none, and fewer patients than sites', async () => {
    const provide = (kind: string, dir: string, sites = 3) =>
      provideSiteData({ sources: [{ kind, dir }], sites, seed: 1, work, signal });
    await expect(provide('openj', work)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(provide('openi', join(work, 'nowhere'))).rejects.toMatchObject({ code: 'DATA_INVALID' });
    await expect(provide('mimic-cxr-jpg', join(work, 'collection'), 13)).rejects.toMatchObject({
      code: 'DATA_INVALID',
    });
  });

  it('draws no phantoms once it is interrupted', async () => {
    const interrupted = { sources: [], sites: 2, seed: 1, work, signal: AbortSignal.abort() };
    await expect(provideSiteData(interrupted)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
