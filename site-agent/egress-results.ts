/** What the result of each kind of task may hold. */
import { WEIGHT_GROUPS } from '#model/federated.ts';
import { type SubmitResultRequest, TaskKind } from '#proto/gen/fed/v1/federation.ts';
import { validateManifest } from '#proto/manifest.ts';
import {
  checkAudit,
  checkEvaluation,
  checkMetrics,
  checkSameTensors,
  checkStatistics,
  checkSynthetic,
  checkWeightNames,
  refused,
} from './egress-checks.ts';
import type { EgressKind } from './egress-kinds.ts';
import type { CheckedTask } from './policy.ts';

export type Outcome = NonNullable<SubmitResultRequest['outcome']>;

const kinds = {
  failure: 'failure',
  statistics: 'statistics',
  train: 'contribution',
  evaluate: 'evaluation',
  generate: 'generation',
  audit: 'audit',
} as const satisfies Record<Outcome['$case'], EgressKind>;

export const outcomeKind = (outcome: Outcome): EgressKind => kinds[outcome.$case];

const taskKinds = {
  statistics: TaskKind.STATISTICS,
  train: TaskKind.TRAIN,
  evaluate: TaskKind.EVALUATE,
  generate: TaskKind.GENERATE,
  audit: TaskKind.AUDIT,
} as const;

/** @throws FedError POLICY_REFUSED by name */
export function checkOutcome(
  { task, run }: CheckedTask,
  outcome: Exclude<Outcome, { $case: 'failure' }>,
  minimumCell: number,
): void {
  if (taskKinds[outcome.$case] !== task.kind) {
    throw refused(outcomeKind(outcome), `expected the result of a task of kind ${task.kind}`);
  }
  switch (outcome.$case) {
    case 'statistics':
      checkStatistics(outcome.value.statisticsJson, run, minimumCell);
      return;
    case 'train': {
      const manifest = checkWeightNames(validateManifest(outcome.value.contribution));
      if (task.weights !== undefined) checkSameTensors(manifest, task.weights);
      checkRecords(outcome.value.records);
      checkMetrics(JSON.parse(outcome.value.metricsJson) as Record<string, unknown>);
      return;
    }
    case 'evaluate':
      checkEvaluation(outcome.value.metricsJson);
      return;
    case 'generate':
      checkSynthetic(validateManifest(outcome.value.synthetic), run);
      checkWeightNames(validateManifest(outcome.value.model));
      return;
    case 'audit':
      checkAudit(outcome.value.auditJson);
      return;
  }
}

function checkRecords(records: readonly { module: string; records: bigint }[]): void {
  const groups: readonly string[] = WEIGHT_GROUPS;
  const seen = new Set<string>();
  for (const { module, records: count } of records) {
    const known = groups.includes(module) && !seen.has(module);
    if (!known || count < 0n || count > 1_000_000_000n) {
      throw refused('contribution', `expected a number of records for each of ${groups.join(', ')}, once`);
    }
    seen.add(module);
  }
}
