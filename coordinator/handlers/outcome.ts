/** A site's outcome, checked against what was asked, as the fact that is recorded. */
import { type Static, Type } from 'typebox';
import type { SiteResult } from '#coordinator/rounds/events.ts';
import type { RunState, StepState } from '#coordinator/rounds/state.ts';
import { refusalOf } from '#coordinator/strategies/contribution.ts';
import {
  modelConfigOf,
  type SiteEvaluation,
  WEIGHT_GROUPS,
  type WeightGroup,
  weightGroupOf,
} from '#model/federated.ts';
import { parseSiteAudit } from '#privacy/audit/site-audit-schema.ts';
import { FedError, toFedError } from '#proto/errors.ts';
import type { GenerateResult, ModuleRecords, SubmitResultRequest, TrainResult } from '#proto/gen/fed/v1/federation.ts';
import { type Manifest, TensorEntry, TensorType } from '#proto/gen/fed/v1/tensors.ts';
import { validateManifest } from '#proto/manifest.ts';
import { parseWith } from '#proto/validate.ts';
import { parseMetrics, parseObject } from './metrics.ts';
import { parseStatistics } from './statistics.ts';

/** Without the submission's address, which is known only once it is stored. */
export type CheckedResult = SiteResult extends infer R ? (R extends SiteResult ? Omit<R, 'submission'> : never) : never;

/** @throws FedError MESSAGE_INVALID | LIMIT_EXCEEDED: the site is left out of the step, by name */
export function checkOutcome(
  outcome: SubmitResultRequest['outcome'],
  state: RunState,
  step: StepState,
  site: string,
): CheckedResult {
  if (outcome?.$case === 'statistics' && step.kind === 'statistics') {
    return { kind: 'statistics', records: parseStatistics(outcome.value.statisticsJson).records };
  }
  if (outcome?.$case === 'train' && step.kind === 'train') return checkTraining(outcome.value, state, site);
  if (outcome?.$case === 'evaluate' && step.kind === 'evaluate') {
    return { kind: 'evaluate', evaluation: parseEvaluation(outcome.value.metricsJson) };
  }
  if (outcome?.$case === 'generate' && step.kind === 'generate') {
    checkGenerated(outcome.value, state);
    return { kind: 'generate' };
  }
  if (outcome?.$case === 'audit' && step.kind === 'audit') {
    parseSiteAudit(outcome.value.auditJson);
    return { kind: 'audit' };
  }
  throw invalid(`expected the outcome of a task of kind ${step.kind}; ${outcome?.$case ?? 'none'} came`);
}

function checkTraining({ contribution, records, metricsJson }: TrainResult, state: RunState, site: string) {
  const manifest = validateManifest(contribution);
  const refusal = manifest.tensors.map(refusalOf).find(reason => reason !== undefined);
  if (refusal !== undefined) throw invalid(refusal);
  return {
    kind: 'train' as const,
    records: parseRecords(records, mostRecords(state, site)),
    metrics: parseMetrics(metricsJson),
  };
}

/**
 * What a site may claim to have trained on: claiming more would buy it weight in the average. A site that missed the
 * statistics has told nothing; it counts for no more than the largest of those that have.
 */
const mostRecords = ({ siteRecords }: RunState, site: string): number =>
  Object.hasOwn(siteRecords, site) ? (siteRecords[site] ?? 0) : Math.max(0, ...Object.values(siteRecords));

function parseRecords(records: readonly ModuleRecords[], known: number) {
  const parsed: Partial<Record<WeightGroup, number>> = {};
  for (const { module, records: count } of records) {
    const group = WEIGHT_GROUPS.find(name => name === module);
    if (group === undefined || parsed[group] !== undefined) {
      throw invalid(`expected records of ${WEIGHT_GROUPS.join(', ')}, each once; something else came`);
    }
    if (count > BigInt(known)) throw invalid(`${group} was trained on ${count} records; the site has ${known}`);
    parsed[group] = Number(count);
  }
  return parsed;
}

const nonNegative = Type.Number({ minimum: 0 });
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const distance = Type.Union([Type.Number({ minimum: 0 }), Type.Null()]);
const SiteEvaluationSchema = Type.Object(
  {
    nllSum: nonNegative,
    tokens: count,
    unigramNllSum: nonNegative,
    fid: distance,
    fidUntrained: distance,
    extractorSha256: Type.String({ pattern: '^[0-9a-f]{0,64}$' }),
    images: count,
  },
  { additionalProperties: false },
);

function parseEvaluation(json: string): SiteEvaluation {
  if (json.length > 10_000) throw new FedError('LIMIT_EXCEEDED', 'an evaluation of more than 10000 bytes');
  const value = parseObject(json, 'the evaluation');
  try {
    return parseWith(SiteEvaluationSchema, value, 'evaluation') satisfies Static<typeof SiteEvaluationSchema>;
  } catch (thrown) {
    throw invalid(toFedError(thrown).message);
  }
}

/** The generated set has exactly the tensors, sizes and number of pairs that the run asked for. */
function checkGenerated({ synthetic, model }: GenerateResult, state: RunState): void {
  const { resolution, imageChannels, labels } = modelConfigOf(state.config);
  const { pairs } = state.config;
  const expected: Record<string, readonly number[]> = {
    images: [pairs, resolution, resolution, imageChannels],
    labels: [pairs, labels],
  };
  const { tensors }: Manifest = validateManifest(synthetic);
  if (tensors.map(({ name }) => name).join() !== 'images,labels,reports') {
    throw invalid('expected a generated set of the tensors images, labels and reports; others came');
  }
  for (const { name, dtype, shape } of tensors) {
    const right = expected[name];
    if (dtype !== TensorType.U8 || (right === undefined ? shape.length !== 1 : right.join() !== shape.join())) {
      throw invalid(`expected tensor ${name} as bytes of shape [${right ?? 'length'}]; [${shape}] came`);
    }
  }
  const refusal = validateManifest(model)
    .tensors.map(refusalOf)
    .find(reason => reason !== undefined);
  if (refusal !== undefined || model?.tensors.length === 0) throw invalid(refusal ?? 'the generating model is empty');
}

/**
 * The model that a site says it generated with is the one that it was asked to generate with: only G's standing
 * statistics are its own. Nothing else looks at the model before it is released.
 * @throws FedError MESSAGE_INVALID naming the tensor
 */
export function requireSameModel(model: Manifest, asked: Manifest): void {
  const made = new Map(model.tensors.map(tensor => [tensor.name, encodeTensor(tensor)]));
  const other = asked.tensors.find(tensor => made.get(tensor.name)?.equals(encodeTensor(tensor)) !== true);
  if (model.chunkBytes !== asked.chunkBytes || other !== undefined) {
    throw invalid(`the generating model is not that of the run: ${other?.name ?? 'its chunks'} differs`);
  }
  const names = new Set(asked.tensors.map(({ name }) => name));
  const added = model.tensors.find(({ name }) => !names.has(name) && weightGroupOf(name) !== 'G');
  if (added !== undefined) throw invalid(`the generating model is not that of the run: it adds ${added.name}`);
}

const encodeTensor = (tensor: TensorEntry): Buffer => Buffer.from(TensorEntry.encode(tensor).finish());

const invalid = (message: string): FedError =>
  new FedError('MESSAGE_INVALID', message, 'install the same version at both ends');
