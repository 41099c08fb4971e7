/** What is known about a run after its events so far. Holds no time of arrival: the order within a step leaves no trace. */
import type { GlobalStatistics, RunConfig, SiteEvaluation } from '#model/federated.ts';
import type { GroupRecords, SiteResult, Verdict } from './events.ts';
import type { Step } from './steps.ts';

export type Answer =
  | { readonly status: 'waiting' }
  | { readonly status: 'done'; readonly result: SiteResult }
  | { readonly status: 'failed'; readonly code: string; readonly reason: string };

/** The step in progress. */
export interface StepState extends Step {
  readonly openedAtMs: number;
  readonly deadlineMs: number;
  /** By site, in the order of the run's configuration. Empty in generation until a site is chosen. */
  readonly sites: Readonly<Record<string, Answer>>;
  /** False once every site has answered or the deadline has passed: what comes later does not count. */
  readonly collecting: boolean;
}

export interface TakenIn {
  readonly site: string;
  readonly records: GroupRecords | number | null;
  readonly metrics: Readonly<Record<string, number>>;
  readonly evaluation: SiteEvaluation | null;
}

export interface LeftOut {
  readonly site: string;
  readonly code: string;
  readonly reason: string;
}

export interface ClosedStep extends Step {
  readonly openedAtMs: number;
  readonly closedAtMs: number;
  readonly takenIn: readonly TakenIn[];
  readonly leftOut: readonly LeftOut[];
}

export interface RunState {
  readonly runId: string;
  readonly config: RunConfig;
  readonly createdAtMs: number;
  readonly status: 'running' | 'finished' | 'stopped';
  readonly step: StepState | undefined;
  readonly closed: readonly ClosedStep[];
  /** Training records by site, from the statistics: no site may claim to have trained on more. */
  readonly siteRecords: Readonly<Record<string, number>>;
  readonly vocabulary: { readonly sha256: string; readonly tokens: number } | undefined;
  readonly statistics: GlobalStatistics | undefined;
  /** Documents: manifests of the global weights. */
  readonly weights: string | undefined;
  readonly emaWeights: string | undefined;
  /** Adversarial generator steps in the global weights, a local step of every site counted once. */
  readonly generatorSteps: number;
  /** Sites whose updates are in the global weights: all of them must audit before anything is released. */
  readonly contributors: readonly string[];
  /** Sites that were asked to generate and did not. */
  readonly generatorsTried: readonly string[];
  readonly generated: { readonly site: string; readonly submission: string } | undefined;
  readonly verdict: Verdict | undefined;
  readonly stopReason: string | undefined;
}
