import { TaskKind } from '#proto/gen/fed/v1/federation.ts';
import { auditTask } from './audit.ts';
import { evaluateTask } from './evaluate.ts';
import { generateTask } from './generate.ts';
import { statisticsTask } from './statistics.ts';
import type { TaskHandler } from './task.ts';
import { trainTask } from './train.ts';

/** The kinds of task that this version knows; policy.ts refuses others before they get here. */
export const taskHandlers: ReadonlyMap<TaskKind, { readonly name: string; readonly handle: TaskHandler }> = new Map<
  TaskKind,
  { readonly name: string; readonly handle: TaskHandler }
>([
  [TaskKind.STATISTICS, { name: 'statistics', handle: statisticsTask }],
  [TaskKind.TRAIN, { name: 'train', handle: trainTask }],
  [TaskKind.EVALUATE, { name: 'evaluate', handle: evaluateTask }],
  [TaskKind.GENERATE, { name: 'generate', handle: generateTask }],
  [TaskKind.AUDIT, { name: 'audit', handle: auditTask }],
]);
