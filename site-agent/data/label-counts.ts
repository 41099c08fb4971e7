/** How often each label is positive, negative, uncertain and missing: the four are never mixed. */
import { LABELS, type Label } from '#model/labels.ts';
import type { LabelValue } from './record.ts';

export interface LabelCount {
  positive: number;
  negative: number;
  uncertain: number;
  missing: number;
}

export type LabelCounts = Record<Label, LabelCount>;

export const newLabelCounts = (): LabelCounts =>
  Object.fromEntries(
    LABELS.map(label => [label, { positive: 0, negative: 0, uncertain: 0, missing: 0 }]),
  ) as LabelCounts;

/** Adds one record's labels, in the order of LABELS. */
export function countLabels(counts: LabelCounts, labels: readonly LabelValue[]): void {
  for (const [index, label] of LABELS.entries()) {
    const value = labels[index];
    const count = counts[label];
    if (value === 1) count.positive++;
    else if (value === 0) count.negative++;
    else if (value === -1) count.uncertain++;
    else count.missing++;
  }
}
