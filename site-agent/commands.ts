/** What the command line's `emixer site ...` calls: one function a command, without argv or terminal. */
import { readFile, rm } from 'node:fs/promises';
import { FedError } from '#proto/errors.ts';
import { approveRun } from './approvals.ts';
import { AuditLog } from './audit-log.ts';
import { type Clock, systemClock } from './clock.ts';
import { combineSources } from './data/combined.ts';
import { loadOrCreateDataKey } from './data/keyed-hash.ts';
import { type PrepareOptions, type PrepareSummary, prepare } from './data/prepare.ts';
import { deletePrepared as deletePreparedSet } from './data/prepared.ts';
import { loaderOf } from './data/registry.ts';
import { type Enrolled, enroll as enrollSite } from './enrolment.ts';
import { takeLock } from './lock.ts';
import { type Check, preflight as runPreflight } from './preflight.ts';
import { privateFolders, sitePaths } from './state.ts';

export { type AgentOptions, startAgent } from './agent.ts';
export { verifyAuditLog } from './audit-log.ts';
export { egressSummary } from './egress-log.ts';

/** @throws FedError as enrolment.ts */
export const enroll = (options: { inviteFile: string; dir: string; clock?: Clock }): Promise<Enrolled> =>
  enrollSite({ clock: systemClock, ...options });

export const preflight = (options: {
  dir: string;
  environment: Readonly<Record<string, string | undefined>>;
  clock?: Clock;
}): Promise<Check[]> => runPreflight({ clock: systemClock, ...options });

export interface PrepareSiteOptions {
  readonly dir: string;
  /** KIND=DIR of the command line. */
  readonly data: readonly { readonly kind: string; readonly folder: string }[];
  /** Side in pixels, as the run's preset wants it. */
  readonly resolution: number;
  readonly imageChannels: 1 | 3;
  /** A patient id a line: only these are taken. */
  readonly patientsFile?: string;
  readonly onProgress?: NonNullable<PrepareOptions['onProgress']>;
  readonly signal?: AbortSignal;
}

/**
 * Reads a site's collections into its prepared set, which the training worker reads.
 * @throws FedError CONFIG_INVALID while the agent runs, USAGE on an unknown kind, DATA_INVALID, NO_USABLE_RECORDS, DISK_FULL, CANCELLED
 */
export async function prepareSite(options: PrepareSiteOptions): Promise<PrepareSummary> {
  const { dir, data, resolution, imageChannels, patientsFile, onProgress, signal } = options;
  const sources = data.map(({ kind, folder }) => ({ loader: loaderOf(kind), folder }));
  const paths = sitePaths(dir);
  await privateFolders(dir, paths.data);
  const patients = patientsFile === undefined ? undefined : await readPatients(patientsFile, data);
  const release = await takeLock(paths.lock);
  try {
    return await prepare({
      ...combineSources(sources),
      out: paths.prepared,
      resolution,
      imageChannels,
      key: await loadOrCreateDataKey(paths.dataKey),
      ...(patients === undefined ? {} : { patients }),
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(signal === undefined ? {} : { signal }),
    });
  } finally {
    release();
  }
}

/** Ids as the collections know them; of several collections they are read with the kind before them (data/combined.ts). */
async function readPatients(file: string, data: PrepareSiteOptions['data']): Promise<ReadonlySet<string>> {
  const text = await readFile(file, 'utf8').catch(cause => {
    throw new FedError('USAGE', `expected a file of patient ids at ${file}; it cannot be read`, 'check the path', {
      cause,
    });
  });
  const ids = text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '');
  return new Set(data.length > 1 ? ids.flatMap(id => data.map(({ kind }) => `${kind}:${id}`)) : ids);
}

/** @returns the hash of the run's configuration that is now approved. @throws FedError NOT_FOUND */
export const approve = ({ dir, run, clock = systemClock }: { dir: string; run: string; clock?: Clock }) =>
  approveRun(dir, run, clock.nowMs());

/**
 * Deletes everything that was made from patients: the prepared set, and what training left (discriminators, optimiser
 * state, checkpoints). The next run starts from `prepare`.
 * @throws FedError CONFIG_INVALID while the agent runs
 */
export async function deletePrepared({ dir, clock = systemClock }: { dir: string; clock?: Clock }): Promise<void> {
  const paths = sitePaths(dir);
  const release = await takeLock(paths.lock);
  try {
    await deletePreparedSet(paths.prepared);
    await rm(paths.runs, { recursive: true, force: true });
    const audit = await AuditLog.open(dir);
    await audit.record('prepared-deleted', {}, clock.nowMs());
    await audit.close();
  } finally {
    release();
  }
}
