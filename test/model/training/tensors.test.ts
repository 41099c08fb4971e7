import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { imageTensor, pixelsOf } from '#model/training/tensors.ts';

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});

test('every grey level survives the way to [-1, 1] and back; what lies outside is cut', () => {
  const levels = Uint8Array.from({ length: 256 }, (_, level) => level);
  tf.tidy(() => {
    const images = imageTensor(levels, { resolution: 16, imageChannels: 1 });
    expect(images.shape).toEqual([1, 16, 16, 1]);
    expect([...images.dataSync()].slice(0, 1)).toEqual([-1]);
    expect(images.dataSync()[255]).toBe(1);
    expect(pixelsOf(images)).toEqual(levels);
    expect([...pixelsOf(tf.tensor4d([-1.5, 1.5], [2, 1, 1, 1]))]).toEqual([0, 255]);
  });
});
