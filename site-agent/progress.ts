/** While a task runs: heartbeats at the coordinator's pace, metrics as often as they change but not more than once a second. */
import { FedError } from '#proto/errors.ts';
import type { HeartbeatRequest, HeartbeatResponse } from '#proto/gen/fed/v1/federation.ts';
import type { Clock } from './clock.ts';
import type { OnEvent } from './events.ts';
import type { Progress } from './worker/supervisor.ts';

export interface ProgressPort {
  heartbeats(beats: AsyncIterable<HeartbeatRequest>, signal: AbortSignal): AsyncIterable<HeartbeatResponse>;
  reportMetrics(
    report: { taskId: string; step: number; steps: number; metrics: Record<string, number> },
    signal: AbortSignal,
  ): Promise<void>;
}

const METRICS_INTERVAL_MS = 1_000;

export class ProgressReporter {
  readonly #taskId: string;
  readonly #egress: ProgressPort;
  readonly #clock: Clock;
  readonly #onEvent: OnEvent;
  readonly #controller = new AbortController();
  readonly #loops: Promise<void>[];
  #latest: Progress = { step: 0, steps: 0, metrics: {} };
  #reported: Progress | undefined;
  #wake: () => void = () => undefined;

  constructor(options: {
    readonly taskId: string;
    readonly egress: ProgressPort;
    readonly clock: Clock;
    readonly onEvent: OnEvent;
    readonly heartbeatIntervalMs: number;
  }) {
    this.#taskId = options.taskId;
    this.#egress = options.egress;
    this.#clock = options.clock;
    this.#onEvent = options.onEvent;
    this.#reported = this.#latest;
    this.#loops = [this.#beat(options.heartbeatIntervalMs), this.#report()];
  }

  update(progress: Progress): void {
    this.#latest = progress;
    this.#onEvent({ event: 'progress', taskId: this.#taskId, ...progress });
    this.#wake();
  }

  /** The last figures still go out. */
  async stop(): Promise<void> {
    this.#controller.abort();
    this.#wake();
    await Promise.all(this.#loops);
  }

  async #beat(intervalMs: number): Promise<void> {
    const { signal } = this.#controller;
    const sleep = (): Promise<void> => this.#clock.sleep(intervalMs, signal).catch(() => undefined);
    const taskId = this.#taskId;
    const latest = (): Progress => this.#latest;
    async function* beats(): AsyncGenerator<HeartbeatRequest> {
      while (!signal.aborted) {
        const { step, steps } = latest();
        yield { taskId, step, steps };
        await sleep();
      }
    }
    while (!signal.aborted) {
      try {
        for await (const _clock of this.#egress.heartbeats(beats(), signal));
      } catch (error) {
        // A cut ends the stream, and the session says so; a policy that blocks heartbeats is not asked again.
        if (isRefusal(error)) return;
      }
      await sleep();
    }
  }

  async #report(): Promise<void> {
    const { signal } = this.#controller;
    for (;;) {
      if (this.#latest === this.#reported) {
        if (signal.aborted) return;
        await new Promise<void>(resolve => {
          this.#wake = resolve;
        });
        continue;
      }
      const { step, steps, metrics } = this.#latest;
      this.#reported = this.#latest;
      try {
        const report = { taskId: this.#taskId, step, steps, metrics: { ...metrics } };
        // Not this reporter's signal: the last figures go out after it is stopped.
        await this.#egress.reportMetrics(report, AbortSignal.timeout(METRICS_INTERVAL_MS * 10));
      } catch (error) {
        // Metrics decide nothing: a cut loses them. What may not leave is said once.
        if (isRefusal(error)) {
          this.#onEvent({ event: 'metrics-refused', taskId: this.#taskId, reason: error.message });
          return;
        }
      }
      await this.#clock.sleep(METRICS_INTERVAL_MS, signal).catch(() => undefined);
    }
  }
}

const isRefusal = (error: unknown): error is FedError => error instanceof FedError && error.code === 'POLICY_REFUSED';
