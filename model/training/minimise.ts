/** One gradient step on a loss that is the sum of named parts. */
import * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import type { Adam } from '../optimiser/adam.ts';
import type { LossName } from './loss-names.ts';

export type Losses = Readonly<Partial<Record<LossName, tf.Scalar>>>;

/**
 * Minimises the sum of `parts` over `variables`, each optimiser moving its own of them.
 * @returns the parts' values before the step
 * @throws FedError NON_FINITE before anything is moved, naming the part
 */
export function minimise(
  variables: readonly tf.Variable[],
  optimisers: readonly Adam[],
  parts: () => Losses,
): Record<string, number> {
  return tf.tidy(() => {
    let named: [string, tf.Scalar][] = [];
    const { grads } = tf.variableGrads(() => {
      named = Object.entries(parts()).map(([name, loss]) => [name, tf.keep(loss)]);
      return tf.addN(named.map(([, loss]) => loss)) as tf.Scalar;
    }, [...variables]);
    const values = tf.stack(named.map(([, loss]) => loss)).dataSync();
    for (const [, loss] of named) loss.dispose();
    const result: Record<string, number> = {};
    for (const [i, [name]] of named.entries()) {
      const value = values[i] ?? Number.NaN;
      if (!Number.isFinite(value)) {
        throw new FedError('NON_FINITE', `the loss ${name} is ${value}; expected a finite number`, 'lower the rates');
      }
      result[name] = value;
    }
    for (const optimiser of optimisers) optimiser.step(grads);
    return result;
  });
}
