/**
 * Gradients against central differences. TensorFlow's kernels compute in float32, so the step is large (1e-2: the error of
 * the difference, of the order of its square, then meets that of rounding), directions are random instead of one entry at a
 * time, and sums are taken in float64.
 */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import type { Random } from '#model/random.ts';

type Values = Float32Array;

export interface Checked {
  /** The function whose gradient is checked. */
  readonly compute: (...inputs: tf.Tensor[]) => tf.Tensor;
  /** Where: values and shapes of its inputs. */
  readonly inputs: readonly { readonly shape: readonly number[]; readonly values: Values }[];
  readonly random: Random;
  /** Of the directional derivative, relative to the gradient's length. */
  readonly tolerance?: number;
  readonly step?: number;
}

const DIRECTIONS = 3;

/** <probe, compute(inputs)> for a random probe, along random directions of each input: the tape's slope and the measured one. */
export function slopes({ compute, inputs, random, step = 1e-2 }: Checked) {
  const tensors = (values: readonly Values[]) => values.map((v, i) => tf.tensor(v, [...(inputs[i]?.shape ?? [])]));
  const start = inputs.map(({ values }) => values);
  const shape = tf.tidy(() => compute(...tensors(start)).shape);
  const probe = random.normals(shape.reduce((product, side) => product * side, 1));
  const loss = (values: readonly Values[]) =>
    inner(
      tf.tidy(() => compute(...tensors(values)).dataSync()),
      probe,
    );
  const gradients = tf.tidy(() =>
    tf
      .valueAndGrads(compute)(tensors(start), tf.tensor(probe, shape))
      .grads.map(g => g.dataSync() as Values),
  );
  return gradients.flatMap((gradient, i) =>
    Array.from({ length: DIRECTIONS }, () => {
      const direction = random.normals(gradient.length);
      const moved = (by: number) =>
        start.map((v, j) => (j === i ? v.map((x, k) => x + by * (direction[k] as number)) : v));
      const measured = (loss(moved(step)) - loss(moved(-step))) / (2 * step);
      return { input: i, measured, expected: inner(gradient, direction), length: Math.sqrt(inner(gradient, gradient)) };
    }),
  );
}

/** Every slope within the tolerance. A random direction sees, on average, the gradient's whole length. */
export function expectFiniteDifferences(checked: Checked): void {
  const { tolerance = 1e-2 } = checked;
  for (const { input, measured, expected, length } of slopes(checked)) {
    expect(length, `input ${input} has a gradient`).toBeGreaterThan(0);
    expect(Math.abs(measured - expected) / length, `input ${input}: ${measured} for ${expected}`).toBeLessThan(
      tolerance,
    );
  }
}

function inner(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += (a[k] as number) * (b[k] as number);
  return sum;
}
