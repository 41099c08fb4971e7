/** One round's evaluations of all sites, as one. */
import type { EvaluationView } from '#coordinator/http/schemas.ts';
import type { Notice } from '#coordinator/notices.ts';
import { evaluationView } from '#coordinator/run-view.ts';

type Evaluations = Extract<Notice, { event: 'step-closed' }>['evaluation'];

/** As the coordinator itself shows it: sums over sites first, so that every word counts once. */
export const combineEvaluations = (evaluations: Evaluations): EvaluationView =>
  evaluationView({
    takenIn: evaluations.map(({ site, ...evaluation }) => ({ site, records: null, metrics: {}, evaluation })),
  });
