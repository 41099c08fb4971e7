import { describe, expect, it } from 'vitest';
import {
  CollapseDetector,
  collapseText,
  DEFAULT_LIMITS,
  FallDetector,
  FloorDetector,
  meanPairwiseDistance,
} from '#model/monitoring/collapse.ts';

describe('meanPairwiseDistance', () => {
  it('is the mean over all pairs', () => {
    // (0,0), (3,4), (0,8): distances 5, 8, 5.
    expect(meanPairwiseDistance([0, 0, 3, 4, 0, 8], 3)).toBeCloseTo(6, 12);
  });

  it('is 0 for equal rows and for a single one', () => {
    expect(meanPairwiseDistance([1, 2, 1, 2], 2)).toBe(0);
    expect(meanPairwiseDistance([1, 2], 1)).toBe(0);
  });
});

describe('FallDetector', () => {
  const series = (values: number[], warmUp = 0) => {
    const detector = new FallDetector(0.2, warmUp);
    return values.map((value, step) => detector.falls(step, value));
  };

  it('warns once of a fall, and again only after a recovery', () => {
    expect(series([0.5, 0.1, 0.1, 0.3, 0.1])).toEqual([false, true, false, false, true]);
  });

  it('says nothing of values at the limit or above', () => {
    expect(series([0.2, 0.9, 0.2])).not.toContain(true);
  });

  it('takes a low start for an untrained G, until the warm-up is over', () => {
    expect(series([0.01, 0.01, 0.01, 0.01], 3)).toEqual([false, false, false, true]);
    expect(series([0.01, 0.5, 0.1], 100)).toEqual([false, false, true]);
  });
});

describe('FloorDetector', () => {
  it('warns once, when the run is long enough, and not of a broken one', () => {
    const detector = new FloorDetector(0.01, 3);
    expect([0, 0, 0.5, 0, 0.01, 0, 0].map(loss => detector.reached(loss))).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
      false,
    ]);
  });
});

describe('CollapseDetector', () => {
  const limits = { ...DEFAULT_LIMITS, floorSteps: 2, warmUpSteps: 0 };

  it('names each kind with its figures', () => {
    const detector = new CollapseDetector(limits);
    const found = [
      ...detector.afterStep(1, 0),
      ...detector.afterStep(2, 0),
      ...detector.afterSamples(3, 0.05, ['a', 'a', 'b']),
    ];
    expect(found.map(({ kind, value }) => [kind, value])).toEqual([
      ['discriminator-won', 0],
      ['images-alike', 0.05],
      ['reports-alike', 2],
    ]);
    expect(collapseText(found[1] as (typeof found)[number])).toContain('0.050 times as far apart');
  });

  it('is silent for a training that is well, and where there is nothing to judge', () => {
    const detector = new CollapseDetector(limits);
    for (let step = 1; step < 50; step++) {
      expect(detector.afterStep(step, 1 + Math.sin(step) / 2)).toEqual([]);
      expect(detector.afterSamples(step, 0.8, ['a', 'b', 'c'])).toEqual([]);
    }
    expect(detector.afterStep(51, undefined)).toEqual([]);
    expect(detector.afterSamples(52, 0.8, null)).toEqual([]);
  });
});
