/** Batches of flat reports, rearranged and put together. */
import type { FlatReports } from '../emixer/report-rows.ts';
import { PAD } from '../text/vocabulary.ts';

/** Row b of the result is row `order[b]`: other reports for the same images. */
export function reorderedReports(reports: FlatReports, order: readonly number[]): FlatReports {
  const { tokens } = reports;
  const ids = new Int32Array(order.length * tokens);
  for (const [to, from] of order.entries())
    ids.set(reports.ids.subarray(from * tokens, (from + 1) * tokens), to * tokens);
  return { ids, reports: order.length, tokens, lengths: Int32Array.from(order, from => reports.lengths[from] ?? 0) };
}

/** The rows of several batches one after another, each padded to the tokens of the longest batch. */
export function joinedReports(batches: readonly FlatReports[]): FlatReports {
  const tokens = Math.max(...batches.map(batch => batch.tokens));
  const rows = batches.reduce((sum, batch) => sum + batch.reports, 0);
  const ids = new Int32Array(rows * tokens).fill(PAD);
  const lengths = new Int32Array(rows);
  let row = 0;
  for (const batch of batches) {
    for (let b = 0; b < batch.reports; b++) {
      ids.set(batch.ids.subarray(b * batch.tokens, (b + 1) * batch.tokens), row * tokens);
      lengths[row++] = batch.lengths[b] ?? 0;
    }
  }
  return { ids, reports: rows, tokens, lengths };
}
