/** Real images with real reports that do not belong to them: without these D_joint can ignore consistency. */
import type { Random } from '../random.ts';
import { isLabelled, multiHot, type TrainingRecord } from './dataset.ts';

/** Pair n is the image of record `images[n]` of a batch with the report of its record `reports[n]`. */
export interface MismatchedPairs {
  readonly images: number[];
  readonly reports: number[];
}

/**
 * For each record of a batch the report of another whose label vector differs, drawn at random; any other report where
 * none is known to differ. An image whose report is the only one in the batch (in small sites a batch holds one record
 * several times, and many normal films share a report word for word) is left out: its pair would be a real one.
 */
export function mismatchedPairs(records: readonly TrainingRecord[], random: Random): MismatchedPairs {
  const labels = records.map(record => (isLabelled(record) ? multiHot(record).join() : undefined));
  const pairs: MismatchedPairs = { images: [], reports: [] };
  for (const [i, { report }] of records.entries()) {
    const others = [...records.keys()].filter(j => records[j]?.report !== report);
    const different = others.filter(j => ![labels[i], labels[j]].includes(undefined) && labels[j] !== labels[i]);
    const candidates = different.length > 0 ? different : others;
    const chosen = candidates[random.integer(candidates.length)];
    if (chosen === undefined) continue;
    pairs.images.push(i);
    pairs.reports.push(chosen);
  }
  return pairs;
}
