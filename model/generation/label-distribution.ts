/** Where y comes from for what is generated: the labelled training distribution, not a uniform one. */
import type { GlobalStatistics } from '../federated.ts';
import { LABELS } from '../labels.ts';
import type { Random } from '../random.ts';
import { isLabelled, multiHot, type TrainingRecord } from '../training/dataset.ts';

/** Draws one y [K] of zeros and ones. */
export type LabelDistribution = (random: Random) => readonly number[];

/**
 * During training at a site: the y of a random labelled record. These never leave the site, so whole rows may be used.
 * A site without labels gets the all-zero y, for which the projection term is zero.
 */
export function empiricalLabels(records: readonly TrainingRecord[], mode: 'multihot' | 'onehot'): LabelDistribution {
  const rows = records.filter(isLabelled).map(multiHot);
  return random => {
    const row = rows[random.integer(rows.length)] ?? LABELS.map(() => 0);
    return mode === 'onehot' ? onePositive(row, random) : row;
  };
}

/** One of the row's positives, drawn at random. */
export function onePositive(row: readonly number[], random: Random): readonly number[] {
  const positives = row.flatMap((value, i) => (value === 1 ? [i] : []));
  if (positives.length < 2) return row;
  const chosen = positives[random.integer(positives.length)];
  return row.map((_, i) => (i === chosen ? 1 : 0));
}

/**
 * For the pairs that are released: one label each, drawn by the federation's totals. Whole rows would carry a site's
 * rare combinations of findings out of it; totals with small cells suppressed do not.
 */
export function marginalLabels(statistics: GlobalStatistics): LabelDistribution {
  const counts = LABELS.map(label => statistics.labels[label] ?? 0);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return random => {
    let left = random.uniform() * total;
    const chosen = counts.findIndex(count => {
      left -= count;
      return left < 0;
    });
    return LABELS.map((_, i) => (i === chosen ? 1 : 0));
  };
}
