import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveModelConfig } from '#model/config.ts';
import { parseRunConfig } from '#model/federated.ts';
import { cleanReport, parseReport } from '#model/text/report-cleaner.ts';
import { mimicCxrJpg } from '#site-agent/data/mimic-cxr-jpg.ts';
import { prepare } from '#site-agent/data/prepare.ts';
import { openPrepared } from '#site-agent/data/prepared.ts';
import type { Loader, SourceRecord } from '#site-agent/data/record.ts';
import { cleanSections, joinSections } from '#site-agent/data/report-sections.ts';
import { trainingView } from '#site-agent/data/training-view.ts';
import { siteStatistics } from '#site-agent/worker/jobs/statistics.ts';
import { phantomFolder, readAll, temporaryFolder } from '../../support/phantoms.ts';

const FINDINGS = 'Heart is normal. Lungs are clear.';
const IMPRESSION = 'No acute disease.';
const texts: readonly [findings: string | null, impression: string | null][] = [
  [FINDINGS, IMPRESSION],
  [null, IMPRESSION],
  [FINDINGS, null],
  [null, null],
];

/** Phantoms with these four kinds of report in turn; every fifth image is, under another name, the first. */
async function preparedSet() {
  const folder = await phantomFolder(12, 4);
  const { records } = await readAll(mimicCxrJpg, folder);
  const loader: Loader = {
    kind: 'mimic-cxr-jpg',
    async *records() {
      for (const [i, record] of records.entries()) {
        const [findings, impression] = texts[i % 4] as (typeof texts)[number];
        const image = i % 5 === 0 ? (records[0] as SourceRecord).imagePath : record.imagePath;
        yield { ...record, imagePath: image, findings, report: joinSections({ findings, impression }) };
      }
    },
  };
  const out = join(await temporaryFolder(), 'prepared');
  const summary = await prepare({ loader, folder, out, resolution: 32, imageChannels: 1, key: Buffer.alloc(32, 3) });
  return { summary, set: await openPrepared(out), count: records.length };
}

const all = resolveModelConfig('phantom32');
const findingsOnly = resolveModelConfig('phantom32', { report: { sections: 'findings' } });
const firstOnly = resolveModelConfig('phantom32', { dropDuplicateImages: true });

describe('what a run trains on', () => {
  it('with findings only: reports end where the findings do, and are none where there are none', async () => {
    const { set } = await preparedSet();
    expect(trainingView(set, all).records).toEqual(set.records);
    const { records } = trainingView(set, findingsOnly);
    const kept = 'heart is normal . lungs are clear .';
    expect(records.slice(0, 4).map(({ report }) => report)).toEqual([kept, null, kept, null]);
    expect(set.records[0]?.report).toBe(`${kept.slice(0, -2)} . no acute disease .`);
    expect(set.records.slice(0, 4).map(({ findingsSentences }) => findingsSentences)).toEqual([2, 0, 2, 0]);
  });

  it('with findings only: the words of the impression are not revealed either', async () => {
    const { set } = await preparedSet();
    const run = parseRunConfig({ sites: ['a'], vocabulary: { minPatients: 1 } });
    const tokens = (config: typeof all) => Object.keys(siteStatistics(trainingView(set, config).records, run).tokens);
    expect(tokens(all)).toContain('acute');
    expect(tokens(findingsOnly).sort()).toEqual(['are', 'clear', 'heart', 'is', 'lungs', 'normal']);
  });

  it('without duplicates: of the images with the same pixels the first, which the summary counts', async () => {
    const { summary, set, count } = await preparedSet();
    const same = Array.from({ length: count }, (_, i) => i).filter(i => i > 0 && i % 5 === 0);
    expect(same.length).toBeGreaterThan(1);
    expect(summary.duplicateImages).toBe(same.length);
    expect(set.manifest.duplicateImages).toBe(same.length);
    expect(set.records.filter(({ duplicateOf }) => duplicateOf === 0).map(({ index }) => index)).toEqual(same);
    const kept = trainingView(set, firstOnly).records.map(({ index }) => index);
    expect(kept).toEqual(set.records.map(({ index }) => index).filter(index => !same.includes(index)));
    // Records keep their places in the pixel file.
    const last = kept.at(-1) as number;
    expect(await trainingView(set, firstOnly).readImages([last])).toEqual(await set.readImages([last]));
  });
});

it('a sentence belongs to the findings or to the impression, whatever the two look like', () => {
  const pieces = ['Heart', 'size', 'a.m.', 'A.P.', 'Dr.', '1.', '2)', '3.5 cm', '.', '!', '___', 'No', 'x', '()'];
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map(words => words.join(' '));
  fc.assert(
    fc.property(fc.option(text), fc.option(text), (findings, impression) => {
      const sections = { findings: findings || null, impression: impression || null };
      const { report, findingsSentences } = cleanSections(joinSections(sections), sections.findings);
      const sentences = parseReport(report ?? '');
      expect(sentences.slice(0, findingsSentences)).toEqual(cleanReport(findings ?? ''));
      expect(sentences.slice(findingsSentences)).toEqual(cleanReport(impression ?? ''));
    }),
    { numRuns: 500 },
  );
});
