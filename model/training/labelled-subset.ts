/**
 * Which training records keep their labels where only a share of them is used (paper, section 6.3.2: "randomly selecting
 * 30% of the samples from each class"), stratified over the labels.
 *
 * Every record is given a place in [0, 1), and is in the subset of every fraction above its place: so subsets are nested,
 * and a run with half of the labels has every label that one with 30 % has.
 *
 * Records are drawn, not patients: TrainingRecord knows none, and nothing is measured on the records left out, so that a
 * patient on both sides gives nothing away.
 */
import { Random } from '../random.ts';
import { inSplit, isLabelled, type TrainingData, type TrainingRecord } from './dataset.ts';
import { stratifiedPlaces } from './stratification.ts';
import type { StreamKeys } from './trainer.ts';

/**
 * The `index` of every record that keeps its labels. A record without any label is never among them and does not count,
 * so the same subset follows with and without such records.
 * @param fraction of the labelled records, in (0, 1]
 * @param random the same stream for every fraction: subsets of the same records are then nested
 */
export function labelledSubset(
  records: readonly TrainingRecord[],
  fraction: number,
  random: Random,
): ReadonlySet<number> {
  const labelled = records.filter(isLabelled);
  const places = stratifiedPlaces(labelled.map(positives), random);
  return new Set(labelled.flatMap(({ index }, i) => ((places[i] as number) < fraction ? [index] : [])));
}

/** The records in their order, those outside the subset with every label missing; reports stay. */
export function withLabels(records: readonly TrainingRecord[], fraction: number, random: Random): TrainingRecord[] {
  if (fraction >= 1) return [...records];
  const kept = labelledSubset(records, fraction, random);
  return records.map(record => (kept.has(record.index) ? record : unlabelled(record)));
}

/** What a site trains on: in every stage the same records have kept their labels. */
export const trainingRecords = (data: TrainingData, fraction: number, { seed, site }: StreamKeys): TrainingRecord[] =>
  withLabels(inSplit(data, 'train'), fraction, new Random(seed, site, 'labelled-subset'));

const unlabelled = (record: TrainingRecord): TrainingRecord => ({ ...record, labels: record.labels.map(() => null) });

/** The labels that a record is an example of; uncertain and negative ones are none. */
const positives = ({ labels }: TrainingRecord): number[] => labels.flatMap((value, k) => (value === 1 ? [k] : []));
