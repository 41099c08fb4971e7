import { describe, expect, it } from 'vitest';
import type { FlatReports } from '#model/emixer/report-rows.ts';
import { Random } from '#model/random.ts';
import { joinedReports, reorderedReports } from '#model/training/flat-reports.ts';
import { mismatchedOrder } from '#model/training/mismatched-pairs.ts';

const flat = (tokens: number, ...rows: number[][]): FlatReports => ({
  ids: Int32Array.from(rows.flatMap(row => [...row, ...Array(tokens - row.length).fill(0)])),
  reports: rows.length,
  tokens,
  lengths: Int32Array.from(rows, row => row.length),
});

describe('flat reports', () => {
  it('are put together at the longest width, padding where there was none', () => {
    const joined = joinedReports(flat(2, [5, 6], [7]), flat(4, [8, 9, 10, 11]));
    expect(joined).toEqual(flat(4, [5, 6], [7], [8, 9, 10, 11]));
  });

  it('are reordered with their lengths', () => {
    expect(reorderedReports(flat(2, [5, 6], [7]), [1, 1, 0])).toEqual(flat(2, [7], [7], [5, 6]));
  });
});

describe('mismatched pairs', () => {
  const records = (...positives: number[]) =>
    positives.map((positive, index) => ({
      index,
      split: 'train' as const,
      report: '',
      labels: [0, 1, 2].map(k => (k === positive ? (1 as const) : (0 as const))),
    }));

  it('join an image with a report of other labels, and can pick each such report', () => {
    const batch = records(0, 0, 1, 2);
    const seen = new Set<number>();
    for (let seed = 0; seed < 60; seed++) {
      const order = mismatchedOrder(batch, new Random(seed));
      for (const [i, j] of order.entries()) expect(batch[j]?.labels).not.toEqual(batch[i]?.labels);
      seen.add(order[2] as number);
    }
    expect(seen).toEqual(new Set([0, 1, 3]));
  });

  it('take any other report where all labels are the same', () => {
    expect(mismatchedOrder(records(1, 1), new Random(1))).toEqual([1, 0]);
  });
});
