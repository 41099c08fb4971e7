/**
 * The L2 norms of the gradients of a step, read from what Adam keeps: its second moment moves by (1 - beta2) g^2, so the
 * squares of the gradient are its difference over (1 - beta2). Training computes nothing for it; a step that nobody looks
 * at costs nothing.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Adam } from '../optimiser/adam.ts';

/** Adam's default, which every optimiser of training has. */
const BETA2 = 0.999;

type Optimisers = Readonly<Record<string, Adam>>;

/**
 * Call it before a step; what it returns, called after the step, gives the norms by optimiser and frees what was kept.
 * Where an optimiser moved several times in the step (two discriminator steps) it is the root of their mean square.
 * Gradients that were clipped count as clipped.
 */
export function watchGradients(optimisers: Optimisers): () => Record<string, number> {
  const before = Object.entries(optimisers).map(([name, adam]) => ({ name, adam, state: adam.state() }));
  return () => {
    try {
      return Object.fromEntries(before.map(({ name, adam, state }) => [name, normBetween(state, adam)]));
    } finally {
      for (const { state } of before) tf.dispose([...state.values()]);
    }
  };
}

function normBetween(before: ReadonlyMap<string, tf.Tensor>, adam: Adam): number {
  const after = adam.state();
  try {
    return tf.tidy(() => {
      const updates = scalar(after.get('steps')) - scalar(before.get('steps'));
      if (updates < 1) return 0;
      const remaining = BETA2 ** updates;
      const sums = [...after]
        .filter(([name]) => name.startsWith('second/'))
        .map(([name, moment]) => tf.sum(tf.sub(moment, tf.mul(before.get(name) as tf.Tensor, remaining))));
      const total = sums.reduce((sum, part) => sum + scalar(part), 0);
      // Each update weighs (1 - beta2) beta2^j; together 1 - beta2^updates. Rounding may leave a zero slightly negative.
      return Math.sqrt(Math.max(0, total / (1 - remaining)));
    });
  } finally {
    tf.dispose([...after.values()]);
  }
}

const scalar = (tensor: tf.Tensor | undefined): number => tensor?.dataSync()[0] ?? 0;
