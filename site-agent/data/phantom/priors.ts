/** Label priors for several sites that differ, as hospitals do. */
import { Random } from '#model/random.ts';
import { dirichlet } from '../partition.ts';
import { DEFAULT_PRIOR, DRAWN_LABELS, type DrawnLabel, type LabelPrior } from './findings.ts';

/**
 * For each finding, its cases are shared out over the sites by a Dirichlet(alpha) draw: the smaller alpha, the more the
 * sites differ. The mean over the sites stays near DEFAULT_PRIOR; every site keeps some of everything.
 */
export function sitePriors(sites: number, alpha: number, seed: number): LabelPrior[] {
  const random = new Random('phantom priors', seed);
  const shares = new Map<DrawnLabel, number[]>(DRAWN_LABELS.map(label => [label, dirichlet(random, sites, alpha)]));
  return Array.from({ length: sites }, (_, site) => {
    const entries = DRAWN_LABELS.map((label): [DrawnLabel, number] => {
      const share = (shares.get(label)?.[site] ?? 1 / sites) * sites;
      return [label, Math.min(0.6, Math.max(0.02, DEFAULT_PRIOR[label] * share))];
    });
    return Object.fromEntries(entries) as Record<DrawnLabel, number>;
  });
}
