/** TensorFlow's kernels in this process: known values, the one tfjs instance, kernels by name. */
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '#model/backend/backend.ts';
import { executeOp, hasNativeOps, int64Scalar, opAttr } from '#model/backend/execute-op.ts';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';

const values = (tensor: tf.Tensor | undefined) => Array.from(tensor?.dataSync() ?? []);
const environment = backendOptionsFromEnvironment(process.env);

describe('the native backend', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await loadBackend({ ...environment, demand: 'native', threads: 2 });
  });

  it('names itself', () => {
    expect(backend).toMatchObject({ name: 'native-cpu', version: '2.21.0', threads: 2, rejected: [] });
    expect(backend.device).toContain('cores');
  });

  it('has told TensorFlow to take memory of a GPU only as it needs it', () => {
    expect(process.env['TF_FORCE_GPU_ALLOW_GROWTH']).toBe('true');
  });

  it('is registered with the tfjs that every module of the model imports', () => {
    expect(backend.tf).toBe(tf);
    const required = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof tf;
    expect(required.Tensor).toBe(tf.Tensor);
    expect(tf.getBackend()).toBe('tensorflow');
  });

  it('multiplies matrices', () => {
    const product = tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2]));
    expect(values(product)).toEqual([19, 22, 43, 50]);
  });

  it('convolves as cross-correlation with zeros around the image', () => {
    const image = tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]);
    const filter = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 3, 1, 1]);
    expect(values(tf.conv2d(image, filter, 1, 'same'))).toEqual([77, 67, 47, 37]);
  });

  it('gives the same bits every time', () => {
    const run = () =>
      tf.tidy(() => {
        const x = tf.randomNormal([4, 32, 32, 8], 0, 1, 'float32', 1) as tf.Tensor4D;
        const w = tf.randomNormal([3, 3, 8, 16], 0, 1, 'float32', 2) as tf.Tensor4D;
        const [dx, dw] = tf.grads((a, b) =>
          tf.sum(tf.square(tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same'))),
        )([x, w]);
        return [values(dx), values(dw)];
      });
    const first = run();
    for (let repeat = 0; repeat < 5; repeat++) expect(run()).toEqual(first);
  });

  it('refuses another number of threads once the library is loaded', async () => {
    await expect(loadBackend({ ...environment, demand: 'native', threads: 3 })).rejects.toMatchObject({
      code: 'USAGE',
    });
  });
});

describe('executeOp', () => {
  beforeAll(async () => {
    await loadBackend({ ...environment, demand: 'native' });
  });

  it('runs FusedBatchNormV3 in training mode: batch statistics, variance of the output with Bessel factor', () => {
    const x = tf.tensor4d([1, 2, 3, 6], [4, 1, 1, 1]);
    const attrs = [
      opAttr.type('T', 'float32'),
      opAttr.type('U', 'float32'),
      opAttr.float('epsilon', 0),
      opAttr.string('data_format', 'NHWC'),
      opAttr.bool('is_training', true),
    ];
    const empty = tf.tensor1d([]);
    const outputs = executeOp('FusedBatchNormV3', attrs, [x, tf.tensor1d([2]), tf.tensor1d([1]), empty, empty], 6);
    const std = Math.sqrt(3.5);
    const expected = [-2, -1, 0, 3].map(deviation => 1 + (2 * deviation) / std);
    values(outputs[0]).forEach((value, index) => {
      expect(value).toBeCloseTo(expected[index] ?? Number.NaN, 5);
    });
    expect(values(outputs[1])[0]).toBeCloseTo(3, 6);
    expect(values(outputs[2])[0]).toBeCloseTo(14 / 3, 5);
  });

  it('runs BlockLSTMV2 over time with an int64 length', () => {
    const [time, batch, input, cell] = [3, 2, 4, 5];
    const weights = tf.randomNormal([input + cell, 4 * cell], 0, 1, 'float32', 1);
    const x = tf.randomNormal([time, batch, input], 0, 1, 'float32', 2);
    const zeros = tf.zeros([batch, cell]);
    const peephole = tf.zeros([cell]);
    const attrs = [opAttr.type('T', 'float32'), opAttr.float('cell_clip', 0), opAttr.bool('use_peephole', false)];
    const outputs = executeOp(
      'BlockLSTMV2',
      attrs,
      [int64Scalar(time), x, zeros, zeros, weights, peephole, peephole, peephole, tf.zeros([4 * cell])],
      7,
    );
    expect(outputs.map(output => output.shape)).toEqual(Array.from({ length: 7 }, () => [time, batch, cell]));
    // By composition, gates in BlockLSTMV2's order, which is not BlockLSTM's: input, forget, candidate, output.
    let h = zeros;
    let c = zeros;
    for (let step = 0; step < time; step++) {
      const xt = tf.reshape(tf.slice(x, [step, 0, 0], [1, batch, input]), [batch, input]);
      const [i, f, g, o] = tf.split(tf.matMul(tf.concat([xt, h], 1), weights), 4, 1) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      c = tf.add(tf.mul(tf.sigmoid(i), tf.tanh(g)), tf.mul(tf.sigmoid(f), c));
      h = tf.mul(tf.tanh(c), tf.sigmoid(o));
    }
    const last = values(tf.slice(outputs[6] as tf.Tensor, [time - 1, 0, 0], [1, batch, cell]));
    values(h).forEach((value, index) => {
      expect(last[index]).toBeCloseTo(value, 5);
    });
  });

  it('tells what TensorFlow refuses', () => {
    expect(() => executeOp('NoSuchKernel', [], [])).toThrow(/NoSuchKernel/);
  });

  it('is refused on another backend', async () => {
    await loadBackend({ demand: 'wasm' });
    expect(hasNativeOps()).toBe(false);
    expect(() => executeOp('Relu', [opAttr.type('T', 'float32')], [tf.tensor1d([1])])).toThrow(
      /current backend is wasm/,
    );
    await loadBackend({ ...environment, demand: 'native' });
    expect(hasNativeOps()).toBe(true);
  });
});
