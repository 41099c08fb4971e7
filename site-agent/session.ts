/** The session with the coordinator: dialled out, checked when it opens, opened again with back-off when it ends. */
import { FedError, toFedError } from '#proto/errors.ts';
import type { CancelTask, OpenSessionResponse, Task, Welcome } from '#proto/gen/fed/v1/federation.ts';
import { MAX_CLOCK_DIFFERENCE_MS, PROTOCOL_VERSION } from '#proto/version.ts';
import { type BackoffOptions, backoffMs, isTransient } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { OnEvent } from './events.ts';

export interface SessionOptions {
  readonly site: string;
  /** host:port, for what the agent says. */
  readonly address: string;
  readonly egress: { openSession(signal: AbortSignal): AsyncIterable<OpenSessionResponse> };
  readonly clock: Clock;
  readonly backoff: BackoffOptions;
  readonly signal: AbortSignal;
  readonly onEvent: OnEvent;
  readonly onWelcome: (welcome: Welcome) => void;
  readonly onTask: (task: Task) => void;
  readonly onCancel: (cancel: CancelTask) => void;
}

/**
 * Keeps a session open until the signal aborts; then it returns.
 * @throws FedError what no waiting mends: CERTIFICATE_REVOKED, UNAUTHENTICATED, PROTOCOL_MISMATCH, CLOCK_SKEW, ...
 */
export async function keepSession(options: SessionOptions): Promise<void> {
  const { address, clock, backoff, signal, onEvent } = options;
  for (let failures = 0; !signal.aborted; failures++) {
    let reason = 'it ended the session';
    try {
      onEvent({ event: 'connecting', to: address });
      for await (const response of options.egress.openSession(signal)) {
        if (response.event?.$case === 'welcome') failures = 0;
        dispatch(response, options);
      }
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toFedError(thrown);
      if (!isTransient(error, failures)) throw error;
      reason = `${error.code} ${error.message}`;
    }
    if (signal.aborted) return;
    const waitMs = backoffMs(failures, backoff);
    onEvent({ event: 'waiting', for: `the coordinator at ${address}`, reason, untilMs: clock.nowMs() + waitMs });
    // An abort ends the wait early; the loop's condition sees it.
    await clock.sleep(waitMs, signal).catch(() => undefined);
  }
}

function dispatch({ event }: OpenSessionResponse, options: SessionOptions): void {
  switch (event?.$case) {
    case 'welcome': {
      const clockOffMs = checkWelcome(event.value, options);
      const { site, softwareVersion } = event.value;
      options.onEvent({ event: 'connected', site, coordinatorVersion: softwareVersion, clockOffMs });
      options.onWelcome(event.value);
      return;
    }
    case 'task':
      options.onTask(event.value);
      return;
    case 'cancel':
      options.onCancel(event.value);
      return;
    default:
      // An event that a newer coordinator knows: what this version cannot do is not asked of it after the version check.
      return;
  }
}

/** @returns how far the coordinator's clock is ahead of the site's, in milliseconds */
function checkWelcome(welcome: Welcome, { site, clock }: SessionOptions): number {
  if (welcome.protocolVersion !== PROTOCOL_VERSION) {
    throw new FedError(
      'PROTOCOL_MISMATCH',
      `this site speaks protocol ${PROTOCOL_VERSION}, the coordinator ${welcome.protocolVersion} (software ${welcome.softwareVersion})`,
      'install the same version at both ends',
    );
  }
  if (welcome.site !== site) {
    throw new FedError(
      'UNAUTHENTICATED',
      `expected to be welcomed as "${site}", as the certificate says; the coordinator says "${welcome.site}"`,
      'tell the operator of the coordinator',
    );
  }
  const clockOffMs = Number(welcome.clockMs) - clock.nowMs();
  if (Math.abs(clockOffMs) > MAX_CLOCK_DIFFERENCE_MS) {
    throw new FedError(
      'CLOCK_SKEW',
      `expected clocks within ${MAX_CLOCK_DIFFERENCE_MS / 1000} s; the coordinator's is ${Math.round(clockOffMs / 1000)} s ahead`,
      'set the clock (NTP) at the end that is wrong',
    );
  }
  return clockOffMs;
}
