import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { LABELS } from '#model/labels.ts';
import { Random } from '#model/random.ts';
import type { TrainingRecord } from '#model/training/dataset.ts';
import { imageTensor, labelTargets, labelTensor, maskTensors, pixelsOf } from '#model/training/tensors.ts';

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

test('a record with several findings keeps them all as targets where y is one of them', () => {
  const labels = LABELS.map((_, k) => (k < 3 ? 1 : k === 3 ? 0 : k === 4 ? -1 : null));
  const records: TrainingRecord[] = [{ index: 0, split: 'train', report: null, labels }];
  tf.tidy(() => {
    const y = Array.from(labelTensor(records, 'onehot', new Random('y')).dataSync());
    expect(y.reduce((sum, value) => sum + value, 0)).toBe(1);
    expect([...labelTargets(records).dataSync()]).toEqual(labels.map(label => Number(label === 1)));
    expect([...maskTensors(records).certain.dataSync()]).toEqual(labels.map((_, k) => Number(k < 4)));
  });
});
