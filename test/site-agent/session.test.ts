import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, FedError } from '#proto/errors.ts';
import type { OpenSessionResponse, Task } from '#proto/gen/fed/v1/federation.ts';
import { PROTOCOL_VERSION } from '#proto/version.ts';
import { backoffMs, retrying } from '#site-agent/backoff.ts';
import type { AgentEvent } from '#site-agent/events.ts';
import { keepSession } from '#site-agent/session.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { taskOf } from '../support/tasks.ts';

const backoff = { firstMs: 500, maximumMs: 30_000, random: () => 1 };
const unreachable = () => new FedError('UNREACHABLE', 'no answer');

describe('the wait between attempts', () => {
  it('doubles from half a second to half a minute', () => {
    const waits = Array.from({ length: 9 }, (_, attempt) => backoffMs(attempt, backoff));
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('is never less than half nor more than the whole of that, however many attempts', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, random) => {
        const whole = backoffMs(attempt, backoff);
        const wait = backoffMs(attempt, { ...backoff, random: () => random });
        expect(wait).toBeGreaterThanOrEqual(whole / 2);
        expect(wait).toBeLessThanOrEqual(whole);
      }),
    );
  });
});

describe('retrying', () => {
  const options = () => {
    const clock = new ManualClock();
    const waits: string[] = [];
    const signal = new AbortController().signal;
    return { ...backoff, clock, signal, waits, onWait: ({ reason }: { reason: FedError }) => waits.push(reason.code) };
  };

  it('goes on through what passes, and says so each time', async () => {
    const retry = options();
    const failures = [unreachable(), new FedError('DISK_FULL', 'full'), unreachable()];
    const result = await retrying(async () => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return 'done';
    }, retry);
    expect(result).toBe('done');
    expect(retry.waits).toEqual(['UNREACHABLE', 'DISK_FULL', 'UNREACHABLE']);
    expect(retry.clock.slept).toEqual([500, 1_000, 2_000]);
  });

  it.each<ErrorCode>(['POLICY_REFUSED', 'UNAUTHENTICATED', 'MESSAGE_INVALID', 'NOT_FOUND'])(
    'ends at %s',
    async code => {
      const retry = options();
      await expect(retrying(() => Promise.reject(new FedError(code, 'no')), retry)).rejects.toMatchObject({ code });
      expect(retry.waits).toEqual([]);
    },
  );

  it('gives an internal error of the other end five chances, not more', async () => {
    const retry = options();
    await expect(retrying(() => Promise.reject(new FedError('INTERNAL', 'bug')), retry)).rejects.toMatchObject({
      code: 'INTERNAL',
    });
    expect(retry.waits).toHaveLength(5);
  });
});

describe('the session', () => {
  const welcome = (clockMs: number): OpenSessionResponse => ({
    event: {
      $case: 'welcome',
      value: {
        site: 'a',
        protocolVersion: PROTOCOL_VERSION,
        softwareVersion: '1',
        clockMs: BigInt(clockMs),
        heartbeatIntervalMs: 5_000,
      },
    },
  });

  /** Each opening gets the next script: messages, then an error or a clean end. */
  async function play(scripts: { messages?: (clock: ManualClock) => OpenSessionResponse[]; error?: Error }[]) {
    const clock = new ManualClock();
    const controller = new AbortController();
    const events: AgentEvent[] = [];
    const tasks: Task[] = [];
    await keepSession({
      site: 'a',
      address: 'host:1',
      clock,
      backoff,
      signal: controller.signal,
      egress: {
        async *openSession() {
          const script = scripts.shift();
          if (script === undefined) return controller.abort();
          yield* script.messages?.(clock) ?? [];
          if (script.error !== undefined) throw script.error;
        },
      },
      onEvent: event => events.push(event),
      onWelcome: () => undefined,
      onTask: task => tasks.push(task),
      onCancel: () => undefined,
    });
    return { clock, events, tasks };
  }

  it('opens again with growing waits, which start over after a welcome', async () => {
    const down = { error: unreachable() };
    const up = { messages: (clock: ManualClock) => [welcome(clock.nowMs())], error: unreachable() };
    const { clock, events } = await play([down, down, down, up, down, { messages: () => [] }]);
    expect(clock.slept).toEqual([500, 1_000, 2_000, 500, 1_000, 2_000]);
    const [wait] = events.filter(({ event }) => event === 'waiting');
    expect(wait).toEqual({
      event: 'waiting',
      for: 'the coordinator at host:1',
      reason: 'UNREACHABLE no answer',
      untilMs: 1_000_500,
    });
  });

  it('hands tasks on', async () => {
    const task = taskOf('train');
    const { tasks } = await play([
      { messages: clock => [welcome(clock.nowMs()), { event: { $case: 'task', value: task } }] },
    ]);
    expect(tasks).toEqual([task]);
  });

  it.each<ErrorCode>(['CERTIFICATE_REVOKED', 'UNAUTHENTICATED', 'PROTOCOL_MISMATCH', 'CLOCK_SKEW'])(
    'ends with %s, which no waiting mends',
    async code => {
      await expect(play([{ error: new FedError(code, 'no') }])).rejects.toMatchObject({ code });
    },
  );

  it('takes five minutes of difference between clocks, not more', async () => {
    const off = (ms: number) => [{ messages: (clock: ManualClock) => [welcome(clock.nowMs() + ms)] }];
    const { events } = await play(off(300_000));
    expect(events).toContainEqual(expect.objectContaining({ event: 'connected', clockOffMs: 300_000 }));
    await expect(play(off(300_001))).rejects.toMatchObject({ code: 'CLOCK_SKEW' });
    await expect(play(off(-300_001))).rejects.toMatchObject({ code: 'CLOCK_SKEW' });
  });
});
