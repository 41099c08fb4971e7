/** A due task as the message that a site gets. */
import type { RunFiles } from '#coordinator/store/run-files.ts';
import { canonicalJson, runHash, type StageName } from '#model/federated.ts';
import { Stage, type Task, TaskKind } from '#proto/gen/fed/v1/federation.ts';
import type { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import type { RunState, StepState } from './state.ts';
import { type StepKind, taskId } from './steps.ts';

const stages: Record<StageName, Stage> = {
  statistics: Stage.STATISTICS,
  'encoder-pretraining': Stage.ENCODER_PRETRAINING,
  'report-pretraining': Stage.REPORT_PRETRAINING,
  adversarial: Stage.ADVERSARIAL,
  generation: Stage.GENERATION,
  audit: Stage.AUDIT,
};

const kinds: Record<StepKind, TaskKind> = {
  statistics: TaskKind.STATISTICS,
  train: TaskKind.TRAIN,
  evaluate: TaskKind.EVALUATE,
  generate: TaskKind.GENERATE,
  audit: TaskKind.AUDIT,
};

/** The task of `site` in the step in progress. @throws FedError NOT_FOUND | FILE_CORRUPT when a document is lost */
export async function buildTask(state: RunState, step: StepState, site: string, files: RunFiles): Promise<Task> {
  const manifest = (address: string | undefined) => address && files.manifest(address);
  const withWeights = step.kind !== 'statistics' && step.kind !== 'audit';
  const withAverage = step.kind === 'evaluate' || step.kind === 'generate';
  return {
    taskId: taskId(state.runId, step, site),
    runId: state.runId,
    kind: kinds[step.kind],
    stage: stages[step.stage],
    round: step.round,
    runConfigJson: canonicalJson(state.config),
    runSha256: runHash(state.config),
    deadlineMs: BigInt(step.deadlineMs),
    weights: (withWeights && (await manifest(state.weights))) || undefined,
    emaWeights: (withAverage && (await manifest(state.emaWeights))) || undefined,
    vocabulary: state.vocabulary ? await readVocabulary(files, state.vocabulary.sha256) : [],
    synthetic: step.kind === 'audit' ? (await generatedManifests(state, files))?.synthetic : undefined,
    statisticsJson: state.statistics ? canonicalJson(state.statistics) : '',
  };
}

export async function readVocabulary(files: RunFiles, address: string): Promise<string[]> {
  return JSON.parse((await files.documents.get(address)).toString()) as string[];
}

export interface GeneratedManifests {
  readonly synthetic: Manifest;
  readonly model: Manifest;
}

/** What the generating site made, once it has. */
export async function generatedManifests(state: RunState, files: RunFiles): Promise<GeneratedManifests | undefined> {
  if (state.generated === undefined) return undefined;
  const { outcome } = await files.submission(state.generated.submission);
  if (outcome?.$case !== 'generate') return undefined;
  const { synthetic, model } = outcome.value;
  return synthetic && model ? { synthetic, model } : undefined;
}
