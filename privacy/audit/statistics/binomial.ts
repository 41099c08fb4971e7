/** Exact bounds of a rate from hits out of n trials. */
import { incompleteBeta, inverseIncompleteBeta } from './special-functions.ts';

/**
 * One-sided upper bound of the rate at `confidence` (Clopper & Pearson, Biometrika 1934): the rate at which so few hits
 * have probability 1 - confidence. 1 without trials.
 */
export function clopperPearsonUpper(hits: number, trials: number, confidence: number): number {
  if (hits >= trials) return 1;
  if (hits === 0) return -Math.expm1(Math.log1p(-confidence) / trials);
  return inverseIncompleteBeta(confidence, hits + 1, trials - hits);
}

/** One-sided lower bound of the rate at `confidence`; 0 without hits. */
export function clopperPearsonLower(hits: number, trials: number, confidence: number): number {
  if (hits === 0) return 0;
  if (hits === trials) return Math.exp(Math.log1p(-confidence) / trials);
  return inverseIncompleteBeta(1 - confidence, hits, trials - hits + 1);
}

/** The fewest trials without a hit whose upper bound is at most `rate`: 2,995 for .001 at .95. */
export const trialsForZeroHits = (rate: number, confidence: number): number =>
  Math.ceil(Math.log1p(-confidence) / Math.log1p(-rate) - 1e-12);

/** P(X >= k) of Binomial(n, p) = I_p(k, n - k + 1). */
export const binomialTail = (k: number, n: number, p: number): number =>
  k <= 0 ? 1 : k > n ? 0 : incompleteBeta(p, k, n - k + 1);

/**
 * Wilson's score interval (JASA 1927) for `hits` out of `trials`, two-sided, z standard deviations wide (1.959964 for 95 %).
 * @returns [low, high]; [0, 1] without trials
 */
export function wilson(hits: number, trials: number, z: number): [number, number] {
  if (trials === 0) return [0, 1];
  const rate = hits / trials;
  const centre = rate + (z * z) / (2 * trials);
  const spread = z * Math.sqrt((rate * (1 - rate)) / trials + (z * z) / (4 * trials * trials));
  const scale = 1 + (z * z) / trials;
  return [Math.max(0, (centre - spread) / scale), Math.min(1, (centre + spread) / scale)];
}
