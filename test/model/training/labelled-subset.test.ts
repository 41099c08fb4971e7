import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '#model/random.ts';
import type { TrainingRecord } from '#model/training/dataset.ts';
import { labelledSubset, trainingRecords, withLabels } from '#model/training/labelled-subset.ts';

/** CheXpert's prevalences in MIMIC-CXR, about: half of the labels come with rarer ones. */
const PREVALENCES = [0.3, 0.2, 0.13, 0.25, 0.03, 0.05, 0.12, 0.07, 0.2, 0.05, 0.24, 0.01, 0.02, 0.3];

/** Labels that come together: a patient is more or less ill. */
function records(count: number, seed: number): TrainingRecord[] {
  const random = new Random('records', seed);
  return Array.from({ length: count }, (_, i) => {
    const severity = 2 * random.uniform();
    return {
      index: 3 * i + 1,
      split: 'train',
      report: `report ${i}`,
      labels: PREVALENCES.map(p => (random.uniform() < p * severity ? 1 : 0)),
    };
  });
}
const subset = (of: readonly TrainingRecord[], fraction: number, seed = 0) =>
  labelledSubset(of, fraction, new Random('subset', seed));
const examples = (of: readonly TrainingRecord[], label: number): number[] =>
  of.filter(record => record.labels[label] === 1).map(record => record.index);
const among = (indices: readonly number[], kept: ReadonlySet<number>): number =>
  indices.filter(i => kept.has(i)).length;

const value = fc.constantFrom(1 as const, 0 as const, -1 as const, null);
const anyRecords = fc
  .array(fc.array(value, { minLength: 4, maxLength: 4 }), { maxLength: 60 })
  .map(rows => rows.map((labels, i): TrainingRecord => ({ index: 2 * i, split: 'train', report: null, labels })));
const anyFraction = fc.double({ min: 0.01, max: 1, noNaN: true });
const seed = fc.integer();

describe('the labelled subset', () => {
  it('of a smaller fraction lies within that of a larger one', () => {
    fc.assert(
      fc.property(anyRecords, anyFraction, anyFraction, seed, (all, a, b, s) => {
        const smaller = subset(all, Math.min(a, b), s);
        const larger = subset(all, Math.max(a, b), s);
        expect([...smaller].filter(index => !larger.has(index))).toEqual([]);
      }),
    );
  });

  it('is the same for the same stream, and another for another', () => {
    const all = records(400, 1);
    expect(subset(all, 0.3, 5)).toEqual(subset(all, 0.3, 5));
    expect(subset(all, 0.3, 6)).not.toEqual(subset(all, 0.3, 5));
  });

  it('holds its share of the labelled records, to one', () => {
    fc.assert(
      fc.property(anyRecords, anyFraction, seed, (all, fraction, s) => {
        const labelled = all.filter(record => record.labels.some(v => v !== null)).map(record => record.index);
        const kept = subset(all, fraction, s);
        expect(Math.abs(kept.size - fraction * labelled.length)).toBeLessThan(1);
        expect(among(labelled, kept)).toBe(kept.size);
      }),
    );
  });

  it.each([0.3, 0.5])('of %d holds that share of every label, to one record and a rounding', fraction => {
    for (const [count, seeds] of [
      [60, 30],
      [1000, 10],
      [20_000, 2],
    ] as const) {
      for (let s = 0; s < seeds; s++) {
        const all = records(count, s);
        const kept = subset(all, fraction, s);
        const errors = PREVALENCES.map((_, label) => {
          const indices = examples(all, label);
          return Math.abs(among(indices, kept) - fraction * indices.length);
        });
        expect(Math.max(...errors), `${count} records, seed ${s}`).toBeLessThan(2);
      }
    }
  });

  it('is not always without the only record of a label', () => {
    const all = records(40, 3).map(({ labels, ...rest }, i) => ({
      ...rest,
      labels: [...labels, i === 7 ? 1 : 0] as const,
    }));
    const index = all[7]?.index ?? -1;
    const times = Array.from({ length: 200 }, (_, s) => Number(subset(all, 0.3, s).has(index)));
    const kept = times.reduce((a, b) => a + b, 0);
    // 60 are expected, with a standard deviation of 6.5.
    expect(kept).toBeGreaterThan(30);
    expect(kept).toBeLessThan(100);
  });

  it('takes records without a finding for the examples they are: an all-zero y is a label', () => {
    const healthy = records(100, 4).map(record => ({ ...record, labels: record.labels.map(() => 0 as const) }));
    expect(subset(healthy, 0.3).size).toBe(30);
    const silent = records(50, 5).map(record => ({ ...record, index: -record.index, labels: [null, null] }));
    expect(subset([...silent, ...healthy], 0.3)).toEqual(subset(healthy, 0.3));
  });

  it('is everything at 1, and nothing of nothing', () => {
    const all = records(50, 6);
    expect([...subset(all, 1)]).toEqual(all.map(record => record.index));
    expect(subset([], 0.3).size).toBe(0);
  });

  it('of 200,000 records is no matter of minutes, as all pairs of them would be', { timeout: 60_000 }, () => {
    const all = records(200_000, 7);
    const began = performance.now();
    const kept = subset(all, 0.3);
    // Seconds on an idle machine; 2 * 10^10 pairs would take minutes on any.
    expect(performance.now() - began).toBeLessThan(30_000);
    expect(kept.size).toBeGreaterThanOrEqual(59_999);
    for (const label of PREVALENCES.keys()) {
      const indices = examples(all, label);
      expect(Math.abs(among(indices, kept) - 0.3 * indices.length)).toBeLessThan(3);
    }
  });
});

describe('records outside the subset', () => {
  it('lose every label and nothing else; the order stays', () => {
    const all = records(100, 8);
    const kept = subset(all, 0.5, 2);
    const limited = withLabels(all, 0.5, new Random('subset', 2));
    for (const [i, record] of all.entries()) {
      const blank = { ...record, labels: record.labels.map(() => null) };
      expect(limited[i]).toEqual(kept.has(record.index) ? record : blank);
    }
  });

  it('are the same in every stage of a site, others at another site, and test records are not touched', () => {
    const all = records(100, 9);
    const tested = records(20, 10).map(record => ({ ...record, index: -record.index, split: 'test' as const }));
    const data = {
      records: [...all, ...tested],
      resolution: 32,
      imageChannels: 1,
      readImages: async () => new Uint8Array(),
    };
    const labelled = (site: number) =>
      trainingRecords(data, 0.3, { seed: 1, site })
        .filter(record => record.labels.some(v => v !== null))
        .map(record => record.index);
    expect(labelled(0)).toEqual(labelled(0));
    expect(labelled(0)).not.toEqual(labelled(1));
    expect(labelled(0).every(index => index > 0)).toBe(true);
    expect(trainingRecords(data, 1, { seed: 1, site: 0 })).toEqual(all);
  });
});
