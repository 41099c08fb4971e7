import { describe, expect, it } from 'vitest';
import { decide, type SiteSubmission } from '#privacy/audit/gate.ts';
import type { SiteAudit } from '#privacy/audit/site-audit-schema.ts';
import { clopperPearsonUpper } from '#privacy/audit/statistics/binomial.ts';
import { fisherGreater } from '#privacy/audit/statistics/fisher.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import { passingAudit } from '../../support/audit-aggregates.ts';

const thresholds = resolveThresholds();
const context = { modelSha256: 'a'.repeat(64), syntheticSha256: 'b'.repeat(64), runSha256: 'c'.repeat(64), thresholds };
const passing = (): SiteAudit => passingAudit(thresholds);
const changed = (change: (audit: SiteAudit) => void): SiteAudit => {
  const audit = passing();
  change(audit);
  return audit;
};
const decideOn = (...audits: (SiteAudit | null)[]) =>
  decide(
    audits.map((audit, i): SiteSubmission => ({ site: `site-${i + 1}`, audit })),
    context,
  );
const verdicts = (...audits: (SiteAudit | null)[]) =>
  Object.fromEntries(decideOn(...audits).gates.map(({ id, verdict }) => [id, verdict]));

describe('decide', () => {
  it('passes what was measured, and never lets what was not measured pass', () => {
    expect(verdicts(passing())).toEqual({
      G0: 'pass',
      G1: 'pass',
      G2: 'pass',
      G3: 'pass',
      G4: 'insufficient-evidence',
      G5: 'insufficient-evidence',
      G6: 'insufficient-evidence',
      G7: 'insufficient-evidence',
    });
    const report = decideOn(passing());
    expect(report.verdict).toBe('insufficient-evidence');
    expect(report.binding.gate).toBe('G4');
    expect(report.stamps).toEqual(['no DP guarantee']);
    for (const id of ['G5', 'G6', 'G7']) {
      expect(report.gates.find(gate => gate.id === id)?.reason).toContain('not measured in this version');
    }
  });

  it('puts the numbers beside the verdicts, computed from the counts', () => {
    const [, , images, reports] = decideOn(passing()).gates;
    expect(images).toMatchObject({ statistic: 0, n: 3_000, threshold: 0.001 });
    expect(images?.bound).toBe(clopperPearsonUpper(0, 3_000, 0.95));
    expect(reports?.bound).toBeLessThan(0.05);
    const raw = [fisherGreater(190, 3_000, 80, 1_250), fisherGreater(100, 3_000, 42, 1_250)];
    expect(reports?.statistic).toBeGreaterThanOrEqual(Math.min(...raw));
  });

  it.each<[string, string, (audit: SiteAudit) => void]>([
    ['G1', 'PHI', audit => Object.assign(audit.phi, { reportsWithHits: 1, hits: [{ kind: 'date', count: 1 }] })],
    ['G2', 'one margin hit', audit => Object.assign(audit.images, { marginHits: 1 })],
    ['G2', 'an excess below the quantile', audit => Object.assign(audit.images.excess, { generated: 60 })],
    ['G3', 'rare hits', audit => Object.assign(audit.reports.rare, { generated: 290 })],
    ['G3', 'distinctive hits', audit => Object.assign(audit.reports.distinctive, { generated: 190 })],
    ['G4', 'a pair copy', audit => Object.assign(audit.pairs, { copies: 1 })],
  ])('%s fails on %s, at one of three sites', (id, _what, change) => {
    const report = decideOn(passing(), changed(change), passing());
    expect(report.verdict).toBe('fail');
    expect(report.binding).toMatchObject({ gate: id, site: 'site-2' });
    expect(report.sentence).toMatch(/^Fail: G\d .* at site site-2: /);
  });

  it.each<[string, RegExp, (audit: SiteAudit) => void]>([
    ['shared patients', /2 patients are in both/, audit => Object.assign(audit.disjoint, { sharedPatients: 2 })],
    ['shared studies', /1 studies are in both/, audit => Object.assign(audit.disjoint, { sharedStudies: 1 })],
    ['equal films', /equal a training image/, audit => Object.assign(audit.disjoint, { identicalImages: 1 })],
    ['few controls', /29 holdout patients are too few/, audit => Object.assign(audit.images, { controlPatients: 29 })],
    [
      'lost image plants',
      /190 of 200 planted images \(noise\)/,
      audit => Object.assign(audit.images.plants[5] ?? {}, { found: 190 }),
    ],
    [
      'few plants',
      /58 of 58 .*59 or more/,
      audit => Object.assign(audit.reports.plants[0] ?? {}, { planted: 58, found: 58 }),
    ],
    [
      'a kind of plants missing',
      /0 of 0 planted images \(rotated\)/,
      audit => {
        audit.images.plants = audit.images.plants.filter(plant => plant.kind !== 'rotated');
      },
    ],
    [
      'a seed missing',
      /0 of 0 planted distinctive reports/,
      audit => {
        audit.reports.plants = audit.reports.plants.slice(0, 2);
      },
    ],
    ['missed identifiers', /200 of 220 planted identifiers/, audit => Object.assign(audit.phi, { found: 200 })],
  ])('G0: %s is insufficient evidence', (_what, reason, change) => {
    const report = decideOn(passing(), changed(change));
    expect(report.gates[0]).toMatchObject({ id: 'G0', verdict: 'insufficient-evidence', site: 'site-2' });
    expect(report.gates[0]?.reason).toMatch(reason);
    expect(report.verdict).toBe('insufficient-evidence');
  });

  it('fail goes before insufficient evidence: an invalid audit that found a copy still fails', () => {
    const audit = changed(found => {
      found.disjoint.sharedPatients = 3;
      found.images.marginHits = 1;
    });
    expect(decideOn(audit).verdict).toBe('fail');
  });

  it('2,994 pairs are too few, 2,995 are enough', () => {
    const of = (pairs: number) =>
      changed(audit => {
        audit.generated = { images: pairs, distinctImages: pairs, flatImages: 0, reports: 2_000 };
        audit.images.histograms.generated = audit.images.histograms.generated.map(count => (count === 0 ? 0 : pairs));
        audit.pairs.compared = 2_000;
        audit.reports.rare.generated = 120;
        audit.reports.distinctive.generated = 60;
      });
    expect(verdicts(of(2_995))['G2']).toBe('pass');
    const few = decideOn(of(2_994)).gates.find(gate => gate.id === 'G2');
    expect(few?.verdict).toBe('insufficient-evidence');
    expect(few?.reason).toContain('2,995 pairs are needed');
  });

  it('too few reports to find a twentieth of copies: insufficient evidence that names the limit', () => {
    const audit = changed(few => {
      few.holdout.reports = 150;
      few.reports.near.holdout = few.reports.exact.holdout = 40;
      few.reports.rare.holdout = 10;
      few.reports.distinctive.holdout = 5;
    });
    const gate = decideOn(audit).gates.find(({ id }) => id === 'G3');
    expect(gate?.verdict).toBe('insufficient-evidence');
    expect(gate?.reason).toMatch(/a share of copies below [\d.]+ % could have been missed/);
  });
});

describe('decide fails closed', () => {
  it('without sites, without a site, with a site twice', () => {
    expect(decideOn()).toMatchObject({
      verdict: 'insufficient-evidence',
      binding: { gate: 'G0', reason: 'no site audited' },
    });
    const missing = decideOn(passing(), null);
    expect(missing.binding).toEqual({ gate: 'G0', site: 'site-2', reason: 'the site sent no audit' });
    expect(missing.gates[1]?.verdict).toBe('insufficient-evidence');
    const twice = decide(
      [
        { site: 'a', audit: passing() },
        { site: 'a', audit: passing() },
      ],
      context,
    );
    expect(twice.binding.reason).toContain('two audits');
  });

  it('with other thresholds, another synthetic set, contradicting figures', () => {
    const other = { ...passing(), thresholdsSha256: 'e'.repeat(64) };
    expect(decideOn(other).binding.reason).toContain('other thresholds');
    const stale = { ...passing(), generatedSha256: 'e'.repeat(64) };
    expect(decideOn(passing(), stale).binding.reason).toContain('did not audit the same synthetic set');
    const impossible = changed(audit => {
      audit.reports.rare.holdout = 5_000;
    });
    expect(decideOn(impossible).binding.reason).toContain('contradict each other');
    const hidden = changed(audit => {
      audit.images.histograms.generated = audit.images.histograms.generated.map(() => 0);
    });
    expect(decideOn(hidden).binding.reason).toContain('contradict each other');
  });

  it('a failure counts even when another site audited another set', () => {
    const copies = changed(audit => {
      audit.images.marginHits = 4;
    });
    expect(decideOn(copies, { ...passing(), generatedSha256: 'e'.repeat(64) }).verdict).toBe('fail');
  });
});
