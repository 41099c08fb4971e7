import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { loadBackend } from '#model/backend/load-backend.ts';

// Nothing in this file loads the native backend: it would bring the gradients along.
test.each(['wasm', 'cpu'] as const)('%s has the gradients of tfjs', async demand => {
  await loadBackend({ demand });
  expect([
    ...tf.tidy(() =>
      tf
        .grad(x => tf.sum(tf.square(x)))(tf.tensor1d([1, 2]))
        .dataSync(),
    ),
  ]).toEqual([2, 4]);
});
