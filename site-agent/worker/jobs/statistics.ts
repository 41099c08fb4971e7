/** STAGE_STATISTICS: the only counts of a site's training records that anyone else sees. */
import type { RunConfig, SiteStatistics } from '#model/federated.ts';
import { LABELS } from '#model/labels.ts';
import { siteTokenCounts } from '#model/text/federated-vocabulary.ts';
import type { PreparedRecord } from '../../data/record.ts';

/** Counts over the training split; what is below the run's minCell, or used by too few patients, is not revealed. */
export function siteStatistics(records: readonly PreparedRecord[], run: RunConfig): SiteStatistics {
  const train = records.filter(record => record.split === 'train');
  const revealed = (count: number): number | null => (count < run.minCell ? null : count);
  const labels = LABELS.map((label, i) => {
    return [label, revealed(train.filter(record => record.labels[i] === 1).length)] as const;
  });
  return {
    patients: revealed(new Set(train.map(record => record.patient)).size),
    records: train.length,
    recordsWithReport: train.filter(record => record.report !== null).length,
    labels: Object.fromEntries(labels),
    tokens: siteTokenCounts(reportsOf(train), run.vocabulary.minPatients),
  };
}

function* reportsOf(records: readonly PreparedRecord[]): Generator<{ patient: string; report: string }> {
  for (const { patient, report } of records) if (report !== null) yield { patient, report };
}
