import { describe, expect, it } from 'vitest';
import { FeatureAccumulator, fid } from '#model/evaluate/fid.ts';

const statistics = (rows: number[][]) => {
  const accumulator = new FeatureAccumulator(rows[0]?.length ?? 0);
  accumulator.add(rows.flat());
  return accumulator.statistics();
};
const repeated = (n: number, row: number[]) => Array.from({ length: n }, () => row);

describe('FID', () => {
  it('gives the published check value 89.0909 of two-point clouds', () => {
    const real = statistics([...repeated(50, [2, 1]), ...repeated(50, [1, 1])]);
    const generated = statistics([...repeated(50, [9, 9]), ...repeated(50, [2, 9])]);
    expect(fid(real, generated)).toBeCloseTo(89.0909, 4);
  });

  it('is the squared distance of the means where the covariances are equal', () => {
    const zeros = statistics([...repeated(3, [0, 0, 5]), ...repeated(3, [0, 0, -5])]);
    const ones = statistics([...repeated(3, [1, 1, 6]), ...repeated(3, [1, 1, -4])]);
    expect(fid(zeros, ones)).toBeCloseTo(3, 9);
  });

  it('does not depend on how the rows were batched, nor loses digits to a large mean', () => {
    const rows = Array.from({ length: 40 }, (_, i) => [1e6 + Math.sin(i), 1e6 + Math.cos(3 * i)]);
    const split = new FeatureAccumulator(2);
    for (const row of rows) split.add(row);
    const centred = statistics(rows.map(([a = 0, b = 0]) => [a - 1e6, b - 1e6]));
    const whole = statistics(rows);
    for (const [i, j] of [
      [0, 0],
      [0, 1],
      [1, 1],
    ] as const) {
      expect(split.statistics().covariance.get(i, j)).toBe(whole.covariance.get(i, j));
      expect(whole.covariance.get(i, j)).toBeCloseTo(centred.covariance.get(i, j), 8);
    }
  });

  it('has no covariance with one row', () => {
    const accumulator = new FeatureAccumulator(2);
    accumulator.add([1, 2]);
    expect(() => accumulator.statistics()).toThrow(/at least 2 rows, got 1/);
  });
});
