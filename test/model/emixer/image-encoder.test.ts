import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { type ModelConfig, resolveModelConfig } from '#model/config.ts';
import { ImageEncoder } from '#model/emixer/image-encoder.ts';
import { Random } from '#model/random.ts';
import { useNativeBackend } from '../../support/native-backend.ts';

const native = await useNativeBackend();

const small = (overrides: object = {}): ModelConfig =>
  resolveModelConfig('phantom32', { encoder: { growth: 4, blocks: [1, 2, 1, 1] }, labels: 3, ...overrides });

const images = (batch: number, seed = 'images') =>
  tf.tensor4d(new Random(seed).normals(batch * 32 * 32), [batch, 32, 32, 1]);

const buffersOf = (encoder: ImageEncoder) =>
  [...encoder.parameters.entries()].filter(([name, { trainable }]) => !trainable && !name.endsWith('projection'));

beforeAll(async () => {
  await loadBackend({ demand: 'cpu' });
});

describe('published sizes', () => {
  test('DenseNet-121: 6,966,034 parameters with 18 outputs, 6,947,584 without its classifier; 512 features', () => {
    const densenet121 = { growth: 32, blocks: [6, 12, 24, 16] };
    const encoder = new ImageEncoder(small({ encoder: densenet121, labels: 18 }), 'E', new Random('E'));
    expect(encoder.parameters.count).toBe(6_966_034);
    expect(encoder.parameters.count - 18 * 1024 - 18).toBe(6_947_584);
    expect(encoder.pooledWidth).toBe(1024);
    expect([...encoder.parameters.entries().keys()].some(name => name.endsWith('projection'))).toBe(false);
    encoder.dispose();
  });
});

describe('encoder', () => {
  test('features are 512 wide whatever the family member; shapes of the rest', () => {
    const encoder = new ImageEncoder(small(), 'F/encoder', new Random('F'));
    tf.tidy(() => {
      expect(encoder.features(images(2)).shape).toEqual([2, 512]);
      expect(encoder.pooledFeatures(images(2)).shape).toEqual([2, encoder.pooledWidth]);
      expect(encoder.logits(images(2)).shape).toEqual([2, 3]);
    });
    expect([...encoder.parameters.entries().keys()].every(name => name.startsWith('F/encoder/'))).toBe(true);
    encoder.dispose();
  });

  test('the projection keeps every distance between features, scaled', () => {
    const encoder = new ImageEncoder(small(), 'F/encoder', new Random('F'));
    const matrix = encoder.parameters.entries().get('F/encoder/projection')?.variable as tf.Variable<tf.Rank.R2>;
    tf.tidy(() => {
      const gram = tf.matMul(matrix, matrix, false, true);
      const width = matrix.shape[0];
      const expected = tf.mul(tf.eye(width), 512 / width);
      expect(tf.max(tf.abs(tf.sub(gram, expected))).dataSync()[0]).toBeLessThan(1e-4);
    });
    encoder.dispose();
  });

  test('frozen: no statistic moves, images of a batch do not influence each other, gradient reaches the images only', () => {
    const encoder = new ImageEncoder(small(), 'F/encoder', new Random('F'));
    tf.tidy(() => void encoder.trainingLogits(images(4)));
    const before = buffersOf(encoder).map(([, { variable }]) => [...variable.dataSync()]);
    tf.tidy(() => {
      const both = encoder.features(images(2));
      const one = encoder.features(tf.slice(images(2), [1, 0, 0, 0], [1, 32, 32, 1]));
      expect(tf.max(tf.abs(tf.sub(tf.slice(both, [1, 0]), one))).dataSync()[0]).toBeLessThan(1e-5);
      const toImages = tf.grad(x => tf.sum(encoder.features(x as tf.Tensor4D)))(images(2));
      expect(tf.sum(tf.square(toImages)).dataSync()[0]).toBeGreaterThan(0);
      expect(toImages.shape).toEqual([2, 32, 32, 1]);
    });
    expect(buffersOf(encoder).map(([, { variable }]) => [...variable.dataSync()])).toEqual(before);
    encoder.dispose();
  });

  test('training reaches every variable and moves every running statistic by a tenth; nothing is leaked', () => {
    const encoder = new ImageEncoder(small(), 'F/encoder', new Random('F'));
    const x = images(4);
    const start = tf.memory().numTensors;
    tf.tidy(() => {
      const { grads } = tf.variableGrads(
        () => tf.sum(tf.square(encoder.trainingLogits(x))) as tf.Scalar,
        encoder.parameters.trainables,
      );
      for (const [name, { variable, trainable }] of encoder.parameters.entries()) {
        if (!trainable) continue;
        expect(tf.sum(tf.square(grads[variable.name] as tf.Tensor)).dataSync()[0], name).toBeGreaterThan(0);
      }
      // The stem's own statistics can be computed from outside: variance 1 and mean 0 moved a tenth of the way.
      const kernel = encoder.parameters.entries().get('F/encoder/stem/kernel')?.variable as tf.Variable<tf.Rank.R4>;
      const stem = tf.conv2d(
        tf.pad(x, [
          [0, 0],
          [3, 3],
          [3, 3],
          [0, 0],
        ]),
        kernel,
        2,
        'valid',
      );
      const { mean, variance } = tf.moments(stem, [0, 1, 2]);
      const n = stem.size / stem.shape[3];
      const buffer = (name: string) =>
        encoder.parameters.entries().get(`F/encoder/stemNorm/${name}`)?.variable as tf.Variable;
      const off = (name: string, expected: tf.Tensor) => tf.max(tf.abs(tf.sub(buffer(name), expected))).dataSync()[0];
      expect(stem.shape).toEqual([4, 16, 16, 8]);
      expect(off('mean', tf.mul(mean, 0.1))).toBeLessThan(1e-5);
      expect(off('variance', tf.add(0.9, tf.mul(variance, (0.1 * n) / (n - 1))))).toBeLessThan(1e-5);
    });
    expect(tf.memory().numTensors).toBe(start);
    x.dispose();
    encoder.dispose();
  });

  test('the same stream gives the same network, and prefixes do not mix', () => {
    const a = new ImageEncoder(small(), 'F/encoder', new Random('same'));
    const b = new ImageEncoder(small(), 'E', new Random('same'));
    const values = (encoder: ImageEncoder) => tf.tidy(() => [...encoder.pooledFeatures(images(1)).dataSync()]);
    expect(values(a)).toEqual(values(b));
    expect([...b.parameters.entries().keys()].every(name => name.startsWith('E/'))).toBe(true);
    a.dispose();
    b.dispose();
  });
});

describe.skipIf(!native)('native (where npm run setup prepared TensorFlow)', () => {
  test('features, logits and the gradient to the images equal the plain ones', async () => {
    const run = () => {
      const encoder = new ImageEncoder(small(), 'F/encoder', new Random('F'));
      const values = tf.tidy(() => {
        const x = images(3);
        const training = encoder.trainingLogits(x);
        const toImages = tf.grad(t => tf.sum(tf.square(encoder.features(t as tf.Tensor4D))))(x);
        return [training, encoder.features(x), encoder.logits(x), toImages].flatMap(t => [...t.dataSync()]);
      });
      encoder.dispose();
      return values;
    };
    await loadBackend({ demand: 'cpu' });
    const plain = run();
    expect(await useNativeBackend()).toBe(true);
    const difference = run().map(
      (value, i) => Math.abs(value - (plain[i] ?? Number.NaN)) / Math.max(1, Math.abs(value)),
    );
    expect(Math.max(...difference)).toBeLessThan(1e-3);
  });
});
