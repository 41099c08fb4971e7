/** tf.customGrad with types: one step on the tape with a gradient written by hand. */
import * as tf from '@tensorflow/tfjs-core';

type Save = (tensors: tf.Tensor[]) => void;

interface Operation<T extends tf.Tensor> {
  readonly value: T;
  /** One gradient an input. None may be `dy` itself where there are several: the engine disposes of them singly. */
  readonly gradient: (dy: T, saved: tf.Tensor[]) => tf.Tensor[];
}

/**
 * Runs `operation` off the tape and records it as one step that depends on `inputs`.
 * @param operation gets `save`, which keeps tensors for the gradient; it must use nothing else that a tidy may free
 */
export function withGradient<T extends tf.Tensor>(
  inputs: readonly tf.Tensor[],
  operation: (save: Save) => Operation<T>,
): T {
  const step = tf.customGrad((...args) => {
    const { value, gradient } = operation(args.at(-1) as unknown as Save);
    return { value, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => gradient(dy as T, saved) };
  });
  return step(...inputs) as T;
}
