import { describe, expect, it } from 'vitest';
import { empiricalLabels, marginalLabels, onePositive } from '#model/generation/label-distribution.ts';
import { LABELS } from '#model/labels.ts';
import { Random } from '#model/random.ts';
import type { TrainingRecord } from '#model/training/dataset.ts';

const record = (...labels: (1 | 0 | -1 | null)[]): TrainingRecord => ({
  index: 0,
  split: 'train',
  report: null,
  labels,
});

describe('label distributions', () => {
  it('draws released labels in the proportions of the totals, one a pair', () => {
    const draw = marginalLabels({ records: 100, sites: 3, labels: { Edema: 30, Cardiomegaly: 10 } });
    const random = new Random('labels');
    const sums = LABELS.map(() => 0);
    for (let n = 0; n < 4000; n++) {
      const y = draw(random);
      expect(y.reduce((a, b) => a + b, 0)).toBe(1);
      for (const [i, value] of y.entries()) sums[i] = (sums[i] ?? 0) + value;
    }
    // Binomial(4000, .75): standard deviation 27; five of them.
    expect(Math.abs((sums[LABELS.indexOf('Edema')] ?? 0) - 3000)).toBeLessThan(137);
    expect(sums.filter(sum => sum > 0)).toHaveLength(2);
  });

  it('draws nothing where every count was suppressed', () => {
    expect(marginalLabels({ records: 4, sites: 1, labels: {} })(new Random(1))).toEqual(LABELS.map(() => 0));
  });

  it('never draws from records without any label, and keeps an all-negative row', () => {
    const draw = empiricalLabels([record(null, null), record(0, 0), record(1, -1)], 'multihot');
    const seen = new Set(Array.from({ length: 200 }, (_, n) => draw(new Random(n)).join()));
    expect(seen).toEqual(new Set(['0,0', '1,0']));
  });

  it('onehot keeps exactly one of several positives, each of them sometimes', () => {
    const seen = new Set(Array.from({ length: 100 }, (_, n) => onePositive([1, 0, 1], new Random(n)).join()));
    expect(seen).toEqual(new Set(['1,0,0', '0,0,1']));
  });
});
