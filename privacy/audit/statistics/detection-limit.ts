/** What an audit of reports could have missed: the smallest share of copies that Fisher's test would have found. */
import { binomialTail } from './binomial.ts';
import { fisherGreater } from './fisher.ts';

export interface HitCounts {
  readonly generatedTrials: number;
  readonly holdout: number;
  readonly holdoutTrials: number;
  /** Share of the training reports whose verbatim copy would be a hit. */
  readonly copyable: number;
}

/**
 * The smallest share of copied reports among the generated that is rejected at `alpha` with at least `power`, with the
 * holdout's count as it was observed and the innocent reports hitting at the holdout's rate. 1 when even a generator
 * that only copies might go unnoticed.
 */
export function detectionLimit(counts: HitCounts, alpha: number, power: number): number {
  const { generatedTrials: n, holdout, holdoutTrials: m, copyable } = counts;
  if (n === 0 || m === 0) return 1;
  let low = 0;
  let high = n + 1;
  // The p-value falls with the count: bisect for the smallest count that rejects.
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (middle <= n && fisherGreater(middle, n, holdout, m) > alpha) low = middle + 1;
    else high = middle;
  }
  if (low > n) return 1;
  const innocent = holdout / m;
  const powerAt = (share: number) => binomialTail(low, n, innocent + share * copyable * (1 - innocent));
  if (powerAt(1) < power) return 1;
  let [below, above] = [0, 1];
  for (let i = 0; i < 40; i++) {
    const middle = (below + above) / 2;
    if (powerAt(middle) < power) below = middle;
    else above = middle;
  }
  return above;
}
