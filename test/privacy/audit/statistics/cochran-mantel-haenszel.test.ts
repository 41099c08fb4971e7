import { describe, expect, it } from 'vitest';
import { cochranMantelHaenszel, type Stratum } from '#privacy/audit/statistics/cochran-mantel-haenszel.ts';
import { normalTail } from '#privacy/audit/statistics/special-functions.ts';

/** Rows of the published tables: hits and misses, hits and misses of the controls. */
const strata = (rows: readonly (readonly [number, number, number, number])[]): Stratum[] =>
  rows.map(([a, b, c, d]) => ({ hits: a, trials: a + b, controlHits: c, controlTrials: c + d }));

describe('the Cochran-Mantel-Haenszel test', () => {
  it('gives the 280.1 of smoking and lung cancer in eight Chinese cities (Agresti 1996, table 3.3; Liu 1992)', () => {
    const { z, p } = cochranMantelHaenszel(
      strata([
        [126, 100, 35, 61],
        [908, 688, 497, 807],
        [913, 747, 336, 598],
        [235, 172, 58, 121],
        [402, 308, 121, 215],
        [182, 156, 72, 98],
        [60, 99, 11, 43],
        [104, 89, 21, 36],
      ]),
    );
    expect((z * z).toFixed(1)).toBe('280.1');
    expect(z).toBeGreaterThan(0);
    expect(p).toBeLessThan(1e-60);
  });

  it("has the direction: Berkeley's six departments admitted no more men than women (Bickel et al., Science 1975)", () => {
    // R's mantelhaen.test(UCBAdmissions, correct = FALSE): 1.5246, p = 0.2169, two-sided.
    const { z, p } = cochranMantelHaenszel(
      strata([
        [512, 313, 89, 19],
        [353, 207, 17, 8],
        [120, 205, 202, 391],
        [138, 279, 131, 244],
        [53, 138, 94, 299],
        [22, 351, 24, 317],
      ]),
    );
    expect(z).toBeLessThan(0);
    expect(z * z).toBeCloseTo(1.5246, 4);
    expect(2 * (1 - p)).toBeCloseTo(0.2169, 4);
  });

  it('takes nothing from strata that say nothing, and says nothing without any other', () => {
    const telling = strata([[8, 2, 3, 7]]);
    const silent = strata([
      [0, 5, 0, 9],
      [4, 0, 6, 0],
      [3, 2, 0, 0],
      [0, 0, 1, 1],
      [0, 0, 0, 0],
      [1, 0, 0, 0],
    ]);
    expect(cochranMantelHaenszel([...telling, ...silent])).toEqual(cochranMantelHaenszel(telling));
    expect(cochranMantelHaenszel(silent)).toEqual({ z: 0, p: 1 });
  });
});

it.each([
  [0, 0.5],
  [1, 0.15865525393145707],
  [1.5, 0.06680720126885809],
  [2, 0.02275013194817922],
  [3, 0.0013498980316300957],
  [8, 6.220960574271819e-16],
  [20, 2.7536241186063314e-89],
  [-1, 0.8413447460685429],
])("P(Z > %d) is the C library's erfc(z / sqrt(2)) / 2, %d", (z, expected) => {
  expect(Math.abs(normalTail(z) / expected - 1)).toBeLessThan(1e-12);
});
