/** Time as the coordinator sees it; tests pass their own. */

export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Runs `action` once after `delayMs`; returns how to call it off. */
  after(delayMs: number, action: () => void): () => void;
}

/** Longer delays overflow Node's timer, which then fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, Math.min(Math.max(0, delayMs), MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};
