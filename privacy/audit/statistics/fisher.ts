/** Fisher's exact test, one-sided: are there more hits here than there? */
import { logChoose } from './special-functions.ts';

/**
 * P-value of at least `hits` out of `trials` against `controlHits` out of `controlTrials`, given all margins
 * (hypergeometric upper tail). 1 when either group is empty: no evidence.
 */
export function fisherGreater(hits: number, trials: number, controlHits: number, controlTrials: number): number {
  if (trials === 0 || controlTrials === 0) return 1;
  const total = hits + controlHits;
  const lowest = Math.max(0, total - controlTrials);
  if (hits <= lowest) return 1;
  const most = Math.min(total, trials);
  const first =
    logChoose(trials, hits) + logChoose(controlTrials, total - hits) - logChoose(trials + controlTrials, total);
  // Terms by their ratio relative to the first: one exponential, no cancellation.
  let term = 1;
  let sum = 1;
  for (let k = hits; k < most; k++) {
    term *= ((trials - k) * (total - k)) / ((k + 1) * (controlTrials - total + k + 1));
    sum += term;
    if (term < sum * 1e-17 && (k - lowest) * (trials + controlTrials) > trials * total) break;
  }
  return Math.min(1, Math.exp(first) * sum);
}
