/** What handlers know: who calls, and the coordinator's parts. They know no transport. */
import type { Logger } from 'pino';
import type { Clock } from '#coordinator/clock.ts';
import type { Notice } from '#coordinator/notices.ts';
import type { ActiveRun } from '#coordinator/rounds/active-run.ts';
import type { Driver } from '#coordinator/rounds/driver.ts';
import type { Sessions } from '#coordinator/sessions.ts';
import type { Store } from '#coordinator/store/store.ts';
import { FedError } from '#proto/errors.ts';
import type { LiveProgress } from './live-progress.ts';
import type { UploadQuota } from './upload-quota.ts';

/** A site whose certificate is enrolled and not revoked. */
export interface Caller {
  readonly site: string;
  readonly serial: string;
  readonly publicKeyPem: string;
  /** Aborts when the caller goes away. */
  readonly signal: AbortSignal;
}

export interface HandlerContext {
  readonly store: Store;
  readonly driver: Driver;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly log: Logger;
  readonly notify: (notice: Notice) => void;
  readonly progress: LiveProgress;
  readonly quota: UploadQuota;
  readonly heartbeatIntervalMs: number;
}

/** The run, if the caller takes part in it; whether another run of that name exists is not told. @throws FedError NOT_FOUND */
export function runFor(runId: string, { site }: Caller, { driver }: HandlerContext): ActiveRun {
  const run = driver.run(runId);
  if (run === undefined || !run.state.config.sites.includes(site)) {
    throw new FedError('NOT_FOUND', 'expected a run in which this site takes part; there is none of that id');
  }
  return run;
}
