import type { TaskHandler } from './task.ts';
import { withWeights } from './with-weights.ts';

/** The round's global weights on the site's own validation and test records; sums and scalars come back. */
export const evaluateTask: TaskHandler = async context => {
  const result = await context.work({
    kind: 'evaluate',
    ...context.base,
    ...(await withWeights(context)),
  });
  return { $case: 'evaluate', value: { metricsJson: JSON.stringify(result) } };
};
