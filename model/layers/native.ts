/** TensorFlow's own kernels that tfjs has no operation for, where the backend is TensorFlow. */
import * as tf from '@tensorflow/tfjs-core';

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

/** The part of tfjs-node's backend that is used here. */
interface TensorFlowBackend {
  readonly binding: Readonly<
    Record<'TF_ATTR_INT' | 'TF_ATTR_FLOAT' | 'TF_ATTR_BOOL' | 'TF_ATTR_STRING' | 'TF_ATTR_TYPE', number>
  >;
  executeMultipleOutputs(
    operation: string,
    attributes: { name: string; type: number; value: KernelAttribute['value'] }[],
    inputs: tf.Tensor[],
    outputs: number,
  ): tf.Tensor[];
}

/** The attribute `name` = DT_FLOAT, which nearly every kernel has. */
export const floatType = (name = 'T'): KernelAttribute => ({ name, kind: 'type', value: 1 });

/** Runs TensorFlow kernels by name, or undefined where the current backend is not TensorFlow. */
export function nativeKernel(): NativeKernel | undefined {
  const backend: unknown = tf.backend();
  if (!isTensorFlow(backend)) return undefined;
  const { binding } = backend;
  const kinds = {
    int: binding.TF_ATTR_INT,
    float: binding.TF_ATTR_FLOAT,
    bool: binding.TF_ATTR_BOOL,
    string: binding.TF_ATTR_STRING,
    type: binding.TF_ATTR_TYPE,
  };
  return (operation, attributes, inputs, outputs) =>
    backend.executeMultipleOutputs(
      operation,
      attributes.map(({ name, kind, value }) => ({ name, type: kinds[kind], value })),
      [...inputs],
      outputs,
    );
}

const isTensorFlow = (backend: unknown): backend is TensorFlowBackend =>
  typeof (backend as Partial<TensorFlowBackend>).executeMultipleOutputs === 'function';
