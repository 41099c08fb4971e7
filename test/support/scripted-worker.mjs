/**
 * Stands in for the training worker in tests of its supervisor: plain JavaScript, so that Node runs it under the
 * permission model without a loader. What it does is in the job's `run.name`.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const say = message => process.send(message);
const done = (job, result) => say({ type: 'done', taskId: job.taskId, result });

const attempt = path => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return error.code;
  }
};

const scripts = {
  environment: job => done(job, { ...process.env }),
  read: job => done(job, Object.fromEntries(job.run.audit.paths.map(path => [path, attempt(path)]))),
  progress(job) {
    for (const step of [1, 2, 3]) say({ type: 'progress', step, steps: 3, metrics: { loss: 1 / step } });
    say({ type: 'progress', step: -1, steps: 'many', metrics: null });
    done(job, { pid: process.pid });
  },
  /** Counts its steps on disk, and kills itself in the middle of the second until it is resumed. */
  'die once'(job) {
    const path = join(job.stateDir, 'steps');
    const steps = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
    if (steps === 0) {
      writeFileSync(path, '1');
      process.kill(process.pid, 'SIGKILL');
      return;
    }
    done(job, { resumedAt: steps });
  },
  'always die'() {
    process.stderr.write('out of memory\n');
    process.exit(9);
  },
  hang: () => undefined,
  'hang once'(job) {
    const path = join(job.stateDir, 'hung');
    if (existsSync(path)) done(job, { resumed: true });
    else writeFileSync(path, '');
  },
  fail: job =>
    say({ type: 'failed', taskId: job.taskId, code: 'NON_FINITE', message: 'loss is NaN', remedy: 'lower the rate' }),
};

process.on('message', job => scripts[job.run.name](job));
process.on('disconnect', () => process.exit(0));
say({ type: 'ready', backend: 'scripted 1' });
