/** TensorFlow on a GPU; these tests run only where there is one. */
import { execFileSync } from 'node:child_process';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';

/** MiB of the first GPU; undefined where there is none. */
function gpuMemory(): { readonly used: number; readonly total: number } | undefined {
  try {
    const query = ['--query-gpu=memory.used,memory.total', '--format=csv,noheader,nounits', '--id=0'];
    const [used, total] = execFileSync('nvidia-smi', query, { encoding: 'utf8' }).split(',').map(Number);
    return { used: used as number, total: total as number };
  } catch {
    return undefined;
  }
}

const before = gpuMemory();
const cuda =
  before !== undefined &&
  (await loadBackend({
    ...backendOptionsFromEnvironment({ HOME: process.env['HOME'] }),
    demand: 'cuda',
    gpu: '0',
  }).then(
    () => true,
    () => false,
  ));

describe.skipIf(!cuda)('CUDA', () => {
  it('takes memory only as it needs it', () => {
    const product = tf.matMul(tf.ones([256, 256]), tf.ones([256, 256]));
    expect(product.dataSync()[0]).toBe(256);
    const taken = (gpuMemory()?.used ?? 0) - (before?.used ?? 0);
    expect(taken).toBeLessThan((before?.total ?? 0) / 4);
  });
});
