/** Adversarial training holds no tensor, and its process does not grow. */
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';
import { backendOptionsFromEnvironment } from '#model/backend/options.ts';
import { AdversarialTrainer } from '#model/training/adversarial-trainer.ts';
import { tinyData, tinyEmixer } from '../../support/tiny-training.ts';

const STEPS = 500;
/** Until here TensorFlow meets new shapes, for each of which it keeps scratch memory. */
const WARM = 50;
const GROWTH = 1.05;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

beforeAll(async () => {
  await loadBackend(backendOptionsFromEnvironment(process.env));
});

describe('adversarial training', () => {
  it('of 500 steps keeps the number of tensors, and after 50 the resident memory to 5 %', async () => {
    const model = tinyEmixer();
    const trainer = new AdversarialTrainer(model, tinyData(), { seed: 7, site: 0 }, STEPS);
    const tensors: number[] = [];
    const resident: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      await trainer.step(step);
      tensors.push(tf.memory().numTensors);
      resident.push(process.memoryUsage.rss());
    }
    trainer.dispose();
    model.dispose();
    expect(new Set(tensors.slice(1)).size).toBe(1);
    expect(median(resident.slice(-WARM)) / median(resident.slice(WARM, 2 * WARM))).toBeLessThan(GROWTH);
  });
});
