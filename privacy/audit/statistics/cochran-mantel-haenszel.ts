/** The Cochran-Mantel-Haenszel test, one-sided: are there, over all strata together, more hits here than there? */
import { normalTail } from './special-functions.ts';

/** A 2x2 table: hits out of trials, against hits out of trials of the controls. */
export interface Stratum {
  readonly hits: number;
  readonly trials: number;
  readonly controlHits: number;
  readonly controlTrials: number;
}

export interface StratifiedTest {
  /** Standard normal when no stratum has an association; its square is the published M-squared without continuity correction. */
  readonly z: number;
  /** Upper tail. 1 when no stratum says anything: a group is empty, or all or none are hits. */
  readonly p: number;
}

/**
 * Mantel & Haenszel, JNCI 22 (1959), p. 719-748; as in Agresti, Introduction to Categorical Data Analysis (1996),
 * section 3.2.1: the excess of hits over their hypergeometric mean, summed, over the root of the summed variances.
 */
export function cochranMantelHaenszel(strata: readonly Stratum[]): StratifiedTest {
  let excess = 0;
  let variance = 0;
  for (const { hits, trials, controlHits, controlTrials } of strata) {
    const all = trials + controlTrials;
    if (all < 2) continue;
    const allHits = hits + controlHits;
    excess += hits - (trials * allHits) / all;
    variance += (trials * controlTrials * allHits * (all - allHits)) / (all * all * (all - 1));
  }
  if (variance === 0) return { z: 0, p: 1 };
  const z = excess / Math.sqrt(variance);
  return { z, p: normalTail(z) };
}
