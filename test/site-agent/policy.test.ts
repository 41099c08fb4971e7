import { describe, expect, it } from 'vitest';
import { canonicalJson, parseRunConfig, runHash } from '#model/federated.ts';
import { Stage, type Task, TaskKind } from '#proto/gen/fed/v1/federation.ts';
import { parseSiteConfig, type SitePolicy } from '#site-agent/config.ts';
import { checkTask, decide } from '#site-agent/policy.ts';
import { taskOf } from '../support/tasks.ts';

const run = parseRunConfig({ sites: ['north', 'south', 'west'] });
const hash = runHash(run).toString('hex');
const policyOf = (policy: Partial<SitePolicy>): SitePolicy => ({ ...parseSiteConfig('').policy, ...policy });
const automatic = { approval: 'automatic' } as const;

const verdict = (
  policy: Partial<SitePolicy>,
  {
    site = 'north',
    named = 'north',
    approvals = [] as string[],
    config = run,
    ...task
  }: Partial<Task> & Record<string, unknown> = {},
) =>
  decide(
    checkTask(taskOf('statistics', { run: config as typeof run, site: named as string, task })),
    site as string,
    policyOf(policy),
    new Set(approvals as string[]),
  );

describe('the policy of a site', () => {
  it.each<[string, ReturnType<typeof verdict>, object]>([
    ['allows what it approves automatically', verdict(automatic), { verdict: 'allow' }],
    ['waits for a person by default', verdict({}), { verdict: 'await-approval' }],
    ['allows what a person approved, by hash', verdict({}, { approvals: [hash] }), { verdict: 'allow' }],
    [
      'does not take the approval of another run',
      verdict({}, { approvals: ['0'.repeat(64)] }),
      { verdict: 'await-approval' },
    ],
    ['allows a listed run without a person', verdict({ allowedRuns: [hash] }), { verdict: 'allow' }],
    [
      'refuses a run that is not listed, even an approved one',
      verdict({ allowedRuns: ['0'.repeat(64)], ...automatic }, { approvals: [hash] }),
      { verdict: 'refuse', reason: expect.stringContaining(hash) },
    ],
    [
      'refuses a cohort that is too small',
      verdict({ ...automatic, minimumCohort: 4 }),
      { verdict: 'refuse', reason: expect.stringContaining('at least 4 sites; the run has 3') },
    ],
    [
      'refuses a stage that is not allowed',
      verdict({ ...automatic, stages: ['adversarial'] }),
      { verdict: 'refuse', reason: expect.stringContaining('"statistics"') },
    ],
    [
      'refuses a run that reveals smaller cells',
      verdict({ ...automatic, minimumCell: 10 }),
      { verdict: 'refuse', reason: expect.stringContaining('below 10') },
    ],
    [
      'refuses a run that reveals words of fewer patients',
      verdict({ ...automatic, minimumTokenPatients: 4 }),
      { verdict: 'refuse', reason: expect.stringContaining('at least 4 patients; the run asks for those of 3') },
    ],
    [
      'refuses a run for others',
      verdict(automatic, { site: 'east' }),
      { verdict: 'refuse', reason: expect.stringContaining('"east"') },
    ],
    [
      'refuses the task of another site',
      verdict(automatic, { named: 'south' }),
      { verdict: 'refuse', reason: expect.stringContaining('not for this site') },
    ],
  ])('%s', (_name, decision, expected) => {
    expect(decision).toMatchObject(expected);
  });

  it('recomputes the hash: a configuration under the hash of an approved one is an error', () => {
    const other = parseRunConfig({ sites: run.sites, minCell: 1 });
    const task = { ...taskOf('statistics', { run: other, site: 'north' }), runSha256: runHash(run) };
    expect(() => checkTask(task)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }));
  });

  it('refuses a round more than was approved', () => {
    const last = taskOf('train', { run, round: run.adversarial.rounds, site: 'north' });
    expect(checkTask(last).task.round).toBe(run.adversarial.rounds);
    const more = taskOf('train', { run, round: run.adversarial.rounds + 1, site: 'north' });
    expect(() => checkTask(more)).toThrow(/round from 1 to 3/);
  });

  it('hashes what it understood: another order of keys is the same run', () => {
    const shuffled = JSON.stringify(Object.fromEntries(Object.entries(run).reverse()));
    expect(shuffled).not.toBe(canonicalJson(run));
    expect(checkTask(taskOf('statistics', { run, site: 'north', task: { runConfigJson: shuffled } })).runSha256).toBe(
      hash,
    );
  });

  it('refuses an unknown key of the run: it could mean anything', () => {
    const json = JSON.stringify({ ...run, sendRecords: true });
    expect(() => checkTask(taskOf('statistics', { run, task: { runConfigJson: json } }))).toThrow(/sendRecords/);
  });

  it.each([
    ['a generation that calls itself statistics', { kind: TaskKind.GENERATE, stage: Stage.STATISTICS }],
    ['an unknown kind', { kind: TaskKind.UNSPECIFIED }],
    ['an unknown stage', { stage: Stage.UNRECOGNIZED }],
    ['no id', { taskId: '' }],
    ['the id of another run', { taskId: 'run-2/statistics/1/statistics/north' }],
    ['the id of another stage', { taskId: 'run-1/audit/1/audit/north' }],
    ['the id of a site that is not in the run', { taskId: 'run-1/statistics/1/statistics/east' }],
    ['a second statistics', { taskId: 'run-1/statistics/2/statistics/north', round: 2 }],
    ['no JSON', { runConfigJson: '{' }],
  ])('refuses a task of %s', (_name, task) => {
    expect(() => checkTask(taskOf('statistics', { run, site: 'north', task }))).toThrow(
      expect.objectContaining({ code: 'MESSAGE_INVALID' }),
    );
  });
});
