/** Exponential back-off with full jitter: many sites that lost the same coordinator must not come back in one instant. */
import type { ErrorCode, FedError } from '#proto/errors.ts';
import { toFedError } from '#proto/errors.ts';
import type { Clock } from './clock.ts';

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maximumMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export const DEFAULT_BACKOFF = { firstMs: 500, maximumMs: 30_000 } as const;

/**
 * The wait before attempt `attempt` (0 for the first retry), in milliseconds: between half of and the whole of
 * min(maximum, first * 2^attempt), so that a wait is never nothing.
 */
export function backoffMs(attempt: number, { firstMs, maximumMs, random }: BackoffOptions): number {
  // 2^30 ms is beyond any maximum; the cap keeps the power finite after weeks without a coordinator.
  const ceiling = Math.min(maximumMs, firstMs * 2 ** Math.min(attempt, 30));
  return Math.round(ceiling * (0.5 + random() / 2));
}

/** What passes with time, or when somebody frees space; everything else needs a person, and retrying would hide it. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set(['UNREACHABLE', 'CANCELLED', 'DISK_FULL']);
/** A fault of the other end may pass with its restart; the same fault for the fifth time will not. */
const INTERNAL_ATTEMPTS = 5;

/** @param failures how often it failed before */
export const isTransient = (error: FedError, failures = 0): boolean =>
  TRANSIENT.has(error.code) || (error.code === 'INTERNAL' && failures < INTERNAL_ATTEMPTS);

export interface Wait {
  readonly reason: FedError;
  readonly waitMs: number;
  readonly attempt: number;
}

/**
 * Runs `attempt` until it succeeds, waiting with back-off after transient failures and saying so through `onWait`.
 * @throws the first failure that is not transient, or the signal's reason
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  options: BackoffOptions & { clock: Clock; signal: AbortSignal; onWait: (wait: Wait) => void },
): Promise<T> {
  for (let failures = 0; ; failures++) {
    options.signal.throwIfAborted();
    try {
      return await attempt();
    } catch (thrown) {
      options.signal.throwIfAborted();
      const reason = toFedError(thrown);
      if (!isTransient(reason, failures)) throw reason;
      const waitMs = backoffMs(failures, options);
      options.onWait({ reason, waitMs, attempt: failures + 1 });
      await options.clock.sleep(waitMs, options.signal);
    }
  }
}
