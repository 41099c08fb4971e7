/**
 * The sum of micro-batches' gradients, in an order that processes can share out. Floating-point addition is not
 * associative: added up one after the other, parts that two processes had summed on their own would give other bits.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Gradient } from './minimise.ts';

/** Losses and gradients of one micro-batch, or summed over several. */
export type GradientSum = Pick<Gradient, 'losses' | 'packed'>;

/**
 * Adds in a balanced tree: parts 0 and 1, parts 2 and 3, then these two sums, as the carries of a binary counter. So
 * the sum of 2^k * n parts is, to the bit, the sum of the n sums of 2^k neighbours each, wherever those were made.
 * It holds log2 of the number of parts sums at once, where one after the other would hold one.
 * @param parts one at least; what is added is freed
 */
export function summed(parts: Iterable<GradientSum>): { readonly sum: GradientSum; readonly count: number } {
  // Sums of falling powers of two of parts: the ones of `count` as a binary number.
  const partial: GradientSum[] = [];
  let count = 0;
  for (const part of parts) {
    partial.push(part);
    count++;
    for (let carry = count; carry % 2 === 0; carry /= 2) addLast(partial);
  }
  if (count === 0) throw new RangeError('a step needs at least one micro-batch');
  while (partial.length > 1) addLast(partial);
  return { sum: partial[0] as GradientSum, count };
}

/** The mean of `count` micro-batches from their sum, which is freed. */
export function divided(sum: GradientSum, count: number): GradientSum {
  if (count === 1) return sum;
  const scaled = <T extends tf.Tensor>(tensor: T): T => {
    const result = tf.mul<T>(tensor, 1 / count);
    tensor.dispose();
    return result;
  };
  return {
    losses: Object.fromEntries(Object.entries(sum.losses).map(([name, loss]) => [name, scaled(loss)])),
    packed: sum.packed.map(list => list.map(scaled)),
  };
}

function addLast(partial: GradientSum[]): void {
  const [a, b] = partial.splice(-2) as [GradientSum, GradientSum];
  partial.push({
    losses: Object.fromEntries(
      Object.entries(b.losses).map(([name, loss]) => [name, added(a.losses[name] as tf.Tensor, loss)]),
    ),
    packed: b.packed.map((list, o) => list.map((bucket, i) => added(a.packed[o]?.[i] as tf.Tensor1D, bucket))),
  });
}

/** a + b, in whose place they go. */
function added<T extends tf.Tensor>(a: T, b: T): T {
  const result = tf.add<T>(a, b);
  tf.dispose([a, b]);
  return result;
}
