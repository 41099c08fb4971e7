import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { gumbelBeta, gumbelNoise, softWords, straightThrough } from '#model/emixer/gumbel.ts';
import { Random } from '#model/random.ts';
import { useNativeBackend } from '../../support/native-backend.ts';

const native = await useNativeBackend();

beforeAll(async () => {
  await loadBackend({ demand: 'cpu' });
});

test('beta rises geometrically from 1 to betaMax and stays there', () => {
  expect(gumbelBeta(0, 10, 100)).toBe(1);
  expect(gumbelBeta(5, 10, 100)).toBeCloseTo(10, 10);
  expect(gumbelBeta(10, 10, 100)).toBe(100);
  expect(gumbelBeta(11, 10, 100)).toBe(100);
  expect(gumbelBeta(0, 0, 100)).toBe(100);
});

/** What the noise of either backend must be. */
function noiseTests() {
  test('argmax(logits + noise) draws from softmax(logits)', () => {
    const logits = [0, 1, 2, -1];
    const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
    const chosen = tf.tidy(() => tf.argMax(tf.add(gumbelNoise(20_000, 4, new Random('draws')), logits), 1).dataSync());
    for (const [id, logit] of logits.entries()) {
      const p = Math.exp(logit) / total;
      const share = chosen.filter(c => c === id).length / 20_000;
      expect(Math.abs(share - p), `id ${id}`).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / 20_000));
    }
  });

  test('is finite, the same for the same stream, another for the next draw', () => {
    const draw = (random: Random) => tf.tidy(() => [...gumbelNoise(50, 40, random).dataSync()]);
    const random = new Random('n');
    const first = draw(random);
    expect(first.every(Number.isFinite)).toBe(true);
    expect(draw(random)).not.toEqual(first);
    expect(draw(new Random('n'))).toEqual(first);
  });
}

describe('noise, plain', noiseTests);

test('forward exactly one-hot, backward the gradient of the soft words', () => {
  tf.tidy(() => {
    const random = new Random('st');
    const logits = tf.tensor2d(random.normals(12), [3, 4]);
    const noise = tf.tensor2d(random.normals(12), [3, 4]);
    const probe = tf.tensor2d(random.normals(12), [3, 4]);
    const chosen = tf.argMax(tf.add(logits, noise), 1).dataSync() as Int32Array;
    const hard = straightThrough(logits, noise, chosen, 3);
    expect([...hard.dataSync()]).toEqual([...tf.oneHot(tf.tensor1d(chosen, 'int32'), 4).dataSync()]);
    const gradient = (words: (x: tf.Tensor2D) => tf.Tensor) =>
      tf
        .grad(x => tf.sum(tf.mul(probe, words(x as tf.Tensor2D))))(logits)
        .dataSync();
    const through = gradient(x => straightThrough(x, noise, chosen, 3));
    const soft = gradient(x => softWords(x, noise, 3));
    expect(Math.max(...through.map((value, i) => Math.abs(value - (soft[i] ?? Number.NaN))))).toBeLessThan(1e-6);
    expect(soft.some(value => Math.abs(value) > 0.01)).toBe(true);
  });
});

describe.skipIf(!native)('native (where npm run setup prepared TensorFlow)', () => {
  beforeAll(async () => {
    expect(await useNativeBackend()).toBe(true);
  });
  noiseTests();
});
