/**
 * What each kind of outgoing data may hold, as pure functions that throw POLICY_REFUSED by name. They cannot see what
 * weights encode: that is for privacy/ (noise, audits); they see to it that nothing else travels in their place.
 */
import { Type } from 'typebox';
import { modelConfigOf, type RunConfig, SiteStatisticsSchema, weightGroupOf } from '#model/federated.ts';
import { reportsIn, requireLabels } from '#model/generation/synthetic-content.ts';
import { LABELS } from '#model/labels.ts';
import { parseSiteAudit } from '#privacy/audit/site-audit-schema.ts';
import { type ErrorCode, FedError } from '#proto/errors.ts';
import { type Manifest, TensorType } from '#proto/gen/fed/v1/tensors.ts';
import { publicError } from '#proto/status.ts';
import { parseWith } from '#proto/validate.ts';
import type { EgressKind } from './egress-kinds.ts';
import { METRIC_KEYS } from './metric-keys.ts';
import { UntrustedFailure } from './untrusted-failure.ts';

const MAXIMUM_JSON_CHARACTERS = 16 << 20;
/** model/text/report-cleaner.ts joinReport: what stands between words that is none. */
const SENTENCE_END = '.';

export const refused = (kind: EgressKind, what: string): FedError =>
  new FedError(
    'POLICY_REFUSED',
    `egress of ${kind}: ${what}`,
    'nothing was sent; the training code asked for too much',
  );

/** Finite numbers under known names; at most one a name. */
export function checkMetrics(metrics: Readonly<Record<string, unknown>>): Record<string, number> {
  const checked: Record<string, number> = {};
  for (const [key, value] of Object.entries(metrics)) {
    if (!METRIC_KEYS.has(key)) throw refused('metrics', `expected a known name; "${printable(key)}" is none`);
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw refused('metrics', `expected "${key}" to be a finite number; it is ${typeof value} ${printable(value)}`);
    }
    checked[key] = value;
  }
  return checked;
}

/** Trained weights: F32 tensors of the shared modules; the discriminators and their state stay (`local-d`). */
export function checkWeightNames(manifest: Manifest): Manifest {
  if (manifest.tensors.length === 0) throw refused('weights', 'expected tensors of G and F; there are none');
  for (const { name, dtype } of manifest.tensors) {
    if (weightGroupOf(name) === undefined) {
      throw refused('weights', `expected tensors of G and F only; "${printable(name)}" is none`);
    }
    if (dtype !== TensorType.F32) throw refused('weights', `expected F32 tensors; "${name}" is of type ${dtype}`);
  }
  return manifest;
}

/** Weights are the tensors that the global weights have, in their shapes: one more could hold anything. */
export function checkSameTensors(manifest: Manifest, reference: Manifest, { buffersOfG = false } = {}): void {
  const expected = new Map(reference.tensors.map(({ name, shape }) => [name, shape.join()]));
  for (const { name, shape } of manifest.tensors) {
    const wanted = expected.get(name);
    // The model that generated also holds G's standing statistics, which do not travel during training.
    if (wanted === undefined && buffersOfG && weightGroupOf(name) === 'G') continue;
    if (wanted === undefined) throw refused('weights', `"${printable(name)}" is not among the global weights`);
    if (wanted !== shape.join()) {
      throw refused('weights', `expected ${name} as [${wanted}], as in the global weights; got [${shape}]`);
    }
  }
}

/** Generated pairs: images, labels and reports of as many pairs as the run asked for, in the model's own sizes. */
export function checkSynthetic(manifest: Manifest, run: RunConfig): Manifest {
  const { resolution, imageChannels, labels } = modelConfigOf(run);
  const wanted: Record<string, readonly (number | null)[]> = {
    images: [run.pairs, resolution, resolution, imageChannels],
    labels: [run.pairs, labels],
    reports: [null],
  };
  for (const { name, dtype, shape } of manifest.tensors) {
    const dims = Object.hasOwn(wanted, name) ? wanted[name] : undefined;
    const fits = dims?.length === shape.length && dims.every((dim, i) => dim === null || dim === shape[i]);
    if (!fits || dtype !== TensorType.U8) {
      throw refused('synthetic', `expected U8 tensors ${JSON.stringify(wanted)}; got "${printable(name)}" [${shape}]`);
    }
  }
  if (manifest.tensors.length !== 3) {
    throw refused('synthetic', `expected images, labels and reports; got ${manifest.tensors.length} tensors`);
  }
  return manifest;
}

/**
 * The bytes of generated pairs: labels of 0 and 1, and one report a pair in words of the federated vocabulary, which no
 * site has to itself. Whether the words in their order are somebody's report is for the audit.
 */
export async function checkSyntheticContent(
  { labels, reports }: Record<'labels' | 'reports', AsyncIterable<Uint8Array>>,
  pairs: number,
  vocabulary: readonly string[],
): Promise<void> {
  const known = new Set([...vocabulary, SENTENCE_END]);
  let count = 0;
  try {
    await requireLabels(labels);
    for await (const report of reportsIn(reports)) {
      count++;
      if (report !== '' && !report.split(' ').every(word => known.has(word))) {
        throw refused('synthetic', `expected words of the vocabulary only; report ${count} has another`);
      }
    }
  } catch (error) {
    throw refused('synthetic', error instanceof Error ? error.message : String(error));
  }
  if (count !== pairs) throw refused('synthetic', `expected ${pairs} reports; there are ${count}`);
}

/** NaN or infinity in weights would spoil everyone's average: it is named here, before anything travels. */
export function checkFinite(tensor: string, data: Uint8Array): void {
  const values =
    data.byteOffset % 4 === 0
      ? new Float32Array(data.buffer, data.byteOffset, data.byteLength >> 2)
      : new Float32Array(Uint8Array.from(data).buffer);
  if (!values.every(Number.isFinite)) {
    throw new FedError(
      'NON_FINITE',
      `expected finite weights; tensor ${tensor} holds NaN or infinity`,
      'lower the rates',
    );
  }
}

/** Counts by the schema; no cell below the larger of the run's and the policy's minimum, no token of too few patients. */
export function checkStatistics(json: string, run: RunConfig, minimumCell: number): void {
  const statistics = parsed('statistics', json, SiteStatisticsSchema);
  const smallest = Math.max(run.minCell, minimumCell);
  for (const [label, count] of Object.entries(statistics.labels)) {
    if (!LABELS.some(known => known === label)) throw refused('statistics', `"${printable(label)}" is no label`);
    if (count !== null && count < smallest) throw refused('statistics', `the count of "${label}" is below ${smallest}`);
  }
  if (statistics.patients !== null && statistics.patients < smallest) {
    throw refused('statistics', `the number of patients is below ${smallest}`);
  }
  for (const patients of Object.values(statistics.tokens)) {
    if (patients < run.vocabulary.minPatients) {
      throw refused('statistics', `a token was used by fewer than ${run.vocabulary.minPatients} patients`);
    }
  }
}

const finite = Type.Number();
const orNull = Type.Union([finite, Type.Null()]);
const SiteEvaluationSchema = Type.Object(
  {
    nllSum: finite,
    tokens: Type.Integer({ minimum: 0 }),
    unigramNllSum: finite,
    fid: orNull,
    fidUntrained: orNull,
    extractorSha256: Type.String({ pattern: '^([0-9a-f]{64})?$' }),
    images: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
);

export function checkEvaluation(json: string): void {
  parsed('evaluation', json, SiteEvaluationSchema);
}

/** Aggregates by the schema of privacy/audit. */
export function checkAudit(json: string): void {
  try {
    parseSiteAudit(json);
  } catch (error) {
    throw refused('audit', error instanceof Error ? error.message : String(error));
  }
}

/** The public half of a failure: texts that may hold local paths, parts of a file or words of training code are replaced. */
export function checkFailure(failure: FedError): { readonly code: ErrorCode; readonly message: string } {
  const told = failure instanceof UntrustedFailure ? new FedError(failure.code, failure.publicMessage) : failure;
  const { code, message } = publicError(told);
  return { code, message: message.slice(0, 500).replace(/(?:\/[^\s/:;,]+){2,}/g, '<path>') };
}

function parsed<S extends Parameters<typeof parseWith>[0]>(kind: EgressKind, json: string, schema: S) {
  if (json.length > MAXIMUM_JSON_CHARACTERS)
    throw refused(kind, `expected at most 16 MiB; got ${json.length} characters`);
  try {
    return parseWith(schema, JSON.parse(json), kind);
  } catch (error) {
    throw refused(kind, error instanceof FedError ? error.message : 'expected JSON');
  }
}

const printable = (value: unknown): string =>
  String(value)
    .slice(0, 60)
    .replace(/[^\x20-\x7e]/g, '?');
