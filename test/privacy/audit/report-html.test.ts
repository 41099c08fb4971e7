import { beforeAll, describe, expect, it } from 'vitest';
import type { AuditRecords } from '#privacy/audit/audit-records.ts';
import { decide, type GateReport } from '#privacy/audit/gate.ts';
import { DISTANCE_EDGES } from '#privacy/audit/histogram.ts';
import { reportHtml } from '#privacy/audit/report-html.ts';
import { auditSite } from '#privacy/audit/site-audit.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import { passingAudit } from '../../support/audit-aggregates.ts';
import { cohort } from '../../support/audit-cohort.ts';

const thresholds = resolveThresholds();
const context = { modelSha256: 'a'.repeat(64), syntheticSha256: 'b'.repeat(64), runSha256: 'c'.repeat(64), thresholds };
const about = { madeAt: '2026-01-02T03:04:05Z', software: 'emixer 0.1.0' };

describe('reportHtml', () => {
  const audit = passingAudit(thresholds);
  const report = decide(
    [
      { site: 'mercy', audit },
      { site: 'north', audit: { ...audit, images: { ...audit.images, marginHits: 7 } } },
      { site: 'gone', audit: null },
    ],
    context,
  );
  const html = reportHtml(report, about);

  it('says the verdict and the reason that binds in one sentence, every gate, the stamp, what was not tested', () => {
    expect(html).toContain('<strong>Fail: G2 (Image copies) at site north: 7 of 3,000 generated images are copies');
    for (const gate of report.gates) expect(html).toContain(gate.name);
    expect(html).toContain('<span class="stamp">no DP guarantee</span>');
    for (const item of report.notTested) expect(html).toContain(`<li>${item}</li>`);
    expect(html).toContain('No audit came from this site.');
    for (const hash of [context.modelSha256, context.syntheticSha256, context.runSha256]) expect(html).toContain(hash);
  });

  it('prints every threshold with its reason', () => {
    for (const name of Object.keys({ ...thresholds, ...thresholds.search })) {
      if (name !== 'search') expect(html).toContain(`<td>${name}</td>`);
    }
    expect(html).toContain('no false alarm in 250 random splits');
  });

  it('has under each plot a table with the counts that the bars show', () => {
    const low = DISTANCE_EDGES[24] ?? 0;
    expect(html.match(/<svg /g)).toHaveLength(2);
    expect(html).toContain(`<td>${Number(low.toPrecision(2))} – `);
    expect(html).toMatch(/<td class="n">3,000<\/td><td class="n">1,300<\/td>/);
  });

  it('reaches for nothing: no script, no link, no address, and a policy that forbids them', () => {
    expect(html).not.toMatch(/<script|<link|<img|<iframe|https?:|url\(|@import|\son\w+=/i);
    expect(html).toContain("default-src 'none'");
    expect(html.length).toBeLessThan(200_000);
  });

  it('never claims what was not shown', () => {
    expect(html).not.toMatch(/anonymous|HIPAA compliant/i);
  });

  it('escapes whatever it is given, and is the same again', () => {
    const hostile = decide([{ site: '<script>alert("1")</script>', audit }], context);
    const made = reportHtml(hostile, { ...about, software: '<b>&"x' });
    expect(made).not.toMatch(/<script|<b>/);
    expect(made).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;');
    expect(reportHtml(report, about)).toBe(html);
  });

  it('shows a report without any site as insufficient evidence', () => {
    expect(reportHtml(decide([], context), about)).toContain('no site audited');
  });
});

describe('no raw record', () => {
  const side = 16;
  const mark = (records: AuditRecords, name: string): AuditRecords => ({
    ...records,
    patients: records.patients.map(id => `${name}pat${id}`),
    studies: records.studies.map(id => `${name}stu${id}`),
    reports: records.reports.map(text => `${text} ${name}words`),
  });
  const train = mark(cohort(40, side, 1, 't'), 'traincanary');
  let report: GateReport;
  beforeAll(async () => {
    // Copies, so that there are hits whose records might be shown.
    const audit = await auditSite({
      ...{ resolution: side, imageChannels: 1, train, seed: 1, thresholds: { ...thresholds, plants: 59 } },
      generated: { images: train.images, reports: train.reports.map(text => `${text} Call Dr. Gencanary`) },
      holdout: mark(cohort(35, side, 2, 'h'), 'holdcanary'),
    });
    report = decide([{ site: 'one', audit }], { ...context, thresholds: { ...thresholds, plants: 59 } });
  });

  it('is in the HTML or in the JSON', () => {
    expect(report.verdict).toBe('fail');
    for (const text of [reportHtml(report, about), JSON.stringify(report)]) {
      expect(text).not.toMatch(/canary/i);
      for (const words of new Set(train.reports.map(text => (text ?? '').split(' ').slice(0, 5).join(' ')))) {
        expect(text).not.toContain(words);
      }
    }
  });
});
