/** What the coordinator tells, as lines for people. */
import type { Notice } from '#coordinator/notices.ts';
import { combineEvaluations } from './evaluation.ts';

/** "round 2 training", "encoder pretraining". */
export const stepName = ({ stage, round, kind }: { stage: string; round: number; kind: string }): string =>
  stage === 'adversarial' ? `round ${round} ${kind === 'train' ? 'training' : 'evaluation'}` : stage.replace('-', ' ');

/** At most four figures: a line must fit. */
export function losses(metrics: Readonly<Record<string, number>>): string {
  const shown = Object.entries(metrics).filter(([name]) => !['step', 'steps', 'seconds', 'records'].includes(name));
  return shown
    .slice(0, 4)
    .map(([name, value]) => `${name} ${Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)}`)
    .join(' ');
}

/** The line that a notice is worth to a reader, or undefined. */
export function describeNotice(notice: Notice): string | undefined {
  switch (notice.event) {
    case 'listening':
      return `listening: sites ${notice.grpc}, enrolment ${notice.enrolment}, http ${notice.http}`;
    case 'site-enrolled':
      return `${notice.site} enrolled`;
    case 'run-created':
      return `run ${notice.run} created for ${notice.sites.join(', ')}`;
    case 'run-finished':
      return `run ${notice.run} finished: ${notice.verdict}; output in ${notice.out}`;
    case 'site-connected':
      return `${notice.site} connected`;
    case 'site-disconnected':
      return `${notice.site} disconnected; the coordinator waits for it`;
    case 'site-answered':
      return notice.accepted ? undefined : `${stepName(notice)}: ${notice.site} is left out: ${notice.reason}`;
    case 'run-waiting':
      return `waiting: ${notice.reason}`;
    case 'step-closed': {
      const seconds = `${notice.seconds.toFixed(1)} s`;
      if (notice.kind !== 'evaluate') return `${stepName(notice)} done in ${seconds}, ${notice.sites.length} sites`;
      const { perplexity, unigramPerplexity, fid, fidUntrained } = combineEvaluations(notice.evaluation);
      const show = (value: number | null): string => (value === null ? 'not measured' : value.toPrecision(4));
      return `${stepName(notice)} done in ${seconds}: perplexity ${show(perplexity)} (unigram ${show(unigramPerplexity)}), FID ${show(fid)} (untrained ${show(fidUntrained)})`;
    }
    case 'run-stopped':
      return `the run was stopped: ${notice.reason}`;
    default:
      return undefined;
  }
}
