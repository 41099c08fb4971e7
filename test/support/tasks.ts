/** Tasks as the coordinator sends them. */
import { canonicalJson, parseRunConfig, type RunConfig, runHash } from '#model/federated.ts';
import { Stage, type Task, TaskKind } from '#proto/gen/fed/v1/federation.ts';

const kinds = {
  statistics: [TaskKind.STATISTICS, Stage.STATISTICS, 'statistics'],
  train: [TaskKind.TRAIN, Stage.ADVERSARIAL, 'adversarial'],
  evaluate: [TaskKind.EVALUATE, Stage.ADVERSARIAL, 'adversarial'],
  generate: [TaskKind.GENERATE, Stage.GENERATION, 'generation'],
  audit: [TaskKind.AUDIT, Stage.AUDIT, 'audit'],
} as const;

export function taskOf(
  kind: keyof typeof kinds,
  options: { run?: RunConfig; round?: number; site?: string; task?: Partial<Task> } = {},
): Task {
  const { run = parseRunConfig({ sites: ['a', 'b'] }), round = 1, site = 'a' } = options;
  const [taskKind, stage, stageName] = kinds[kind];
  return {
    taskId: `run-1/${stageName}/${round}/${kind}/${site}`,
    runId: 'run-1',
    kind: taskKind,
    stage,
    round,
    runConfigJson: canonicalJson(run),
    runSha256: runHash(run),
    deadlineMs: BigInt(Number.MAX_SAFE_INTEGER),
    weights: undefined,
    emaWeights: undefined,
    vocabulary: ['heart', 'lung'],
    synthetic: undefined,
    statisticsJson: JSON.stringify({ records: 100, sites: 2, labels: {} }),
    ...options.task,
  };
}
