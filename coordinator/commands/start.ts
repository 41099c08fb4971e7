/** `emixer coordinator start`: every part put together, listening, until it is closed. */
import { join } from 'node:path';
import { pino } from 'pino';
import { type Clock, systemClock } from '#coordinator/clock.ts';
import { databasePath, loadConfig, requireLoopback, runsFolderOf } from '#coordinator/config.ts';
import { loadAuthority, loadServerFiles } from '#coordinator/enrolment/authority.ts';
import type { HandlerContext } from '#coordinator/handlers/context.ts';
import { LiveProgress } from '#coordinator/handlers/live-progress.ts';
import { UploadQuota } from '#coordinator/handlers/upload-quota.ts';
import { buildHttpApp } from '#coordinator/http/app.ts';
import type { Notice } from '#coordinator/notices.ts';
import { concludeRun } from '#coordinator/output.ts';
import type { RunContext } from '#coordinator/rounds/active-run.ts';
import { Driver, runFolder } from '#coordinator/rounds/driver.ts';
import { listen } from '#coordinator/rpc/listener.ts';
import { enrolmentService, federationService } from '#coordinator/rpc/services.ts';
import { Sessions } from '#coordinator/sessions.ts';
import { openSqliteStore } from '#coordinator/store/sqlite-store.ts';
import type { Store } from '#coordinator/store/store.ts';
import { FedError } from '#proto/errors.ts';
import { lockFolder } from '#proto/folder-lock.ts';
import { EnrolmentServiceService, FederationServiceService } from '#proto/gen/fed/v1/federation.ts';
import { serverCredentials } from '#proto/tls.ts';
import { loadRun } from './runs.ts';
import { writeAddresses } from './sites.ts';

export interface StartOptions {
  readonly dir: string;
  /** host:port; port 0 lets the system choose. These go before the configuration's. */
  readonly listen?: string;
  readonly enrolListen?: string;
  readonly http?: string;
  /** Told everything a person or a program may want to follow; the first is `listening`. */
  readonly onEvent?: (notice: Notice) => void;
  /** Where structured logs go (one JSON object a line); nowhere without it. */
  readonly logTo?: { write(line: string): void };
  /** Aborting closes the coordinator. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  /** Another store than the embedded database of `dir`. */
  readonly openStore?: (path: string) => Promise<Store>;
  /** Keep contributions and every round's weights, whatever the configuration says. */
  readonly keepIntermediate?: boolean;
}

export interface RunningCoordinator {
  readonly grpcAddress: string;
  readonly enrolAddress: string;
  readonly httpAddress: string;
  /** Ends sessions and listeners; runs go on at the next start. May be called again. */
  close(): Promise<void>;
}

/** How long calls in progress may take to end. */
const GRACE_MS = 500;
/** A token and a certificate request have a few thousand bytes; whoever sends them has no certificate yet. */
const MAX_ENROLMENT_BYTES = 64 * 1024;

/**
 * @throws FedError NOT_FOUND when `dir` was not initialised; CONFIG_INVALID, also when another coordinator has it;
 * PORT_IN_USE
 */
export async function startCoordinator(options: StartOptions): Promise<RunningCoordinator> {
  const { dir, signal } = options;
  const undo: (() => Promise<void> | void)[] = [];
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= closeAll(undo);
    return closing;
  };
  try {
    signal?.throwIfAborted();
    const addresses = await open(options, undo);
    signal?.addEventListener('abort', () => void close(), { once: true });
    await writeAddresses(dir, { coordinator: addresses.grpcAddress, enrolment: addresses.enrolAddress });
    return { ...addresses, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** Last opened, first closed. */
async function closeAll(undo: (() => Promise<void> | void)[]): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
}

async function open(options: StartOptions, undo: (() => Promise<void> | void)[]) {
  const { dir, clock = systemClock, onEvent: notify = () => {} } = options;
  const config = await loadConfig(dir);
  const log = pino(
    { level: options.logTo ? config.logLevel : 'silent', base: { service: 'coordinator' } },
    options.logTo ?? { write: () => {} },
  );
  const http = requireLoopback(options.http ?? config.http);
  undo.push(lockFolder(join(dir, 'coordinator.lock'), 'coordinator'));
  const store = await (options.openStore ?? openSqliteStore)(databasePath(dir));
  undo.push(() => store.close());
  const identity = await loadServerFiles(dir);
  const authority = await loadAuthority(dir);
  const sessions = new Sessions();
  const runContext: RunContext = {
    store,
    sessions,
    clock,
    log,
    notify,
    keepIntermediate: options.keepIntermediate ?? config.keepIntermediate,
    conclude: concludeRun,
  };
  const driver = new Driver({
    ...runContext,
    runsFolder: runsFolderOf(dir),
    onStoreChanged: () => endRevoked(sessions, store),
  });
  undo.push(() => driver.close());
  await driver.load();
  const context: HandlerContext = {
    store,
    driver,
    sessions,
    clock,
    log,
    notify,
    progress: new LiveProgress(),
    quota: new UploadQuota(config.uploadQuotaBytes),
    heartbeatIntervalMs: config.heartbeatIntervalMs,
  };

  const app = await buildHttpApp(httpContext(dir, context));
  undo.push(() => app.close());
  const httpAddress = await listenHttp(app, http);
  const enrolment = await listen(
    options.enrolListen ?? config.enrolListen,
    serverCredentials({ ...identity, requireClientCertificate: false }),
    EnrolmentServiceService,
    enrolmentService({ store, authority, clock, log, notify }),
    { maxMessageBytes: MAX_ENROLMENT_BYTES },
  );
  undo.push(() => enrolment.close(GRACE_MS));
  const main = await listen(
    options.listen ?? config.listen,
    serverCredentials({ ...identity, requireClientCertificate: true }),
    FederationServiceService,
    federationService(context),
  );
  undo.push(() => main.close(GRACE_MS));
  // Before the listeners, so that no stream keeps them open.
  undo.push(() => sessions.endAll());
  const addresses = { grpcAddress: main.address, enrolAddress: enrolment.address, httpAddress };
  notify({ event: 'listening', grpc: main.address, enrolment: enrolment.address, http: httpAddress });
  log.info(addresses, 'listening');
  await driver.begin();
  return addresses;
}

/** Sessions that a revoked certificate has opened; their next call would be refused, but they may make none. */
async function endRevoked(sessions: Sessions, store: Store): Promise<void> {
  for (const session of sessions.all()) {
    const certificate = await store.certificate(session.serial);
    if (certificate === undefined || certificate.revokedAtMs !== null) session.end();
  }
}

function httpContext(dir: string, { store, driver, sessions, progress }: HandlerContext) {
  const state = async (runId: string) => driver.run(runId)?.state ?? loadRun(store, runId);
  return {
    run: state,
    async runs() {
      const states = await Promise.all((await store.runs()).map(({ runId }) => state(runId)));
      return states.filter(found => found !== undefined);
    },
    runFolder: (runId: string) => runFolder(runsFolderOf(dir), runId),
    live: {
      progress: (runId: string, site: string, taskId: string) => progress.of(runId, site, taskId),
      connected: (site: string) => sessions.of(site) !== undefined,
    },
    ready: () => driver.started,
    connectedSites: () =>
      sessions
        .all()
        .map(({ site }) => site)
        .sort(),
  };
}

async function listenHttp(
  app: Awaited<ReturnType<typeof buildHttpApp>>,
  { host, port }: { host: string; port: number },
): Promise<string> {
  try {
    return (await app.listen({ host, port })).replace(/^http:\/\//, '');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    throw new FedError(
      'PORT_IN_USE',
      `expected to listen on ${host}:${port}; the port is in use`,
      'choose another, or 0',
      {
        cause,
      },
    );
  }
}
