/** Shapes of the HTTP interface. */
import { type Static, Type } from 'typebox';

const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(type: T) => Type.Union([type, Type.Null()]);
const metrics = Type.Record(Type.String(), Type.Number());
const step = { stage: Type.String(), round: Type.Integer(), kind: Type.String() };

const EvaluationSchema = Type.Object({
  /** Over all sites' held-out reports: exp of the mean negative log-likelihood a token. */
  perplexity: nullable(Type.Number()),
  unigramPerplexity: nullable(Type.Number()),
  /** Means over the sites, by their images. */
  fid: nullable(Type.Number()),
  fidUntrained: nullable(Type.Number()),
  sites: Type.Array(
    Type.Object({
      site: Type.String(),
      perplexity: nullable(Type.Number()),
      unigramPerplexity: nullable(Type.Number()),
      fid: nullable(Type.Number()),
      fidUntrained: nullable(Type.Number()),
      images: Type.Integer(),
      extractorSha256: Type.String(),
    }),
  ),
});
export type EvaluationView = Static<typeof EvaluationSchema>;

const ClosedStepSchema = Type.Object({
  ...step,
  seconds: Type.Number(),
  sites: Type.Array(
    Type.Object({
      name: Type.String(),
      /** The most records that trained any part. */
      records: nullable(Type.Integer()),
      recordsByModule: Type.Record(Type.String(), Type.Integer()),
      metrics,
    }),
  ),
  leftOut: Type.Array(Type.Object({ name: Type.String(), code: Type.String(), reason: Type.String() })),
  evaluation: nullable(EvaluationSchema),
});
export type ClosedStepView = Static<typeof ClosedStepSchema>;

const OpenStepSchema = Type.Object({
  ...step,
  openedAtMs: Type.Integer(),
  /** What is waited for, and until when. */
  deadlineMs: Type.Integer(),
  sites: Type.Array(
    Type.Object({
      name: Type.String(),
      status: Type.String(),
      connected: Type.Boolean(),
      step: nullable(Type.Integer()),
      steps: nullable(Type.Integer()),
      metrics,
    }),
  ),
});

export const RunSummarySchema = Type.Object({
  runId: Type.String(),
  name: Type.String(),
  status: Type.String(),
  stage: nullable(Type.String()),
  round: nullable(Type.Integer()),
  createdAtMs: Type.Integer(),
  verdict: nullable(Type.String()),
  /** Why it stopped. */
  reason: nullable(Type.String()),
});
export type RunSummary = Static<typeof RunSummarySchema>;

export const RunViewSchema = Type.Object({
  ...RunSummarySchema.properties,
  sites: Type.Array(Type.String()),
  records: Type.Record(Type.String(), Type.Integer()),
  labels: Type.Record(Type.String(), Type.Integer()),
  vocabularyTokens: nullable(Type.Integer()),
  step: nullable(OpenStepSchema),
  rounds: Type.Array(ClosedStepSchema),
  /** The site that generated the pairs. */
  generatedBy: nullable(Type.String()),
  /** SHA-256 of the manifest of the global weights. */
  weightsSha256: nullable(Type.String()),
  /** Folder of the output, once there is a verdict. */
  out: nullable(Type.String()),
});
export type RunView = Static<typeof RunViewSchema>;

export const HealthSchema = Type.Object({ status: Type.Literal('ok'), version: Type.String() });
export const ReadySchema = Type.Object({ ready: Type.Boolean(), sites: Type.Array(Type.String()) });
export const ErrorSchema = Type.Object({ code: Type.String(), message: Type.String(), remedy: Type.String() });
