/**
 * Any TensorFlow kernel by its name, with its attributes and inputs in the order of its OpDef (see
 * https://www.tensorflow.org/api_docs/cc or tensorflow/core/ops/*_ops.cc). Native backends only: beside such a kernel stands
 * a version composed of tfjs ops, which wasm and the tests use.
 *
 *     const [y, mean, variance, r1, r2, r3] = executeOp(
 *       'FusedBatchNormV3',
 *       [opAttr.type('T', 'float32'), opAttr.type('U', 'float32'), opAttr.float('epsilon', 1e-5), opAttr.bool('is_training', true)],
 *       [x, scale, offset, emptyMean, emptyVariance],
 *       6,
 *     );
 *
 * Nothing is recorded for gradients: call it inside `tf.customGrad`, with a gradient that does the same.
 */
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import type { Int64Scalar } from '@tensorflow/tfjs-node-gpu/dist/int64_tensors.js';
import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import { FedError } from '#proto/errors.ts';
import { nativeBackendName } from './native.ts';

/** Numbers of TensorFlow's C API (TF_AttrType in c/tf_attrtype.h; TF_DataType in c/tf_datatype.h): part of its ABI. */
const attrKind = { string: 0, int: 1, float: 2, bool: 3, type: 4 } as const;
const dataTypeNumber = { float32: 1, int32: 3, string: 7, complex64: 8, bool: 10, int64: 9 } as const;

export interface OpAttr {
  readonly name: string;
  readonly type: number;
  readonly value: string | number | boolean | number[] | boolean[];
}

/** Attributes by their kind in the OpDef; `int`, `float` and `bool` take arrays for `list(int)` and so on. */
export const opAttr = {
  /** `type`, e.g. ('T', 'float32'). */
  type: (name: string, value: keyof typeof dataTypeNumber): OpAttr => ({
    name,
    type: attrKind.type,
    value: dataTypeNumber[value],
  }),
  /** `int` or `list(int)`, e.g. ('strides', [1, 2, 2, 1]). */
  int: (name: string, value: number | readonly number[]): OpAttr => ({
    name,
    type: attrKind.int,
    value: copied(value),
  }),
  /** `float` or `list(float)`. */
  float: (name: string, value: number | readonly number[]): OpAttr => ({
    name,
    type: attrKind.float,
    value: copied(value),
  }),
  bool: (name: string, value: boolean): OpAttr => ({ name, type: attrKind.bool, value }),
  /** `string`, e.g. ('padding', 'SAME'). */
  string: (name: string, value: string): OpAttr => ({ name, type: attrKind.string, value }),
};

const copied = (value: number | readonly number[]): number | number[] =>
  typeof value === 'number' ? value : [...value];

/** Whether the current backend is TensorFlow itself, so that `executeOp` works. */
export const hasNativeOps = (): boolean => tf.getBackend() === nativeBackendName;

/** A scalar int64 input, e.g. `seq_len_max` of BlockLSTMV2; tfjs itself knows no int64. Whole, within 32 bits. */
export function int64Scalar(value: number): Int64Scalar {
  const module = createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu/dist/int64_tensors.js') as {
    readonly Int64Scalar: typeof Int64Scalar;
  };
  return new module.Int64Scalar(value);
}

/**
 * Runs one TensorFlow op and returns all its outputs, which belong to the enclosing `tf.tidy`.
 * @param outputCount number of outputs in the OpDef, used or not
 * @throws FedError BACKEND_UNAVAILABLE on a backend that is not native; INTERNAL with TensorFlow's message when it refuses
 */
export function executeOp(
  name: string,
  attrs: readonly OpAttr[],
  inputs: readonly (tf.TensorInfo | Int64Scalar)[],
  outputCount = 1,
): tf.Tensor[] {
  if (!hasNativeOps()) {
    throw new FedError(
      'BACKEND_UNAVAILABLE',
      `${name} is a TensorFlow kernel, and the current backend is ${tf.getBackend() || 'none'}`,
      'load the native backend first, or call the composed version',
    );
  }
  const backend = tf.backend() as NodeJSKernelBackend;
  try {
    return backend.executeMultipleOutputs(name, [...attrs], inputs as tf.TensorInfo[], outputCount);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FedError('INTERNAL', `TensorFlow refused ${name}: ${reason}`, '', { cause: error });
  }
}
