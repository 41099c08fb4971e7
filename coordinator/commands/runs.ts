/**
 * `emixer coordinator run`, `runs`, `show`, `stop`. They write to and read from the database, whose permissions decide
 * who may; a running coordinator notices within a fraction of a second, and one that is started later goes on from there.
 */
import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '#coordinator/clock.ts';
import { runsFolderOf } from '#coordinator/config.ts';
import type { RunSummary, RunView } from '#coordinator/http/schemas.ts';
import { runFolder } from '#coordinator/rounds/driver.ts';
import type { RunEvent } from '#coordinator/rounds/events.ts';
import { fold } from '#coordinator/rounds/reducer.ts';
import type { RunState } from '#coordinator/rounds/state.ts';
import { runSummary, runView } from '#coordinator/run-view.ts';
import type { AuditEntry, Store } from '#coordinator/store/store.ts';
import { parseRunConfig, type RunConfig, runHash } from '#model/federated.ts';
import { resolveThresholds } from '#privacy/audit/thresholds.ts';
import { FedError } from '#proto/errors.ts';
import { nearest } from '#proto/validate.ts';
import { withStore } from './with-store.ts';

/**
 * Creates a run. Its configuration is checked whole, down to the audit's thresholds, before anything begins.
 * @throws FedError CONFIG_INVALID, e.g. naming a site that is not enrolled
 */
export async function createRun(
  dir: string,
  configuration: unknown,
  { what = 'run configuration', clock = systemClock }: { readonly what?: string; readonly clock?: Clock } = {},
): Promise<{ runId: string; runSha256: string }> {
  const config = parseRunConfig(configuration, what);
  resolveThresholds(config.audit);
  requireTraining(config, what);
  const atMs = clock.nowMs();
  const runId = newRunId(atMs);
  const runSha256 = runHash(config).toString('hex');
  await withStore(dir, async store => {
    await requireEnrolled(config, store, what);
    const created = await store.appendEvent(
      runId,
      1,
      { type: 'RunCreated', runId, config, atMs },
      { atMs, actor: 'operator', action: 'run.created', detail: { run: runId, runSha256 } },
    );
    if (!created) throw new FedError('INTERNAL', `the run id ${runId} was taken`, 'run it again');
  });
  return { runId, runSha256 };
}

/** Sorts by time of creation; safe in paths and URLs. */
const newRunId = (atMs: number): string =>
  `${new Date(atMs).toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-')}-${randomBytes(4).toString('hex')}`;

function requireTraining(config: RunConfig, what: string): void {
  if (config.adversarial.rounds > 0) return;
  throw new FedError(
    'CONFIG_INVALID',
    `${what}: expected at least one adversarial round; 0 came`,
    'raise adversarial.rounds',
  );
}

async function requireEnrolled(config: RunConfig, store: Store, what: string): Promise<void> {
  const certificates = await store.certificates();
  const enrolled = new Set(certificates.filter(({ revokedAtMs }) => revokedAtMs === null).map(({ site }) => site));
  const stranger = config.sites.find(site => !enrolled.has(site));
  if (stranger !== undefined) {
    const near = nearest(stranger, [...enrolled]);
    const remedy = near === undefined ? 'invite and enrol it first' : `did you mean "${near}"?`;
    throw new FedError('CONFIG_INVALID', `${what}: site "${stranger}" is not enrolled`, remedy);
  }
  if (config.quorum > config.sites.length) {
    throw new FedError(
      'CONFIG_INVALID',
      `${what}: quorum ${config.quorum} is more than the ${config.sites.length} sites`,
      'lower it, or 0 for all',
    );
  }
}

/** The state of a run, from its events. */
export async function loadRun(store: Store, runId: string): Promise<RunState | undefined> {
  const events = await store.events(runId);
  return events.length === 0 ? undefined : fold(events.map(({ event }) => event));
}

export const listRuns = (dir: string): Promise<RunSummary[]> =>
  withStore(dir, async store => {
    const summaries: RunSummary[] = [];
    for (const { runId } of await store.runs()) {
      const state = await loadRun(store, runId);
      if (state !== undefined) summaries.push(runSummary(state));
    }
    return summaries;
  });

/** @throws FedError NOT_FOUND */
export const showRun = (dir: string, runId: string): Promise<RunView> =>
  withStore(dir, async store => runView(await requireRun(store, runId), runFolder(runsFolderOf(dir), runId)));

/**
 * Stops a run; sites are told to drop its tasks.
 * @throws FedError NOT_FOUND; CONFIG_INVALID when it has ended
 */
export async function stopRun(
  dir: string,
  runId: string,
  {
    reason = 'stopped by the operator',
    clock = systemClock,
  }: { readonly reason?: string; readonly clock?: Clock } = {},
): Promise<{ runId: string; status: 'stopped' }> {
  const atMs = clock.nowMs();
  const event: RunEvent = { type: 'RunStopped', reason, atMs };
  const audit: AuditEntry = { atMs, actor: 'operator', action: 'run.stopped', detail: { run: runId, reason } };
  return withStore(dir, async store => {
    for (;;) {
      const state = await requireRun(store, runId);
      if (state.status !== 'running') {
        throw new FedError(
          'CONFIG_INVALID',
          `expected a run in progress; ${runId} is ${state.status}`,
          'see "emixer coordinator runs"',
        );
      }
      // Another event may come between the look and the write: then the place is taken, and it is tried again.
      const last = (await store.events(runId)).at(-1)?.seq ?? 0;
      if (await store.appendEvent(runId, last + 1, event, audit)) return { runId, status: 'stopped' };
    }
  });
}

async function requireRun(store: Store, runId: string): Promise<RunState> {
  const state = await loadRun(store, runId);
  if (state === undefined) {
    throw new FedError('NOT_FOUND', `expected a run of id "${runId}"; there is none`, 'see "emixer coordinator runs"');
  }
  return state;
}
