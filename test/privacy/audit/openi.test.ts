/** The same audit on real radiographs and reports (Open-i), where a folder with them is named by EMIXER_DATA. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { AuditRecords } from '#privacy/audit/audit-records.ts';
import { decide } from '#privacy/audit/gate.ts';
import { scanPhi } from '#privacy/audit/phi.ts';
import { auditSite, type SiteAuditInput } from '#privacy/audit/site-audit.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import { seededRandom } from '#privacy/random.ts';
import { concat, imageOf } from '../../support/audit-cohort.ts';

const SIDE = 32;
const folder = process.env['EMIXER_DATA'];
const root = folder === undefined ? undefined : join(folder, 'openi');

interface Study {
  readonly uid: string;
  readonly report: string;
  readonly image: string;
}

/** Studies with a frontal image and findings or impression, in the order of a seed. */
async function studies(openi: string, seed: number, count: number): Promise<Study[]> {
  const images = new Set(await readdir(join(openi, 'NLMCXR_png')));
  const files = (await readdir(join(openi, 'ecgen-radiology'))).sort();
  const found: Study[] = [];
  for (const i of seededRandom(seed, 'open-i').sample(files.length, files.length)) {
    const file = files[i] ?? '';
    const xml = await readFile(join(openi, 'ecgen-radiology', file), 'utf8');
    const section = (label: string) => new RegExp(`<AbstractText Label="${label}">([^<]*)<`).exec(xml)?.[1] ?? '';
    const report = `${section('FINDINGS')} ${section('IMPRESSION')}`.trim();
    const image = [...xml.matchAll(/<parentImage id="([^"]*)"/g)]
      .map(match => `${match[1]}.jpg`)
      .find(name => images.has(name));
    if (image !== undefined && report !== '') found.push({ uid: file, report, image });
    if (found.length === count) break;
  }
  return found;
}

async function records(openi: string, from: readonly Study[]): Promise<AuditRecords> {
  const read = ({ image }: Study) =>
    sharp(join(openi, 'NLMCXR_png', image))
      .greyscale()
      .resize(SIDE, SIDE, { fit: 'fill' })
      .raw()
      .toBuffer();
  const ids = from.map(({ uid }) => uid);
  return {
    images: concat(await Promise.all(from.map(read))),
    patients: ids,
    studies: ids,
    reports: from.map(({ report }) => report),
  };
}

describe.skipIf(root === undefined)('Open-i (EMIXER_DATA)', () => {
  const thresholds = resolveThresholds({ trainControls: 60, plants: 120 });
  const context = { modelSha256: '', syntheticSha256: '', runSha256: '', thresholds };

  it('real reports of new patients under real images pass as innocent, three changed copies do not', {
    timeout: 120_000,
  }, async () => {
    const all = await studies(root ?? '', 4, 430);
    const train = await records(root ?? '', all.slice(0, 250));
    const holdout = await records(root ?? '', all.slice(250, 330));
    const perfect = await records(root ?? '', all.slice(330));
    const audit = (generated: SiteAuditInput['generated']) =>
      auditSite({ resolution: SIDE, imageChannels: 1, generated, train, holdout, seed: 4, thresholds });

    const innocent = decide([{ site: 'openi', audit: await audit(perfect) }], context);
    expect(innocent.gates.filter(gate => gate.verdict === 'fail').map(gate => gate.reason)).toEqual([]);
    expect(innocent.gates[0]).toMatchObject({ id: 'G0', verdict: 'pass' });

    const brighter = imageOf(train, SIDE, 20).map(value => Math.min(255, value + 15));
    const mirrored = imageOf(train, SIDE, 30).map((_, i, image) => image[i - (i % SIDE) + SIDE - 1 - (i % SIDE)] ?? 0);
    const images = concat([imageOf(train, SIDE, 10), brighter, mirrored, perfect.images.slice(3 * SIDE * SIDE)]);
    const caught = decide([{ site: 'openi', audit: await audit({ images, reports: perfect.reports }) }], context);
    expect(caught.sentence).toContain('3 of 100 generated images are copies');
  });

  it('the PHI scan stays silent on a thousand de-identified reports', { timeout: 60_000 }, async () => {
    const hits = (await studies(root ?? '', 5, 1_000)).flatMap(({ report }) => scanPhi(report).map(({ kind }) => kind));
    expect(hits.length).toBeLessThanOrEqual(1);
  });
});
