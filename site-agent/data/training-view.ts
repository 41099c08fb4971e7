/** What of a prepared set a run's configuration trains on. */
import type { ModelConfig } from '#model/config.ts';
import { joinReport, parseReport } from '#model/text/report-cleaner.ts';
import type { PreparedSet } from './prepared.ts';
import type { PreparedRecord } from './record.ts';

/**
 * The set as training, statistics and evaluation see it: with `sections: findings` a report ends where its findings do, and
 * is none where it has none; with `dropDuplicateImages` of pixel-identical images only the first is there, whatever its
 * split. The audit compares with the whole set.
 */
export function trainingView(
  set: PreparedSet,
  config: Pick<ModelConfig, 'report' | 'dropDuplicateImages'>,
): PreparedSet {
  const { report, dropDuplicateImages } = config;
  let { records } = set;
  if (dropDuplicateImages) records = records.filter(({ duplicateOf }) => duplicateOf === null);
  if (report.sections === 'findings') records = records.map(withFindingsOnly);
  return { ...set, records };
}

function withFindingsOnly(record: PreparedRecord): PreparedRecord {
  if (record.report === null) return record;
  const findings = joinReport(parseReport(record.report).slice(0, record.findingsSentences));
  return { ...record, report: findings === '' ? null : findings };
}
