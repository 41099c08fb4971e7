import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  binomialTail,
  clopperPearsonLower,
  clopperPearsonUpper,
  trialsForZeroHits,
  wilson,
} from '#privacy/audit/statistics/binomial.ts';
import { detectionLimit } from '#privacy/audit/statistics/detection-limit.ts';
import { fisherGreater } from '#privacy/audit/statistics/fisher.ts';
import { holm } from '#privacy/audit/statistics/holm.ts';
import { incompleteBeta, logChoose, logGamma } from '#privacy/audit/statistics/special-functions.ts';
import vectors from '../../../vectors/audit-statistics.json' with { type: 'json' };

/** Relative agreement of 1e-9, absolute below 1e-300. */
function expectClose(actual: number, expected: number | undefined, what: string): void {
  const wanted = expected ?? Number.NaN;
  const error = Math.abs(actual - wanted) / Math.max(Math.abs(wanted), 1e-300);
  expect(actual === wanted || error < 1e-9, `${what}: ${actual} instead of ${wanted}`).toBe(true);
}

describe('against scipy (test/vectors/audit-statistics.json)', () => {
  it('Clopper-Pearson', () => {
    for (const [k = 0, n = 0, c = 0, low, high] of vectors.clopperPearson) {
      expectClose(clopperPearsonLower(k, n, c), low, `lower ${k}/${n}`);
      expectClose(clopperPearsonUpper(k, n, c), high, `upper ${k}/${n}`);
    }
  });
  it('Fisher, one-sided', () => {
    for (const [a = 0, n = 0, b = 0, m = 0, p] of vectors.fisherGreater) {
      expectClose(fisherGreater(a, n, b, m), p, `fisher ${a}/${n} ${b}/${m}`);
    }
  });
  it('Wilson', () => {
    for (const [k = 0, n = 0, low = 0, high = 0] of vectors.wilson95) {
      const [l, h] = wilson(k, n, vectors.wilsonZ);
      expect(l).toBeCloseTo(low, 12);
      expect(h).toBeCloseTo(high, 12);
    }
  });
  it('binomial tail, incomplete beta, log gamma', () => {
    for (const [k = 0, n = 0, p = 0, tail] of vectors.binomialTail) expectClose(binomialTail(k, n, p), tail, 'tail');
    for (const [x = 0, a = 0, b = 0, value] of vectors.incompleteBeta) expectClose(incompleteBeta(x, a, b), value, 'I');
    for (const [x = 0, value = 0] of vectors.logGamma) {
      expect(Math.abs(logGamma(x) - value)).toBeLessThan(1e-12 * Math.max(1, Math.abs(value)));
    }
  });
  it('Holm', () => {
    for (const [p, adjusted] of vectors.holm) {
      holm(p ?? []).forEach((value, i) => {
        expectClose(value, adjusted?.[i], 'holm');
      });
    }
  });
});

describe('properties', () => {
  it('2,995 trials without a hit bound the rate at .1 %, 59 at 5 %; one fewer does not', () => {
    expect(trialsForZeroHits(0.001, 0.95)).toBe(2995);
    expect(trialsForZeroHits(0.05, 0.95)).toBe(59);
    expect(clopperPearsonUpper(0, 2995, 0.95)).toBeLessThanOrEqual(0.001);
    expect(clopperPearsonUpper(0, 2994, 0.95)).toBeGreaterThan(0.001);
  });
  it('nothing measured bounds nothing', () => {
    expect(clopperPearsonUpper(0, 0, 0.95)).toBe(1);
    expect(clopperPearsonLower(0, 0, 0.95)).toBe(0);
    expect(fisherGreater(5, 5, 0, 0)).toBe(1);
    expect(wilson(0, 0, 2)).toEqual([0, 1]);
  });
  it('the interval holds the rate, and the upper bound is where the tail is 1 - confidence', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, share) => {
        const k = Math.min(n - 1, Math.floor(share * n));
        const high = clopperPearsonUpper(k, n, 0.95);
        expect(clopperPearsonLower(k, n, 0.95)).toBeLessThanOrEqual(k / n);
        expect(high).toBeGreaterThan(k / n);
        expect(1 - binomialTail(k + 1, n, high)).toBeCloseTo(0.05, 9);
      }),
      { numRuns: 50 },
    );
  });
  it('Fisher falls with every further hit and is a probability', () => {
    fc.assert(
      fc.property(
        fc.nat(40),
        fc.nat(40),
        fc.integer({ min: 41, max: 90 }),
        fc.integer({ min: 41, max: 90 }),
        (a, b, n, m) => {
          const p = fisherGreater(a, n, b, m);
          expect(p).toBeGreaterThan(0);
          expect(p).toBeLessThanOrEqual(1);
          expect(fisherGreater(a + 1, n, b, m)).toBeLessThanOrEqual(p + 1e-12);
        },
      ),
      { numRuns: 100 },
    );
  });
  it('the detection limit is where an explicit sum of binomial terms reaches the power', () => {
    const [n, m, holdout, copyable] = [300, 200, 10, 0.8];
    const limit = detectionLimit({ generatedTrials: n, holdout, holdoutTrials: m, copyable }, 0.025, 0.8);
    const rate = holdout / m + limit * copyable * (1 - holdout / m);
    let power = 0;
    for (let k = 0; k <= n; k++) {
      if (fisherGreater(k, n, holdout, m) > 0.025) continue;
      power += Math.exp(logChoose(n, k) + k * Math.log(rate) + (n - k) * Math.log1p(-rate));
    }
    expect(power).toBeCloseTo(0.8, 6);
  });
  it('without a holdout, or with reports that nobody could recognise, everything may have been missed', () => {
    const counts = { generatedTrials: 500, holdout: 0, holdoutTrials: 0, copyable: 1 };
    expect(detectionLimit(counts, 0.05, 0.8)).toBe(1);
    expect(detectionLimit({ ...counts, holdoutTrials: 500, copyable: 0 }, 0.05, 0.8)).toBe(1);
  });
});
