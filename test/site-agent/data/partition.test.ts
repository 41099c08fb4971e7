import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LABELS } from '#model/labels.ts';
import { Random } from '#model/random.ts';
import { dirichlet, partitionPatients } from '#site-agent/data/partition.ts';

const records = (patients: number, seed: number) => {
  const random = new Random('partition test', seed);
  return Array.from({ length: patients * 2 }, (_, index) => ({
    patient: `p${index % patients}`,
    labels: Object.fromEntries(LABELS.map((label, k) => [label, random.uniform() < 0.3 / (k + 1) ? 1 : 0] as const)),
  }));
};

describe('partitionPatients', () => {
  it('puts every patient at exactly one site, leaves no site empty, and keeps the sizes near each other', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 8, max: 120 }),
        fc.nat(),
        fc.constantFrom(0.05, 0.5, 100),
        (sites, patients, seed, alpha) => {
          const parts = partitionPatients({ records: records(patients, seed), sites, alpha, seed });
          expect(parts).toHaveLength(sites);
          const all = parts.flat();
          expect(all).toHaveLength(patients);
          expect(new Set(all).size).toBe(patients);
          for (const part of parts) {
            expect(part.length).toBeGreaterThan(0);
            expect(part.length).toBeLessThanOrEqual(Math.ceil((1.3 * patients) / sites));
          }
        },
      ),
    );
  });

  it('is fixed by the seed, whatever the order of the records', () => {
    const given = records(60, 1);
    const options = { sites: 3, alpha: 0.5, seed: 4 };
    const parts = partitionPatients({ ...options, records: given });
    expect(partitionPatients({ ...options, records: [...given].reverse() })).toEqual(parts);
    expect(partitionPatients({ ...options, seed: 5, records: given })).not.toEqual(parts);
  });

  it('makes sites differ more with a smaller alpha', () => {
    const given = records(600, 2);
    const spread = (alpha: number) => {
      const parts = partitionPatients({ records: given, sites: 3, alpha, seed: 9 });
      const positive = new Set(given.filter(({ labels }) => labels['Atelectasis'] === 1).map(({ patient }) => patient));
      const rates = parts.map(part => part.filter(patient => positive.has(patient)).length / part.length);
      return Math.max(...rates) - Math.min(...rates);
    };
    expect(spread(0.2)).toBeGreaterThan(spread(1000) + 0.1);
  });

  it('refuses fewer patients than sites', () => {
    expect(() => partitionPatients({ records: records(2, 1), sites: 3, alpha: 1, seed: 1 })).toThrow(
      /2 patients for 3 sites/,
    );
  });
});

describe('dirichlet', () => {
  it('has the mean and the variance of the symmetric Dirichlet distribution', () => {
    const random = new Random('dirichlet test');
    for (const alpha of [0.3, 4]) {
      const draws = Array.from({ length: 20_000 }, () => dirichlet(random, 3, alpha));
      for (const draw of draws.slice(0, 100)) expect(draw.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
      const first = draws.map(draw => draw[0] ?? 0);
      const mean = first.reduce((a, b) => a + b, 0) / first.length;
      const variance = first.reduce((sum, value) => sum + (value - mean) ** 2, 0) / first.length;
      expect(mean).toBeCloseTo(1 / 3, 2);
      // k - 1 over k^2 (k alpha + 1), k = 3
      expect(variance / (2 / 9 / (3 * alpha + 1))).toBeCloseTo(1, 1);
    }
  });
});
