import { beforeAll, describe, expect, it } from 'vitest';
import type { AuditRecords } from '#privacy/audit/audit-records.ts';
import { decide, type GateReport } from '#privacy/audit/gate.ts';
import { plantImages } from '#privacy/audit/plant-images.ts';
import { auditSite, type SiteAuditInput } from '#privacy/audit/site-audit.ts';
import { IMAGE_PLANTS, type ImagePlant, parseSiteAudit, type SiteAudit } from '#privacy/audit/site-audit-schema.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import { seededRandom } from '#privacy/random.ts';
import { cohort, concat, imageOf } from '../../support/audit-cohort.ts';

const SIDE = 16;
const thresholds = resolveThresholds({ trainControls: 30, plants: 59 });
const train = cohort(120, SIDE, 1, 't');
const holdout = cohort(60, SIDE, 2, 'h');
/** The perfect generator: pairs of new patients. */
const perfect = cohort(90, SIDE, 3, 'g');
const context = { modelSha256: 'a'.repeat(64), syntheticSha256: 'b'.repeat(64), runSha256: 'c'.repeat(64), thresholds };

type Generated = SiteAuditInput['generated'];

const run = (
  generated: Generated,
  records: { train?: AuditRecords; holdout?: AuditRecords } = {},
): Promise<SiteAudit> =>
  auditSite({ resolution: SIDE, imageChannels: 1, generated, train, holdout, seed: 7, thresholds, ...records });
const verdictOf = (audit: SiteAudit): GateReport => decide([{ site: 'one', audit }], context);
const gateOf = (report: GateReport, id: string) => report.gates.find(gate => gate.id === id);

/** The perfect generator's pairs with the first ones replaced. */
const replaced = (images: readonly Uint8Array[], reports: readonly (string | null)[] = []): Generated => ({
  images: concat([...images, perfect.images.slice(images.length * SIDE * SIDE)]),
  reports: [...reports, ...perfect.reports.slice(reports.length)],
});
const copies = (kind: ImagePlant, count: number): Uint8Array[] => {
  const stack = { pixels: train.images, side: SIDE, channels: 1 };
  const sources = seededRandom(5, kind).sample(140, count);
  const planted = plantImages(stack, sources, kind, seededRandom(6, kind));
  return sources.map((_, i) => planted.pixels.slice(i * SIDE * SIDE, (i + 1) * SIDE * SIDE));
};

describe('a perfect generator', () => {
  let audit: SiteAudit;
  beforeAll(async () => {
    audit = await run(perfect);
  });

  it('fails nowhere, and with few pairs is insufficient evidence that names the number needed', () => {
    const report = verdictOf(audit);
    expect(report.gates.filter(gate => gate.verdict === 'fail')).toEqual([]);
    expect(gateOf(report, 'G0')?.verdict).toBe('pass');
    expect(gateOf(report, 'G1')?.verdict).toBe('pass');
    expect(gateOf(report, 'G2')).toMatchObject({ verdict: 'insufficient-evidence', statistic: 0, n: 108 });
    expect(gateOf(report, 'G2')?.bound).toBeCloseTo(1 - 0.05 ** (1 / 108), 12);
    expect(report.verdict).toBe('insufficient-evidence');
    expect(report.sentence).toContain('2,995 pairs are needed');
  });

  it('never fails under other draws either', async () => {
    for (const seed of [31, 32, 33]) {
      const other = verdictOf(await run(cohort(40, SIDE, seed, `g${seed}`)));
      expect(other.gates.filter(gate => gate.verdict === 'fail').map(gate => gate.reason)).toEqual([]);
    }
  });

  it('counts records, patients and studies, each report of a study once', () => {
    expect(audit.train).toEqual({ images: 144, patients: 120, studies: 120, reports: 120 });
    expect(audit.holdout).toEqual({ images: 72, patients: 60, studies: 60, reports: 60 });
    expect(audit.images.controlPatients).toBe(60);
    expect(audit.images.plants).toHaveLength(18);
    expect(audit.images.plants.every(({ planted, found }) => planted === 59 && found === 59)).toBe(true);
    expect(audit.reports.plants.every(({ planted, found }) => planted === 59 && found === 59)).toBe(true);
  });

  it('passes the wire, and is the same again from the same seed', async () => {
    expect(parseSiteAudit(JSON.stringify(audit))).toEqual(audit);
    expect(await run(perfect)).toEqual(audit);
  });

  it('the product may be computed elsewhere', async () => {
    let calls = 0;
    const injected = await auditSite({
      ...{ resolution: SIDE, imageChannels: 1, generated: perfect, train, holdout, seed: 7, thresholds },
      multiply: async (a, b, d) => {
        calls++;
        const [n, m] = [a.length / d, b.length / d];
        const out = new Float32Array(n * m);
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < m; j++) {
            let sum = 0;
            for (let k = 0; k < d; k++) sum += (a[i * d + k] as number) * (b[j * d + k] as number);
            out[i * m + j] = sum;
          }
        }
        return out;
      },
    });
    expect(calls).toBeGreaterThan(3);
    expect(injected).toEqual(audit);
  });
});

describe('generators that copy', () => {
  it('exact, noisy, mirrored, brightened, rotated and cropped copies fail G2, every one counted', async () => {
    const audit = await run(replaced(IMAGE_PLANTS.flatMap(kind => copies(kind, 3))));
    expect(audit.images).toMatchObject({ marginHits: 18, exactCopies: 3 });
    const report = verdictOf(audit);
    expect(report.verdict).toBe('fail');
    expect(report.binding).toMatchObject({ gate: 'G2', site: 'one' });
  });

  it('a single noisy copy among 108 images fails', async () => {
    const report = verdictOf(await run(replaced(copies('noise', 1))));
    expect(report.sentence).toContain('1 of 108 generated images');
  });

  it('new images with copied reports fail G3', async () => {
    const distinctive = [...new Set(train.reports)].filter(text => text.split(' . ').length >= 5).slice(0, 40);
    const audit = await run(replaced([], distinctive));
    expect(audit.images.marginHits).toBe(0);
    expect(audit.reports.rare.generated).toBeGreaterThan(35);
    expect(verdictOf(audit).binding.gate).toBe('G3');
    expect(verdictOf(audit).verdict).toBe('fail');
  });

  it('a copied pair is counted as a pair, the same image under another report is not', async () => {
    // One image a study: the second view of a study would be a copy of the pair as well.
    const pick = [...train.reports.keys()]
      .filter(
        i => (train.reports[i] ?? '').split(' . ').length >= 5 && train.studies.indexOf(train.studies[i] ?? '') === i,
      )
      .slice(0, 5);
    const images = pick.map(i => imageOf(train, SIDE, i));
    const together = await run(
      replaced(
        images,
        pick.map(i => train.reports[i] ?? ''),
      ),
    );
    expect(together.pairs.copies).toBe(5);
    expect(gateOf(verdictOf(together), 'G4')?.verdict).toBe('fail');
    const apart = await run(
      replaced(
        images,
        [...pick.slice(1), pick[0] ?? 0].map(i => train.reports[i] ?? ''),
      ),
    );
    expect(apart.pairs.copies).toBe(0);
    expect(apart.images.marginHits).toBe(5);
  });

  it('a planted identifier fails G1, and what it is does not leave the site', async () => {
    const audit = await run(replaced([], ['No effusion. Discussed with Dr. Canarywell, MRN 7788990011.']));
    expect(audit.phi).toMatchObject({
      reportsWithHits: 1,
      hits: [
        { kind: 'name', count: 1 },
        { kind: 'record-number', count: 1 },
      ],
    });
    expect(verdictOf(audit).binding.gate).toBe('G1');
    expect(JSON.stringify(audit)).not.toMatch(/canarywell|7788990011/i);
  });

  it('one image over and over is reported as such', async () => {
    const one = imageOf(perfect, SIDE, 4);
    const audit = await run({
      images: concat(Array.from({ length: 20 }, () => one)),
      reports: new Array<null>(20).fill(null),
    });
    expect(audit.generated).toMatchObject({ images: 20, distinctImages: 1, reports: 0 });
    expect(gateOf(verdictOf(audit), 'G3')).toMatchObject({ verdict: 'pass', reason: 'no report was generated' });
  });
});

describe('data that cannot carry an audit', () => {
  it('a patient in both train and holdout: insufficient evidence by G0', async () => {
    const patients = holdout.patients.map((patient, i) => (i === 0 ? (train.patients[0] ?? '') : patient));
    const audit = await run(perfect, { holdout: { ...holdout, patients } });
    expect(audit.disjoint.sharedPatients).toBe(1);
    const report = verdictOf(audit);
    expect(report.binding.gate).toBe('G0');
    expect(report.verdict).toBe('insufficient-evidence');
    expect(report.binding.reason).toContain('1 patients are in both');
  });

  it('the same film under two patients spoils the controls, and G0 says so', async () => {
    const images = holdout.images.slice();
    images.set(imageOf(train, SIDE, 9), 0);
    const audit = await run(perfect, { holdout: { ...holdout, images } });
    expect(audit.disjoint.identicalImages).toBe(1);
    expect(gateOf(verdictOf(audit), 'G0')?.verdict).toBe('insufficient-evidence');
  });

  it('no holdout at all, or no record at all: insufficient evidence, no crash', async () => {
    const nothing: AuditRecords = { images: new Uint8Array(), patients: [], studies: [], reports: [] };
    for (const records of [{ holdout: nothing }, { train: nothing, holdout: nothing }]) {
      const report = verdictOf(await run(perfect, records));
      expect(report.verdict).toBe('insufficient-evidence');
      expect(report.binding.gate).toBe('G0');
    }
    const none = verdictOf(await run({ images: new Uint8Array(), reports: [] }));
    expect(none.verdict).toBe('insufficient-evidence');
    expect(gateOf(none, 'G2')?.verdict).toBe('insufficient-evidence');
  });

  it('a site without reports can still judge images', async () => {
    const reports = new Array<null>(144).fill(null);
    const audit = await run(perfect, {
      train: { ...train, reports },
      holdout: { ...holdout, reports: reports.slice(0, 72) },
    });
    const report = verdictOf(audit);
    expect(gateOf(report, 'G0')?.verdict).toBe('pass');
    expect(gateOf(report, 'G3')?.reason).toContain('no training report');
  });

  it('images and reports that do not belong together are refused', async () => {
    await expect(run({ images: perfect.images, reports: [] })).rejects.toMatchObject({ code: 'DATA_INVALID' });
    await expect(run(perfect, { train: { ...train, patients: [] } })).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});

it('no text, patient or study of a record is in what leaves the site', async () => {
  const marked = (records: AuditRecords, mark: string): AuditRecords => ({
    ...records,
    patients: records.patients.map(id => `${mark}-patient-${id}`),
    studies: records.studies.map(id => `${mark}-study-${id}`),
    reports: records.reports.map(text => `${text} ${mark} finding`),
  });
  const audit = await run(
    { images: perfect.images, reports: perfect.reports.map(text => `${text} gencanary`) },
    { train: marked(train, 'traincanary'), holdout: marked(holdout, 'holdcanary') },
  );
  expect(JSON.stringify(audit)).not.toMatch(/canary|effusion|lingula|patient-|-study/);
});
