/**
 * kill -9 of an agent, of a worker and of the coordinator, each in the middle of an adversarial round of one run: the run
 * completes, and its weights are those of a run that nobody disturbed, bit for bit. (Issue 3, acceptance 6.)
 */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Line } from '../support/emixer-process.ts';
import { Federation, type Site } from '../support/federation.ts';
import { isRunning } from '../support/process-table.ts';
import { ofType, runEvents } from '../support/run-events.ts';

/** Sites keep a checkpoint every two steps: a kill after the third loses one and keeps two. */
const config = { adversarial: { rounds: 3, steps: 6 } };

let federation: Federation;
let undisturbed: string;
let runId: string;

const taskOf = (site: Site, round: number): string => `${runId}/adversarial/${round}/train/${site}`;

const isProgress =
  (task: string, fewest: number) =>
  ({ event, taskId, step }: Line): boolean =>
    event === 'progress' && taskId === task && Number(step) >= fewest;

const inRound =
  (name: string, round: number) =>
  ({ event, run, stage, kind, round: of }: Line): boolean =>
    event === name && run === runId && stage === 'adversarial' && kind === 'train' && of === round;

async function expectWholeRound(round: number): Promise<void> {
  const closed = await federation.coordinator.waitFor(`round ${round} closed`, inRound('step-closed', round));
  const { sites, leftOut } = closed as unknown as { sites: { site: string }[]; leftOut: unknown[] };
  expect(sites.map(({ site }) => site)).toEqual(federation.sites);
  expect(leftOut).toEqual([]);
}

beforeAll(async () => {
  federation = await Federation.create({ sites: ['hospital-a', 'hospital-b'] });
  await federation.startCoordinator();
  await federation.startSites();
  undisturbed = await federation.createRun(config);
  expect(await federation.ended(undisturbed)).toMatchObject({ event: 'run-finished' });
  runId = await federation.createRun(config);
});

describe('kill -9 in the middle of a round', () => {
  it('of an agent: its worker ends with it, and started again it goes on from its last checkpoint', async () => {
    const site = 'hospital-a';
    const task = taskOf(site, 1);
    const killed = federation.agent(site);
    await killed.waitFor('step 3', isProgress(task, 3));
    const worker = federation.workerOf(site);
    killed.kill('SIGKILL');
    expect(await killed.exited).toMatchObject({ signal: 'SIGKILL' });
    expect(killed.lines.some(({ event, taskId }) => event === 'task-done' && taskId === task)).toBe(false);
    await vi.waitFor(async () => expect(await isRunning(worker)).toBe(false), { timeout: 60_000, interval: 50 });
    await federation.coordinator.waitFor(
      'the loss of the site',
      line => line.event === 'site-disconnected' && line['site'] === site,
    );

    const started = await federation.startSite(site);
    const { step } = await started.waitFor('training again', isProgress(task, 0));
    expect(step).toBeGreaterThan(2);
    await expectWholeRound(1);
  });

  it('of a worker: the agent says so, starts another, and that one goes on from the last checkpoint', async () => {
    const site = 'hospital-b';
    const task = taskOf(site, 2);
    const agent = federation.agent(site);
    await agent.waitFor('step 3', isProgress(task, 3));
    const worker = federation.workerOf(site);
    process.kill(worker, 'SIGKILL');
    const restarted = await agent.waitFor('the restart', ({ event }) => event === 'worker-restarted');
    expect(restarted).toMatchObject({ taskId: task, restarts: 1, reason: expect.stringContaining('SIGKILL') });
    const at = agent.lines.indexOf(restarted);
    await agent.waitFor('the end of the task', ({ event, taskId }) => event === 'task-done' && taskId === task);
    expect(agent.lines.slice(at).find(isProgress(task, 0))?.['step']).toBeGreaterThan(2);
    expect(federation.workerOf(site)).not.toBe(worker);
    await expectWholeRound(2);
  });

  it('of the coordinator: started again it keeps what it had, and waits only for the site that still owes', async () => {
    // One site is made slow: its worker is stopped until the coordinator is back.
    const slow = federation.agent('hospital-b');
    await slow.waitFor('step 1', isProgress(taskOf('hospital-b', 3), 1));
    const worker = federation.workerOf('hospital-b');
    process.kill(worker, 'SIGSTOP');
    await federation.coordinator.waitFor(
      'the answer of the other',
      line => inRound('site-answered', 3)(line) && line['site'] === 'hospital-a',
    );
    const killed = federation.coordinator;
    killed.kill('SIGKILL');
    expect(await killed.exited).toMatchObject({ signal: 'SIGKILL' });
    await slow.waitFor('its wait', ({ event, for: what }) => event === 'waiting' && /coordinator/.test(String(what)));

    const restarted = await federation.startCoordinator();
    const opened = await restarted.waitFor('the round', inRound('step-opened', 3));
    expect(opened['waitingFor']).toEqual(['hospital-b']);
    process.kill(worker, 'SIGCONT');
    await expectWholeRound(3);
    expect(await federation.ended(runId)).toMatchObject({ event: 'run-finished' });
    const trainedAgain = federation
      .agent('hospital-a')
      .lines.filter(({ event, taskId }) => event === 'task' && taskId === taskOf('hospital-a', 3));
    expect(trainedAgain).toHaveLength(1);
  });

  it('changes no bit of the weights of any step, and counts every contribution once', async () => {
    const [whole, disturbed] = await Promise.all(
      [undisturbed, runId].map(id => runEvents(federation.coordinatorDir, id)),
    );
    const weights = (events = whole) =>
      ofType(events ?? [], 'Aggregated').map(({ step, weights: sha256, emaWeights }) => ({ step, sha256, emaWeights }));
    expect(weights(whole)).toHaveLength(3);
    expect(weights(disturbed)).toEqual(weights(whole));
    const answers = ofType(disturbed ?? [], 'SiteResult').map(({ step, site }) => `${step} ${site}`);
    expect(new Set(answers).size).toBe(answers.length);
    expect(answers.filter(answer => answer.startsWith('adversarial/')).length).toBe(3 * 2 * federation.sites.length);
    expect(ofType(disturbed ?? [], 'SiteFailed')).toEqual([]);
    expect(ofType(disturbed ?? [], 'RunResumed')).toHaveLength(1);
  });

  it('leaves figures, too, as they were', async () => {
    const figures = async (id: string) =>
      (await federation.showRun(id)).rounds.map(({ stage, round, sites, evaluation }) => ({
        ...{ stage, round, evaluation },
        sites: sites.map(({ name, recordsByModule, metrics }) => ({ name, recordsByModule, metrics })),
      }));
    expect(await figures(runId)).toEqual(await figures(undisturbed));
  });
});
