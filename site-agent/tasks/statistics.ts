import type { TaskHandler } from './task.ts';

/** STAGE_STATISTICS: counts of the site's training records, small cells suppressed by the worker and checked by egress. */
export const statisticsTask: TaskHandler = async ({ base, work }) => {
  const result = await work({ kind: 'statistics', ...base });
  return { $case: 'statistics', value: { statisticsJson: JSON.stringify(result) } };
};
