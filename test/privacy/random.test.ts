import { describe, expect, it } from 'vitest';
import { seededRandom } from '#privacy/random.ts';

describe('seededRandom', () => {
  it('repeats from seed and purpose, and differs when either does', () => {
    const draw = (seed: number, purpose: string) => {
      const random = seededRandom(seed, purpose);
      return Array.from({ length: 1_000 }, () => random.uniform());
    };
    expect(draw(1, 'a')).toEqual(draw(1, 'a'));
    expect(draw(1, 'a')).not.toEqual(draw(2, 'a'));
    expect(draw(1, 'a')).not.toEqual(draw(1, 'b'));
  });

  it('is uniform and normal: moments within five standard errors', () => {
    const random = seededRandom(3, 'moments');
    const n = 40_000;
    const uniform = Array.from({ length: n }, () => random.uniform());
    const normal = Array.from({ length: n }, () => random.gaussian());
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / n;
    expect(Math.abs(mean(uniform) - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(mean(normal))).toBeLessThan(5 / Math.sqrt(n));
    const m = mean(normal);
    expect(Math.abs(mean(normal.map(value => (value - m) ** 2)) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(uniform.every(value => value >= 0 && value < 1)).toBe(true);
  });

  it('samples without replacement, and everything when asked for more than there is', () => {
    const random = seededRandom(4, 'sample');
    const some = random.sample(100, 30);
    expect(new Set(some).size).toBe(30);
    expect(some.every(i => i >= 0 && i < 100)).toBe(true);
    expect(random.sample(5, 9).sort()).toEqual([0, 1, 2, 3, 4]);
  });
});
