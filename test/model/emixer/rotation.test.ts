import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { rot90, rotatedBatch, rotatedCount, rotatedLabels, rotationLogits } from '#model/emixer/rotation.ts';

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});

const image = () => tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1]);
const values = (x: tf.Tensor) => Array.from(x.dataSync());

describe('rot90', () => {
  it('turns counter-clockwise', () => {
    expect(values(rot90(image(), 0))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(values(rot90(image(), 1))).toEqual([3, 6, 9, 2, 5, 8, 1, 4, 7]);
    expect(values(rot90(image(), 2))).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1]);
    expect(values(rot90(image(), 3))).toEqual([7, 4, 1, 8, 5, 2, 9, 6, 3]);
  });

  it('turned back is the gradient', () => {
    const [dx] = tf.grads((x: tf.Tensor) => rot90(x as tf.Tensor4D, 1))([image()], image()) as [tf.Tensor];
    expect(values(dx)).toEqual(values(rot90(image(), 3)));
  });
});

describe('a rotated batch', () => {
  it('is the last images at 90, 180 and 270 degrees, with their labels and logits in that order', () => {
    const images = tf.concat4d([tf.zeros([1, 3, 3, 1]), tf.zeros([1, 3, 3, 1]), image()], 0);
    expect(values(rotatedBatch(images, 1))).toEqual([
      ...[3, 6, 9, 2, 5, 8, 1, 4, 7],
      ...[9, 8, 7, 6, 5, 4, 3, 2, 1],
      ...[7, 4, 1, 8, 5, 2, 9, 6, 3],
    ]);
    expect(values(rotatedLabels(tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]), 2))).toEqual([
      ...[3, 4, 5, 6],
      ...[3, 4, 5, 6],
      ...[3, 4, 5, 6],
    ]);
    const upright = tf.tensor2d([0, 1, 2], [3, 1]);
    expect(values(rotationLogits(upright, tf.tensor2d([3, 4, 5, 6, 7, 8], [6, 1])))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('has a quarter of the batch, at least one image, or none', () => {
    expect([rotatedCount(16, 0.25), rotatedCount(2, 0.25), rotatedCount(16, 0)]).toEqual([4, 1, 0]);
  });
});
