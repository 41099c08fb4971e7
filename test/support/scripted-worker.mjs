/**
 * Stands in for the training worker in tests of its supervisor: plain JavaScript, so that Node runs it under the
 * permission model without a loader. What it does is in the job's `run.name`.
 */
import { appendFileSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
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

const bytesPerElement = { F32: 4, U8: 1 };
const floats = values => new Uint8Array(Float32Array.from(values).buffer);

/** A safetensors file; tensors are [name, dtype, shape, bytes]. */
function writeTensors(path, tensors) {
  let offset = 0;
  const described = {};
  for (const [name, dtype, shape] of tensors) {
    const end = offset + shape.reduce((a, b) => a * b, bytesPerElement[dtype]);
    described[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const header = new TextEncoder().encode(JSON.stringify(described));
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(header.length), true);
  writeFileSync(path, Buffer.concat([new Uint8Array(length.buffer), header, ...tensors.map(tensor => tensor[3])]));
}

const weights = job =>
  ['F/decoder/w', 'F/encoder/w', job.run.audit.tensor ?? 'G/w'].map(name => [
    name,
    'F32',
    [3],
    floats([job.siteIndex, job.round ?? 0, 3]),
  ]);

/** Answers of the right shape for runs of preset phantom32. */
const kinds = {
  statistics: () => ({
    patients: 40,
    records: 60,
    recordsWithReport: 50,
    labels: { Edema: null },
    tokens: { heart: 7 },
  }),
  train(job) {
    for (const step of [1, 2, 3]) say({ type: 'progress', step, steps: 3, metrics: { 'report/mle': 1 / step } });
    writeTensors(job.outPath, weights(job));
    return { records: { G: 60, 'F/encoder': 60, 'F/decoder': 50 }, metrics: { 'report/mle': 0.5 } };
  },
  evaluate(job) {
    const weightsBytes = readFileSync(job.weightsPath).length;
    const sums = { nllSum: 10, tokens: 5, unigramNllSum: 20, fid: null, fidUntrained: null };
    return { ...sums, extractorSha256: '', images: weightsBytes > 0 ? 2 : 0 };
  },
  generate(job) {
    const { pairs } = job.run;
    const reports = new TextEncoder().encode('{"report":"heart"}\n'.repeat(pairs));
    writeTensors(job.syntheticOutPath, [
      ['images', 'U8', [pairs, 32, 32, 1], new Uint8Array(pairs * 1024)],
      ['labels', 'U8', [pairs, 14], new Uint8Array(pairs * 14)],
      ['reports', 'U8', [reports.length], reports],
    ]);
    copyFileSync(job.emaWeightsPath, job.modelOutPath);
    return null;
  },
};

const scripts = {
  /** Does what the task asks for, and writes down that it did. */
  work(job) {
    appendFileSync(join(job.stateDir, 'computed'), `${job.taskId}\n`);
    if (job.kind !== 'audit') return done(job, kinds[job.kind](job));
    const failure = { code: 'DATA_INVALID', message: 'nothing to audit against', remedy: '' };
    say({ type: 'failed', taskId: job.taskId, ...failure });
  },
  environment: job => done(job, { ...process.env }),
  read: job => done(job, Object.fromEntries(job.run.audit.paths.map(path => [path, attempt(path)]))),
  progress(job) {
    for (const step of [1, 2, 3]) say({ type: 'progress', step, steps: 3, metrics: { 'report/mle': 1 / step } });
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
  /** Fails in the words of the run. */
  say: job => say({ type: 'failed', taskId: job.taskId, remedy: '', ...job.run.audit }),
  fail: job =>
    say({ type: 'failed', taskId: job.taskId, code: 'NON_FINITE', message: 'loss is NaN', remedy: 'lower the rate' }),
};

process.on('message', job => scripts[job.run.name](job));
process.on('disconnect', () => process.exit(0));
say({ type: 'ready', backend: 'scripted 1' });
