/** One job after another: which code serves which kind. */
import type { SiteEvaluation, SiteStatistics } from '#model/federated.ts';
import type { TrainOutcome, WorkerJob } from '../messages.ts';
import { audit } from './audit.ts';
import { trainingSet } from './context.ts';
import { evaluate } from './evaluate.ts';
import { generate } from './generate.ts';
import { siteStatistics } from './statistics.ts';
import { train } from './train.ts';

export type ReportProgress = (step: number, steps: number, metrics: Record<string, number>) => void;

type JobResult = SiteStatistics | TrainOutcome | SiteEvaluation | object | null;

/** @throws FedError of any code that the job's parts throw */
export async function runJob(job: WorkerJob, onProgress: ReportProgress): Promise<JobResult> {
  switch (job.kind) {
    case 'statistics':
      return siteStatistics((await trainingSet(job.preparedDir, job.run)).records, job.run);
    case 'train':
      return train(job, onProgress);
    case 'evaluate':
      return evaluate(job, onProgress);
    case 'generate':
      return generate(job, onProgress);
    case 'audit':
      return audit(job, onProgress);
  }
}
