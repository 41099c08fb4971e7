import { describe, expect, it } from 'vitest';
import { DISTANCE_BINS, DISTANCE_EDGES, distanceHistogram } from '#privacy/audit/histogram.ts';
import { parseSiteAudit, SITE_AUDIT_MAX_BYTES } from '#privacy/audit/site-audit-schema.ts';
import { resolveThresholds, ThresholdsSchema, thresholdsSha256 } from '#privacy/audit/thresholds.ts';
import { passingAudit } from '../../support/audit-aggregates.ts';

describe('thresholds', () => {
  it('have defaults as the specification states them, each with its reason', () => {
    expect(resolveThresholds()).toMatchObject({
      confidence: 0.95,
      familywiseAlpha: 0.05,
      marginFactor: 0.4,
      hitRateBound: 0.001,
      editSimilarity: 0.8,
      distinctiveBits: 150,
      detectionLimit: 0.05,
      detectionPower: 0.8,
      seeds: 3,
    });
    const { search, ...rest } = ThresholdsSchema.properties;
    for (const [name, schema] of Object.entries({ ...rest, ...search.properties })) {
      expect((schema as { description?: string }).description?.length, name).toBeGreaterThan(20);
    }
  });
  it('refuse unknown keys with the nearest known one, and values out of range', () => {
    expect(() => resolveThresholds({ marginFaktor: 0.3 })).toThrow(/marginFaktor/);
    expect(() => resolveThresholds({ marginFaktor: 0.3 })).toThrow(
      expect.objectContaining({ remedy: expect.stringContaining('marginFactor') }),
    );
    expect(() => resolveThresholds({ marginFactor: 1.5 })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => resolveThresholds({ search: { crops: [] } })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
  it('hash alike whatever the order of the keys, and differently when a number differs', () => {
    const a = resolveThresholds({ seeds: 3, marginFactor: 0.4 });
    const b = resolveThresholds({ marginFactor: 0.4, seeds: 3 });
    expect(thresholdsSha256(a)).toBe(thresholdsSha256(b));
    expect(thresholdsSha256(resolveThresholds({ marginFactor: 0.41 }))).not.toBe(thresholdsSha256(a));
  });
});

describe('a site audit off the wire', () => {
  const audit = passingAudit(resolveThresholds());
  it('is taken as it is', () => {
    expect(parseSiteAudit(JSON.stringify(audit))).toEqual(audit);
  });
  it.each<[string, string, object]>([
    ['another version', 'MESSAGE_INVALID', { ...audit, schemaVersion: 2 }],
    ['a field nobody knows', 'MESSAGE_INVALID', { ...audit, reportText: 'the heart is normal' }],
    ['a negative count', 'MESSAGE_INVALID', { ...audit, pairs: { compared: 3, copies: -1 } }],
    ['a missing part', 'MESSAGE_INVALID', { ...audit, phi: undefined }],
    ['too much of it', 'LIMIT_EXCEEDED', { ...audit, note: 'x'.repeat(SITE_AUDIT_MAX_BYTES) }],
  ])('is refused with %s: %s', (_what, code, value) => {
    expect(() => parseSiteAudit(JSON.stringify(value))).toThrow(expect.objectContaining({ code }));
  });
  it('is refused when it is not JSON, without quoting it', () => {
    expect(() => parseSiteAudit('{"canary')).toThrow(/^site audit: not JSON$/);
  });
});

describe('distance histogram', () => {
  it('puts every distance into the bin whose edges hold it', () => {
    const distances = [0, 0.00005, 0.0001, 0.02, 0.5, 1, 2];
    const counts = distanceHistogram(distances);
    expect(counts.reduce((a, b) => a + b)).toBe(distances.length);
    for (let bin = 0; bin < DISTANCE_BINS; bin++) {
      const [low = 0, high = 2] = [DISTANCE_EDGES[bin], DISTANCE_EDGES[bin + 1]];
      const last = bin === DISTANCE_BINS - 1;
      expect(counts[bin]).toBe(distances.filter(d => d >= low && (d < high || last)).length);
    }
  });
});
