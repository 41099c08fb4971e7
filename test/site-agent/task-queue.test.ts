import { describe, expect, it } from 'vitest';
import type { Task } from '#proto/gen/fed/v1/federation.ts';
import { TaskQueue } from '#site-agent/task-queue.ts';
import { taskOf } from '../support/tasks.ts';

/** A queue whose tasks end when the test says so, or when they are cancelled. */
function queueOf(nowMs = 0) {
  const log: string[] = [];
  const endings = new Map<string, () => void>();
  const queue = new TaskQueue({
    nowMs: () => nowMs,
    onIdle: () => log.push('idle'),
    run: (task, signal) =>
      new Promise(resolve => {
        log.push(`start ${task.taskId}`);
        endings.set(task.taskId, resolve);
        signal.addEventListener('abort', () => {
          log.push(`cancel ${task.taskId}: ${(signal.reason as Error).message}`);
          resolve();
        });
      }),
  });
  const end = async (taskId: string) => {
    endings.get(taskId)?.();
    await settled();
  };
  return { queue, log, end };
}
const settled = () => new Promise(resolve => setImmediate(resolve));
const task = (taskId: string, change: Partial<Task> = {}) => taskOf('train', { task: { taskId, ...change } });

describe('the queue of tasks', () => {
  it('does one at a time, in order', async () => {
    const { queue, log, end } = queueOf();
    queue.add(task('1'));
    queue.add(task('2'));
    expect(log).toEqual(['start 1']);
    await end('1');
    await end('2');
    expect(log).toEqual(['start 1', 'start 2', 'idle']);
  });

  it('knows a task that comes again after a reconnection, running or waiting', async () => {
    const { queue, log, end } = queueOf();
    for (const id of ['1', '2', '1', '2', '1']) queue.add(task(id));
    await end('1');
    await end('2');
    expect(log).toEqual(['start 1', 'start 2', 'idle']);
  });

  it('does a task again that comes again after its end: whoever runs it knows whether it has the result', async () => {
    const { queue, log, end } = queueOf();
    queue.add(task('1'));
    await end('1');
    queue.add(task('1'));
    expect(log).toEqual(['start 1', 'idle', 'start 1']);
  });

  it('cancels what runs and forgets what waits', async () => {
    const { queue, log } = queueOf();
    queue.add(task('1'));
    queue.add(task('2'));
    queue.cancel('2', 'closed');
    queue.cancel('1', 'closed');
    await settled();
    expect(log).toEqual(['start 1', 'cancel 1: closed', 'idle']);
  });

  it('gives up a task past its deadline when the run went on, and no other', async () => {
    const { queue, log } = queueOf(1_000);
    queue.add(task('late', { deadlineMs: 999n }));
    queue.add(task('other run', { runId: 'run-2' }));
    expect(log).toEqual(['start late']);
    queue.add(task('next'));
    await settled();
    expect(log[1]).toMatch(/^cancel late: its deadline has passed and the run went on with next/);
    const punctual = queueOf(1_000);
    punctual.queue.add(task('1', { deadlineMs: 1_001n }));
    punctual.queue.add(task('2'));
    await settled();
    expect(punctual.log).toEqual(['start 1']);
  });

  it('holds a bounded number', () => {
    const { queue, log } = queueOf();
    for (let i = 0; i < 1_000; i++) queue.add(task(String(i)));
    for (let i = 0; i < 65; i++) queue.cancel(String(i), 'closed');
    expect(log.filter(line => line.startsWith('start'))).toEqual(['start 0']);
  });

  it('ends what runs when it is closed, and takes nothing more', async () => {
    const { queue, log } = queueOf();
    queue.add(task('1'));
    queue.add(task('2'));
    await queue.close('the agent stops');
    queue.add(task('3'));
    expect(log).toEqual(['start 1', 'cancel 1: the agent stops']);
  });
});
