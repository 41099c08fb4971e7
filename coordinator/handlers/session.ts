/** OpenSession and Heartbeat: a site is there, gets its tasks, and says how far it is. */

import { parseTaskId, stepId } from '#coordinator/rounds/steps.ts';
import { FedError } from '#proto/errors.ts';
import type {
  HeartbeatRequest,
  HeartbeatResponse,
  OpenSessionRequest,
  OpenSessionResponse,
  ReportMetricsRequest,
  ReportMetricsResponse,
} from '#proto/gen/fed/v1/federation.ts';
import { MAX_CLOCK_DIFFERENCE_MS, PROTOCOL_VERSION, SOFTWARE_VERSION } from '#proto/version.ts';
import type { Caller, HandlerContext } from './context.ts';
import { parseMetrics } from './metrics.ts';

/** Streams a welcome, then tasks as they become due, until the site goes or opens another session. */
export async function* openSession(
  request: OpenSessionRequest,
  caller: Caller,
  context: HandlerContext,
): AsyncGenerator<OpenSessionResponse, void, undefined> {
  const { site, serial, signal } = caller;
  const { clock, sessions, notify, log } = context;
  requireCompatible(request, clock.nowMs());
  const session = sessions.open(site, serial);
  const end = (): void => session.end();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  log.info({ site, serial, version: printableVersion(request.softwareVersion) }, 'session opened');
  notify({ event: 'site-connected', site });
  try {
    yield { event: { $case: 'welcome', value: welcome(site, clock.nowMs(), context.heartbeatIntervalMs) } };
    context.driver.connected(session);
    yield* session.messages();
  } finally {
    signal.removeEventListener('abort', end);
    if (sessions.close(session)) notify({ event: 'site-disconnected', site });
    log.info({ site, serial }, 'session closed');
  }
}

const welcome = (site: string, nowMs: number, heartbeatIntervalMs: number) => ({
  site,
  protocolVersion: PROTOCOL_VERSION,
  softwareVersion: SOFTWARE_VERSION,
  clockMs: BigInt(nowMs),
  heartbeatIntervalMs,
});

const printableVersion = (version: string): string => version.slice(0, 40).replace(/[^\w.+-]/g, '?');

/** @throws FedError PROTOCOL_MISMATCH | CLOCK_SKEW */
function requireCompatible({ protocolVersion, softwareVersion, clockMs }: OpenSessionRequest, nowMs: number): void {
  if (protocolVersion !== PROTOCOL_VERSION) {
    const theirs = `${protocolVersion} (software ${printableVersion(softwareVersion)})`;
    throw new FedError(
      'PROTOCOL_MISMATCH',
      `the coordinator speaks protocol ${PROTOCOL_VERSION} (software ${SOFTWARE_VERSION}), the site ${theirs}`,
      'install the same version at both ends',
    );
  }
  const differenceMs = Number(clockMs) - nowMs;
  if (Math.abs(differenceMs) > MAX_CLOCK_DIFFERENCE_MS) {
    throw new FedError(
      'CLOCK_SKEW',
      `expected clocks at most ${MAX_CLOCK_DIFFERENCE_MS / 1000} s apart; the site's is ${Math.round(differenceMs / 1000)} s off`,
      'synchronise the clocks (NTP) of both machines',
    );
  }
}

/** Answers every heartbeat with the clock, and keeps what it says about the task in progress. */
export async function* heartbeat(
  requests: AsyncIterable<HeartbeatRequest>,
  caller: Caller,
  context: HandlerContext,
): AsyncGenerator<HeartbeatResponse, void, undefined> {
  for await (const { taskId, step, steps } of requests) {
    if (taskId !== '') keepProgress(taskId, step, steps, {}, caller, context);
    yield { clockMs: BigInt(context.clock.nowMs()) };
  }
}

/** @throws FedError MESSAGE_INVALID when the metrics are no finite numbers */
export async function reportMetrics(
  { taskId, step, steps, metricsJson }: ReportMetricsRequest,
  caller: Caller,
  context: HandlerContext,
): Promise<ReportMetricsResponse> {
  const metrics = parseMetrics(metricsJson);
  const kept = keepProgress(taskId, step, steps, metrics, caller, context);
  if (kept !== undefined) context.notify({ event: 'progress', site: caller.site, step, steps, metrics, ...kept });
  return {};
}

/** Reports on anything but the caller's task in progress are dropped: they come late, or were never asked for. */
function keepProgress(
  taskId: string,
  step: number,
  steps: number,
  metrics: Readonly<Record<string, number>>,
  { site }: Caller,
  { driver, progress, clock }: HandlerContext,
) {
  const parts = parseTaskId(taskId);
  const state = parts?.site === site ? driver.run(parts.runId)?.state : undefined;
  if (parts === undefined || state?.step === undefined || stepId(state.step) !== parts.step) return undefined;
  if (state.step.sites[site]?.status !== 'waiting') return undefined;
  progress.report(state.runId, site, taskId, { step, steps, metrics, atMs: clock.nowMs() });
  const { stage, round, kind } = state.step;
  return { run: state.runId, stage, round, kind };
}
