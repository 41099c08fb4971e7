/** A clock that stands still except when somebody sleeps: then it jumps, and remembers how long. */
import type { Clock } from '#site-agent/clock.ts';

export class ManualClock implements Clock {
  readonly slept: number[] = [];
  #nowMs = 1_000_000;

  nowMs(): number {
    return this.#nowMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.slept.push(ms);
    this.#nowMs += ms;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}
