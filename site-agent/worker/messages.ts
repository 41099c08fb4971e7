/**
 * What the agent asks of its training worker (a child process under Node's permission model) over the IPC channel.
 * Weights travel as safetensors files in the job folder, which is all that the worker may write.
 */
import type { GlobalStatistics, RunConfig, SiteEvaluation, SiteStatistics } from '#model/federated.ts';

export type TrainingStage = 'encoder-pretraining' | 'report-pretraining' | 'adversarial';

interface JobBase {
  readonly taskId: string;
  readonly run: RunConfig;
  /** The site's prepared set (site-agent/data/prepared.ts), readable. */
  readonly preparedDir: string;
  /** Readable and writable; kept between tasks of a run: local D, optimiser state, checkpoints. */
  readonly stateDir: string;
  /** Identifies this site's random stream; not the site's name. */
  readonly siteIndex: number;
}

interface WithWeights extends JobBase {
  readonly vocabulary: readonly string[];
  /** Totals of the statistics stage (Task.statistics_json), for the label distribution of generated pairs. */
  readonly statistics: GlobalStatistics;
  /** Global G and F as safetensors, or null before the first aggregation: then initialise from run.seed. */
  readonly weightsPath: string | null;
}

export interface StatisticsJob extends JobBase {
  readonly kind: 'statistics';
}
export interface TrainJob extends WithWeights {
  readonly kind: 'train';
  readonly stage: TrainingStage;
  readonly round: number;
  /** Steps between local checkpoints inside a round (the site's configuration). */
  readonly checkpointEverySteps: number;
  /** Where to write the contribution (G and F only). */
  readonly outPath: string;
}
export interface EvaluateJob extends WithWeights {
  readonly kind: 'evaluate';
}
export interface GenerateJob extends WithWeights {
  readonly kind: 'generate';
  readonly emaWeightsPath: string;
  /** Tensors images U8 [N, H, W, C], labels U8 [N, K], reports U8 (UTF-8 JSON lines {"report": string}). */
  readonly syntheticOutPath: string;
  /** EMA of G and F with standing statistics. */
  readonly modelOutPath: string;
}
export interface AuditJob extends JobBase {
  readonly kind: 'audit';
  readonly syntheticPath: string;
}

export type WorkerJob = StatisticsJob | TrainJob | EvaluateJob | GenerateJob | AuditJob;

export interface TrainOutcome {
  readonly records: Readonly<Record<string, number>>;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Worker to agent. `result` holds SiteStatistics | TrainOutcome | SiteEvaluation | null | the audit's aggregates. */
export type WorkerMessage =
  | { readonly type: 'ready'; readonly backend: string }
  | {
      readonly type: 'progress';
      readonly step: number;
      readonly steps: number;
      readonly metrics: Record<string, number>;
    }
  | {
      readonly type: 'done';
      readonly taskId: string;
      readonly result: SiteStatistics | TrainOutcome | SiteEvaluation | object | null;
    }
  | {
      readonly type: 'failed';
      readonly taskId: string;
      readonly code: string;
      readonly message: string;
      readonly remedy: string;
    };
