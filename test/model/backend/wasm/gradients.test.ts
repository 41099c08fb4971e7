/** Values and gradients of every op that the model uses, on wasm and on TensorFlow itself. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { type GradientCase, gradientCases } from './gradient-cases.ts';

/** y and d(sum(y dy))/dx of every input, with seeded inputs and dy; nothing of it stays allocated. */
function valueAndGradients(gradientCase: GradientCase): number[][] {
  return tf.tidy(() => {
    const inputs = gradientCase.shapes.map((shape, index) => {
      const drawn = tf.randomNormal([...shape], 0, 1, 'float32', index + 1);
      return gradientCase.positive === true ? tf.add(tf.abs(drawn), 0.3) : drawn;
    });
    const y = gradientCase.apply(inputs);
    const dy = tf.randomNormal(y.shape, 0, 1, 'float32', 99);
    const gradients = tf.grads((...xs) => tf.sum(tf.mul(gradientCase.apply(xs), dy)))(inputs);
    return [y, ...gradients].map(tensor => Array.from(tensor.dataSync()));
  });
}

describe('wasm against TensorFlow', () => {
  const reference = new Map<string, number[][]>();
  const fallback = new Map<string, number[][] | Error>();

  beforeAll(async () => {
    const { cacheRoot } = backendOptionsFromEnvironment(process.env);
    await loadBackend({ demand: 'native', ...(cacheRoot === undefined ? {} : { cacheRoot }) });
    for (const [name, gradientCase] of Object.entries(gradientCases)) {
      reference.set(name, valueAndGradients(gradientCase));
    }
    await loadBackend({ demand: 'wasm' });
    // Twice, and the second result is compared: memory that a kernel forgets to clear is not zero any more by then.
    for (let round = 0; round < 2; round++) {
      for (const [name, gradientCase] of Object.entries(gradientCases)) {
        try {
          fallback.set(name, valueAndGradients(gradientCase));
        } catch (error) {
          fallback.set(name, error as Error);
        }
      }
    }
  });

  it.each(Object.keys(gradientCases))('%s', name => {
    const expected = reference.get(name) ?? [];
    const found = fallback.get(name);
    if (found instanceof Error) throw found;
    expect(found?.length).toBe(expected.length);
    expected.forEach((values, output) => {
      values.forEach((value, index) => {
        const other = found?.[output]?.[index] ?? Number.NaN;
        expect(Math.abs(other - value) / (1 + Math.abs(value)), `output ${output}, element ${index}`).toBeLessThan(
          1e-4,
        );
      });
    });
  });

  it('keeps no tensor of a gradient', () => {
    const before = tf.memory().numTensors;
    for (const gradientCase of Object.values(gradientCases)) valueAndGradients(gradientCase);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('UnsortedSegmentSum on wasm', () => {
  it('leaves out ids outside the range, as TensorFlow does', async () => {
    await loadBackend({ demand: 'wasm' });
    const x = tf.tensor2d([
      [1, 2],
      [10, 20],
      [100, 200],
    ]);
    const sums = tf.unsortedSegmentSum(x, tf.tensor1d([1, -1, 1], 'int32'), 3);
    expect(Array.from(sums.dataSync())).toEqual([0, 0, 101, 202, 0, 0]);
  });
});
