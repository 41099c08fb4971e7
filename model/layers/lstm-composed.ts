/** An LSTM over time in tfjs operations: the reference for the native kernel, and what other backends run. */
import * as tf from '@tensorflow/tfjs-core';
import type { LstmRun, LstmState, LstmWeights } from './lstm.ts';

/**
 * Runs x [T, B, I] from `state`; differentiable in everything. x Wx of all time steps is one product, so only h Wh is
 * left inside the loop.
 */
export function composedLstm(x: tf.Tensor3D, { wx, wh, b }: LstmWeights, state: LstmState): LstmRun {
  const [steps, batch, inputs] = x.shape;
  const rows = tf.reshape(x, [steps * batch, inputs]) as tf.Tensor2D;
  const fromInput = tf.add<tf.Tensor2D>(tf.matMul(rows, wx), b); // [T * B, 4H]
  const perStep = steps === 1 ? [fromInput] : (tf.split(fromInput, steps) as tf.Tensor2D[]);
  let { h, c } = state;
  const hidden: tf.Tensor2D[] = [];
  for (const input of perStep) {
    const gates = tf.add(input, tf.matMul(h, wh)); // [B, 4H]
    const [i, f, candidate, o] = tf.split(gates, 4, 1) as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
    c = tf.add(tf.mul(tf.sigmoid(f), c), tf.mul(tf.sigmoid(i), tf.tanh(candidate)));
    h = tf.mul(tf.sigmoid(o), tf.tanh(c));
    hidden.push(h);
  }
  return { hidden: tf.stack(hidden) as tf.Tensor3D, state: { h, c } };
}
