/**
 * The demo on real radiographs, where a folder with Open-i is (EMIXER_DATA, or shared/data beside the repository): shared
 * out by patient, every record at exactly one site. A twelfth of the
 * collection: all of it takes minutes.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describe as describeCollection } from '#site-agent/data/describe.ts';
import { openi } from '#site-agent/data/openi.ts';
import { EmixerProcess, endProcesses } from '../support/emixer-process.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const real = join(process.env['EMIXER_DATA'] ?? resolve(repository, '../shared/data'), 'openi');
const EVERY = 12;

interface Site {
  readonly name: string;
  readonly records: number;
  readonly patients: number;
  readonly labels: Readonly<Record<string, { readonly positive: number }>>;
}

describe.skipIf(!existsSync(real))('a demo on the real Open-i collection (skipped: EMIXER_DATA holds no openi)', () => {
  let folder: string;
  let collection: string;
  let demo: EmixerProcess;
  let sites: readonly Site[];
  /** Patients of each site, as the demo had them written down while it ran. */
  let shares: string[][];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emixer-openi-'));
    collection = await partOf(real, join(folder, 'openi'));
    const out = join(folder, 'out');
    const options = ['--data', `openi=${collection}`, '--rounds', '1', '--steps', '2', '--out', out];
    demo = new EmixerProcess(['demo', ...options, '--json']);
    await demo.waitForText(/hospital-3: \d+ records/);
    const [work = ''] = (await readdir(out)).filter(name => name.startsWith('work-'));
    shares = await Promise.all(
      [1, 2, 3].map(async n => (await readFile(join(out, work, 'patients', `${n}.txt`), 'utf8')).trim().split('\n')),
    );
    expect(await demo.exited).toEqual({ code: 0, signal: null });
    ({ sites } = JSON.parse(demo.stdout) as { sites: readonly Site[] });
  });
  afterAll(async () => {
    await endProcesses();
    await rm(folder, { recursive: true, force: true });
  });

  it('has three hospitals of different sizes and findings, and prints both', () => {
    expect(new Set(sites.map(({ records }) => records)).size).toBe(3);
    for (const { name, records } of sites) expect(demo.stderr).toContain(`${name}: ${records} records; `);
    const rates = sites.map(({ records, labels }) => Object.values(labels).map(({ positive }) => positive / records));
    for (const [a, b] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const) {
      const distance = Math.max(...(rates[a] ?? []).map((rate, label) => Math.abs(rate - (rates[b]?.[label] ?? 0))));
      expect(distance).toBeGreaterThan(0.05);
    }
  });

  it('has every patient and every record at exactly one of them', async () => {
    const whole = await describeCollection({ loader: openi, folder: collection });
    const all = shares.flat();
    expect(new Set(all).size).toBe(all.length);
    const everyone = new Set<string>();
    for await (const { patient } of openi.records(collection, () => {})) everyone.add(patient);
    expect(new Set(all)).toEqual(everyone);
    expect(sites.map(({ patients }) => patients)).toEqual(shares.map(({ length }) => length));
    expect(sites.reduce((sum, { records }) => sum + records, 0)).toBe(whole.images);
    for (const [label, { positive }] of Object.entries(whole.labels)) {
      expect([label, sites.reduce((sum, { labels }) => sum + (labels[label]?.positive ?? 0), 0)]).toEqual([
        label,
        positive,
      ]);
    }
  });
});

/** Every so-many-th study of the collection, with its images. */
async function partOf(whole: string, part: string): Promise<string> {
  for (const name of ['ecgen-radiology', 'NLMCXR_png']) await mkdir(join(part, name), { recursive: true });
  await copyFile(join(whole, 'mesh-derived-labels.csv'), join(part, 'mesh-derived-labels.csv'));
  const images = new Set(await readdir(join(whole, 'NLMCXR_png')));
  const studies = (await readdir(join(whole, 'ecgen-radiology'))).sort().filter((_name, index) => index % EVERY === 0);
  for (const study of studies) {
    const path = join('ecgen-radiology', study);
    await copyFile(join(whole, path), join(part, path));
    const listed = (await readFile(join(whole, path), 'utf8')).matchAll(/<parentImage id="([^"]*)"/g);
    for (const [, id = ''] of listed) {
      const image = [`${id}.jpg`, `${id}.png`].find(name => images.has(name));
      if (image === undefined) continue;
      await copyFile(join(whole, 'NLMCXR_png', image), join(part, 'NLMCXR_png', image));
    }
  }
  return part;
}
