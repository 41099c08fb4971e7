/** The hospital's own rules, as pure functions: what the coordinator asks for is allowed, refused, or waits for a person. */
import { parseRunConfig, type RunConfig, runHash, type StageName } from '#model/federated.ts';
import { FedError } from '#proto/errors.ts';
import { Stage, type Task, TaskKind } from '#proto/gen/fed/v1/federation.ts';
import type { SitePolicy } from './config.ts';

/** A task whose configuration was parsed and whose hash was recomputed. */
export interface CheckedTask {
  readonly task: Task;
  readonly run: RunConfig;
  /** Hexadecimal. */
  readonly runSha256: string;
  readonly stage: StageName;
}

export type Decision =
  | { readonly verdict: 'allow' }
  | { readonly verdict: 'refuse'; readonly reason: string; readonly remedy: string }
  | { readonly verdict: 'await-approval'; readonly reason: string };

const MAXIMUM_CONFIG_CHARACTERS = 1 << 20;
const MAXIMUM_TASK_ID = 500;

const stageNames: ReadonlyMap<Stage, StageName> = new Map([
  [Stage.STATISTICS, 'statistics'],
  [Stage.ENCODER_PRETRAINING, 'encoder-pretraining'],
  [Stage.REPORT_PRETRAINING, 'report-pretraining'],
  [Stage.ADVERSARIAL, 'adversarial'],
  [Stage.GENERATION, 'generation'],
  [Stage.AUDIT, 'audit'],
]);

const kindNames: ReadonlyMap<TaskKind, string> = new Map<TaskKind, string>([
  [TaskKind.STATISTICS, 'statistics'],
  [TaskKind.TRAIN, 'train'],
  [TaskKind.EVALUATE, 'evaluate'],
  [TaskKind.GENERATE, 'generate'],
  [TaskKind.AUDIT, 'audit'],
]);

/** Which stages a kind of task belongs to: a generation task that calls itself statistics would slip past the stages. */
const stagesOfKind: ReadonlyMap<TaskKind, readonly StageName[]> = new Map<TaskKind, readonly StageName[]>([
  [TaskKind.STATISTICS, ['statistics']],
  [TaskKind.TRAIN, ['encoder-pretraining', 'report-pretraining', 'adversarial']],
  [TaskKind.EVALUATE, ['encoder-pretraining', 'report-pretraining', 'adversarial']],
  [TaskKind.GENERATE, ['generation']],
  [TaskKind.AUDIT, ['audit']],
]);

/**
 * Parses a task's run and recomputes its hash from what was understood, not from the text that came.
 * @throws FedError MESSAGE_INVALID | CONFIG_INVALID
 */
export function checkTask(task: Task): CheckedTask {
  if (task.taskId === '' || task.taskId.length > MAXIMUM_TASK_ID) {
    throw new FedError('MESSAGE_INVALID', `expected a task id of 1 to ${MAXIMUM_TASK_ID} characters`);
  }
  if (task.runConfigJson.length > MAXIMUM_CONFIG_CHARACTERS) {
    throw new FedError('MESSAGE_INVALID', `expected a run configuration of at most 1 MiB; got more`);
  }
  const stage = stageNames.get(task.stage);
  if (stage === undefined || stagesOfKind.get(task.kind)?.includes(stage) !== true) {
    throw new FedError(
      'MESSAGE_INVALID',
      `expected a known task in its stage; got kind ${task.kind} in stage ${task.stage}`,
      'install the same version at both ends',
    );
  }
  const run = parseRunConfig(parseJson(task.runConfigJson), 'run configuration of the coordinator');
  requireOwnStep(task, run, stage);
  const runSha256 = runHash(run).toString('hex');
  if (runSha256 !== Buffer.from(task.runSha256).toString('hex')) {
    throw new FedError(
      'MESSAGE_INVALID',
      'expected the run hash to be that of the run configuration; it is another',
      'install the same version at both ends',
    );
  }
  return { task, run, runSha256, stage };
}

/**
 * The site signs a result under its task's id, so the id must say what the task is; and a configuration that was approved
 * for three rounds is not asked for a fourth.
 * @throws FedError MESSAGE_INVALID
 */
function requireOwnStep({ taskId, runId, round, kind }: Task, run: RunConfig, stage: StageName): void {
  const step = `${runId}/${stage}/${round}/${kindNames.get(kind)}/`;
  if (!run.sites.some(site => taskId === step + site)) {
    throw new FedError('MESSAGE_INVALID', `expected the id of the task to be ${step} and a site's name; it is another`);
  }
  const rounds = roundsOf(run, stage);
  if (round < 1 || round > rounds) {
    throw new FedError('MESSAGE_INVALID', `expected a round from 1 to ${rounds} of stage "${stage}"; ${round} came`);
  }
}

function roundsOf(run: RunConfig, stage: StageName): number {
  switch (stage) {
    case 'encoder-pretraining':
      return run.encoderPretraining.rounds;
    case 'report-pretraining':
      return run.reportPretraining.rounds;
    case 'adversarial':
      return run.adversarial.rounds;
    case 'generation':
      // An attempt each.
      return run.sites.length;
    default:
      return 1;
  }
}

/** @param site this site's name, from its certificate */
export function decide(
  { task, run, runSha256, stage }: CheckedTask,
  site: string,
  policy: SitePolicy,
  approvals: ReadonlySet<string>,
): Decision {
  if (!run.sites.includes(site)) return refuse(`the run is not for this site ("${site}")`, 'add the site to the run');
  if (!task.taskId.endsWith(`/${site}`))
    return refuse(`the task is not for this site ("${site}")`, 'ask the coordinator');
  if (policy.allowedRuns.length > 0 && !policy.allowedRuns.includes(runSha256)) {
    return refuse(`the policy does not list run hash ${runSha256}`, 'add it to policy.allowedRuns of site.yaml');
  }
  if (run.sites.length < policy.minimumCohort) {
    return refuse(
      `the policy wants at least ${policy.minimumCohort} sites; the run has ${run.sites.length}`,
      'add sites to the run, or lower policy.minimumCohort of site.yaml',
    );
  }
  if (!policy.stages.includes(stage)) {
    return refuse(`the policy does not allow stage "${stage}"`, 'add it to policy.stages of site.yaml');
  }
  if (run.minCell < policy.minimumCell) {
    return refuse(
      `the policy suppresses counts below ${policy.minimumCell}; the run would reveal those from ${run.minCell} on`,
      'raise minCell of the run, or lower policy.minimumCell of site.yaml',
    );
  }
  if (run.vocabulary.minPatients < policy.minimumTokenPatients) {
    return refuse(
      `the policy reveals words of at least ${policy.minimumTokenPatients} patients; the run asks for those of ${run.vocabulary.minPatients}`,
      'raise vocabulary.minPatients of the run, or lower policy.minimumTokenPatients of site.yaml',
    );
  }
  if (policy.approval === 'person' && !approvals.has(runSha256) && !policy.allowedRuns.includes(runSha256)) {
    return { verdict: 'await-approval', reason: `run hash ${runSha256} waits for a person to approve it` };
  }
  return { verdict: 'allow' };
}

const refuse = (reason: string, remedy: string): Decision => ({ verdict: 'refuse', reason, remedy });

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FedError('MESSAGE_INVALID', 'expected the run configuration as JSON', '', { cause });
  }
}
