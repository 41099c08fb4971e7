import { FedError } from '#proto/errors.ts';
import type { TaskHandler } from './task.ts';

/** The generated pairs, byte for byte, against this site's own training and holdout records; aggregates come back. */
export const auditTask: TaskHandler = async ({ checked: { task }, base, fetch, work }) => {
  if (task.synthetic === undefined) {
    throw new FedError('MESSAGE_INVALID', 'expected generated pairs to audit; none came', 'generate before auditing');
  }
  const syntheticPath = await fetch(task.synthetic, 'synthetic');
  const result = await work({ kind: 'audit', ...base, syntheticPath });
  return { $case: 'audit', value: { auditJson: JSON.stringify(result) } };
};
