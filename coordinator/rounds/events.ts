/**
 * The events of a run, as they are persisted. A run is nothing but the fold of these (reducer.ts), so they hold facts
 * only, small ones: what a site sent lies in the run's documents under the SHA-256 that the event names.
 */
import type { GlobalStatistics, RunConfig, SiteEvaluation, WeightGroup } from '#model/federated.ts';

/** Records that trained each group of tensors. */
export type GroupRecords = Readonly<Partial<Record<WeightGroup, number>>>;

/** `submission` is the SHA-256 of the signed SubmitResultRequest, whole, among the run's documents. */
interface Submitted {
  readonly submission: string;
}

export type SiteResult = Submitted &
  (
    | { readonly kind: 'statistics'; readonly records: number }
    | {
        readonly kind: 'train';
        readonly records: GroupRecords;
        readonly metrics: Readonly<Record<string, number>>;
      }
    | { readonly kind: 'evaluate'; readonly evaluation: SiteEvaluation }
    | { readonly kind: 'generate' }
    | { readonly kind: 'audit' }
  );

export type Verdict = 'pass' | 'fail' | 'insufficient-evidence';

interface At {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

interface OfStep extends At {
  /** stepId of the step it belongs to; ignored when the run is elsewhere by then. */
  readonly step: string;
}

export interface RunCreated extends At {
  readonly type: 'RunCreated';
  readonly runId: string;
  readonly config: RunConfig;
}

export interface SiteFailed extends OfStep {
  readonly type: 'SiteFailed';
  readonly site: string;
  /** Of the error catalogue. */
  readonly code: string;
  readonly reason: string;
}

export type RunEvent =
  | RunCreated
  /** The coordinator came back: the step in progress gets its whole time again. */
  | (At & { readonly type: 'RunResumed' })
  | (OfStep & { readonly type: 'SiteResult'; readonly site: string; readonly result: SiteResult })
  | SiteFailed
  /** Found only while aggregating, e.g. a number that is not finite. */
  | (OfStep & {
      readonly type: 'ContributionRejected';
      readonly site: string;
      readonly code: string;
      readonly reason: string;
    })
  | (OfStep & { readonly type: 'DeadlinePassed' })
  | (OfStep & {
      readonly type: 'VocabularyFixed';
      /** Document: JSON array of tokens. */
      readonly vocabulary: string;
      readonly tokens: number;
      readonly statistics: GlobalStatistics;
    })
  | (OfStep & {
      readonly type: 'Aggregated';
      /** Documents: encoded manifests. */
      readonly weights: string;
      readonly emaWeights: string;
    })
  | (OfStep & { readonly type: 'GeneratorChosen'; readonly site: string })
  | (OfStep & { readonly type: 'VerdictReached'; readonly verdict: Verdict })
  | (At & { readonly type: 'RunStopped'; readonly reason: string });

/** After these nothing more happens to a run. */
export const isTerminal = (event: RunEvent): boolean => event.type === 'VerdictReached' || event.type === 'RunStopped';
