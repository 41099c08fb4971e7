/** Real images with real reports that do not belong to them: without these D_joint can ignore consistency. */
import type { Random } from '../random.ts';
import { multiHot, type TrainingRecord } from './dataset.ts';

/**
 * For each record of a batch the position of another whose label vector differs, drawn at random; any other record
 * where none differs, and the record itself only in a batch of one.
 */
export function mismatchedOrder(records: readonly TrainingRecord[], random: Random): number[] {
  const labels = records.map(record => multiHot(record).join());
  return records.map((_, i) => {
    const others = records.flatMap((_record, j) => (j === i ? [] : [j]));
    const different = others.filter(j => labels[j] !== labels[i]);
    const candidates = different.length > 0 ? different : others;
    return candidates[random.integer(candidates.length)] ?? i;
  });
}
