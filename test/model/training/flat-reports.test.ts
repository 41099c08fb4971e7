import { describe, expect, it } from 'vitest';
import type { FlatReports } from '#model/emixer/report-rows.ts';
import { Random } from '#model/random.ts';
import type { TrainingRecord } from '#model/training/dataset.ts';
import { joinedReports, reorderedReports } from '#model/training/flat-reports.ts';
import { mismatchedPairs } from '#model/training/mismatched-pairs.ts';

const flat = (tokens: number, ...rows: number[][]): FlatReports => ({
  ids: Int32Array.from(rows.flatMap(row => [...row, ...Array(tokens - row.length).fill(0)])),
  reports: rows.length,
  tokens,
  lengths: Int32Array.from(rows, row => row.length),
});

describe('flat reports', () => {
  it('are put together at the longest width, padding where there was none', () => {
    const joined = joinedReports([flat(2, [5, 6], [7]), flat(4, [8, 9, 10, 11])]);
    expect(joined).toEqual(flat(4, [5, 6], [7], [8, 9, 10, 11]));
  });

  it('are reordered with their lengths', () => {
    expect(reorderedReports(flat(2, [5, 6], [7]), [1, 1, 0])).toEqual(flat(2, [7], [7], [5, 6]));
  });
});

describe('mismatched pairs', () => {
  const record = (index: number, report: string, positive: number | null): TrainingRecord => ({
    index,
    split: 'train',
    report,
    labels: [0, 1, 2].map(k => (positive === null ? null : k === positive ? 1 : 0)),
  });
  const records = (...positives: (number | null)[]) =>
    positives.map((positive, index) => record(index, `report ${index} .`, positive));

  it('join an image with a report of other labels, and can pick each such report', () => {
    const batch = records(0, 0, 1, 2);
    const seen = new Set<number>();
    for (let seed = 0; seed < 60; seed++) {
      const { images, reports } = mismatchedPairs(batch, new Random(seed));
      expect(images).toEqual([0, 1, 2, 3]);
      for (const [n, i] of images.entries()) expect(batch[reports[n] as number]?.labels).not.toEqual(batch[i]?.labels);
      seen.add(reports[2] as number);
    }
    expect(seen).toEqual(new Set([0, 1, 3]));
  });

  it('take any other report where no label vector is known to differ', () => {
    expect(mismatchedPairs(records(1, 1), new Random(1))).toEqual({ images: [0, 1], reports: [1, 0] });
    const unlabelled = records(null, 1, 2);
    const partners = Array.from({ length: 40 }, (_, seed) => mismatchedPairs(unlabelled, new Random(seed)).reports);
    expect(new Set(partners.map(([first]) => first))).toEqual(new Set([1, 2]));
    expect(new Set(partners.map(([, second]) => second))).toEqual(new Set([2]));
  });

  it('are never real ones: not with the same report under other labels, not with the record itself twice', () => {
    const normal = 'the lungs are clear .';
    const batch = [record(0, normal, 0), record(1, normal, 1), record(2, 'an effusion .', 1)];
    for (let seed = 0; seed < 20; seed++) {
      expect(mismatchedPairs(batch, new Random(seed))).toEqual({
        images: [0, 1, 2],
        reports: [2, 2, expect.toSatisfy(j => j < 2)],
      });
    }
    const one = record(0, normal, 0);
    expect(mismatchedPairs([one, one, one], new Random(1))).toEqual({ images: [], reports: [] });
  });
});
