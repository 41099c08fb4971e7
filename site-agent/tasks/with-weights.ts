import { Type } from 'typebox';
import { FedError } from '#proto/errors.ts';
import { parseWith } from '#proto/validate.ts';
import type { TaskContext } from './task.ts';

const count = Type.Integer({ minimum: 0 });
const MAXIMUM_CHARACTERS = 1 << 20;

/** model/federated.ts GlobalStatistics as it comes over the wire. */
const GlobalStatisticsSchema = Type.Object(
  { records: count, sites: count, labels: Type.Record(Type.String({ maxLength: 100 }), count) },
  { additionalProperties: false },
);

/**
 * What every job on the global weights has besides its own fields.
 * @throws FedError MESSAGE_INVALID when the task lacks the totals of the statistics stage
 */
export async function withWeights({ checked: { task }, fetch }: TaskContext) {
  return {
    vocabulary: task.vocabulary,
    statistics: globalStatistics(task.statisticsJson),
    weightsPath: task.weights === undefined ? null : await fetch(task.weights, 'global'),
  };
}

function globalStatistics(json: string) {
  try {
    if (json.length > MAXIMUM_CHARACTERS) throw new Error('more than 1 MiB');
    return parseWith(GlobalStatisticsSchema, JSON.parse(json), 'statistics');
  } catch (cause) {
    const why = cause instanceof FedError ? cause.message : 'something else came';
    throw new FedError('MESSAGE_INVALID', `expected the totals of the statistics stage as JSON; ${why}`, '', { cause });
  }
}
