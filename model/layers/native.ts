/** TensorFlow's own kernels as one function, for layers that are written against either it or nothing. */
import type * as tf from '@tensorflow/tfjs-core';
import { executeOp, hasNativeOps, type OpAttr, opAttr } from '#model/backend/execute-op.ts';

/** An attribute of a TensorFlow operation; the kind is the attribute's type in its definition. */
export interface KernelAttribute {
  readonly name: string;
  readonly kind: 'type' | 'int' | 'float' | 'bool' | 'string';
  readonly value: boolean | number | string | number[];
}

/** Runs one kernel; what comes back belongs to the current tf.tidy. */
export type NativeKernel = (
  operation: string,
  attributes: readonly KernelAttribute[],
  inputs: readonly tf.Tensor[],
  outputs: number,
) => tf.Tensor[];

/** The attribute `name` = DT_FLOAT, which nearly every kernel has. */
export const floatType = (name = 'T'): KernelAttribute => ({ name, kind: 'type', value: 1 });

/** Types are given by their number in TensorFlow's C API. */
const attributeOf = ({ name, kind, value }: KernelAttribute): OpAttr => ({
  ...opAttr[kind](name, value as never),
  value,
});

/** Runs TensorFlow kernels by name, or undefined where the current backend is not TensorFlow. */
export const nativeKernel = (): NativeKernel | undefined =>
  hasNativeOps()
    ? (operation, attributes, inputs, outputs) => executeOp(operation, attributes.map(attributeOf), inputs, outputs)
    : undefined;
