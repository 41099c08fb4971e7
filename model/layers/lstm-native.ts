/** An LSTM over time in one TensorFlow kernel each way: BlockLSTMV2 and BlockLSTMGradV2. */
import * as tf from '@tensorflow/tfjs-core';
import { withGradient } from './custom-gradient.ts';
import type { LstmRun, LstmState, LstmWeights } from './lstm.ts';
import { floatType, type KernelAttribute, type NativeKernel } from './native.ts';

const NO_PEEPHOLE: KernelAttribute = { name: 'use_peephole', kind: 'bool', value: false };
/** A clip of 0 is none. */
const NO_CLIP: KernelAttribute = { name: 'cell_clip', kind: 'float', value: 0 };

/** h [T, B, H] of x [T, B, I] from `state`; differentiable in x, the weights and the state. */
export function nativeLstm(kernel: NativeKernel, x: tf.Tensor3D, weights: LstmWeights, state: LstmState): tf.Tensor3D {
  const w = tf.concat([weights.wx, weights.wh], 0);
  return withGradient<tf.Tensor3D>([x, w, weights.b, state.h, state.c], save => {
    const inputs = kernelInputs(x, w, weights.b, state);
    const outputs = forward(kernel, inputs);
    save([...inputs, ...outputs]);
    const gradient = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const given = [sequenceLength(x), ...saved, tf.zerosLike(dy), dy];
      const gradients = kernel('BlockLSTMGradV2', [floatType(), NO_PEEPHOLE], given, 8);
      const [dx, dc0, dh0, dw, , , , db] = gradients as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, ...tf.Tensor[]];
      return [dx, dw, db as tf.Tensor, dh0, dc0];
    };
    return { value: outputs[6] as tf.Tensor3D, gradient };
  });
}

/** The same with the state after the last step, and without a gradient. */
export function nativeLstmRun(kernel: NativeKernel, x: tf.Tensor3D, weights: LstmWeights, state: LstmState): LstmRun {
  const w = tf.concat([weights.wx, weights.wh], 0);
  const outputs = forward(kernel, kernelInputs(x, w, weights.b, state));
  const cells = outputs[1] as tf.Tensor3D;
  const hidden = outputs[6] as tf.Tensor3D;
  return { hidden, state: { h: lastStep(hidden), c: lastStep(cells) } };
}

/** i, cells, f, o, candidate, tanh(cell) and hidden, each [T, B, H]. */
const forward = (kernel: NativeKernel, inputs: readonly tf.Tensor[]): tf.Tensor[] =>
  kernel('BlockLSTMV2', [floatType(), NO_CLIP, NO_PEEPHOLE], [sequenceLength(inputs[0] as tf.Tensor), ...inputs], 7);

/** In the kernel's order, with the peephole weights that it wants though it does not use them. */
function kernelInputs(x: tf.Tensor, w: tf.Tensor, b: tf.Tensor, { h, c }: { h: tf.Tensor; c: tf.Tensor }): tf.Tensor[] {
  const peephole = tf.zeros([h.shape[1] ?? 0]);
  return [x, c, h, w, peephole, peephole, peephole, b];
}

/** [T, B, H] -> [B, H] */
const lastStep = (sequence: tf.Tensor3D): tf.Tensor2D => {
  const [steps, batch, width] = sequence.shape;
  return tf.reshape(tf.slice(sequence, [steps - 1, 0, 0], [1, batch, width]), [batch, width]);
};

/** TensorFlow handles of int64 scalars by backend and value, made once: tfjs frees no int64 that it makes for a call. */
const int64Scalars = new WeakMap<object, Map<number, tf.Tensor>>();

/** T as the int64 scalar that the kernel takes; tfjs has no such type, but its backend stores one. */
function sequenceLength(x: tf.Tensor): tf.Tensor {
  const steps = x.shape[0] ?? 0;
  const backend = tf.backend();
  const known = int64Scalars.get(backend) ?? new Map<number, tf.Tensor>();
  int64Scalars.set(backend, known);
  let scalar = known.get(steps);
  if (scalar === undefined) {
    const dataId = backend.write(Int32Array.of(steps, 0), [], 'int64' as tf.DataType);
    // The kernels read no more of an input than where its data lies.
    scalar = { dataId, shape: [], dtype: 'int32' } as unknown as tf.Tensor;
    known.set(steps, scalar);
  }
  return scalar;
}
