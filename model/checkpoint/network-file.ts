/** Networks to and from safetensors files: what a tensor is called in memory is what it is called on disk and on the wire. */
import * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import type { ParameterSet } from '../layers/parameters.ts';
import { openSafetensors, type SafetensorsFile, writeSafetensors } from './safetensors.ts';

/** Reads a variable's values as little-endian bytes (tfjs runs on little-endian machines only). */
export function bytesOf(tensor: tf.Tensor): Uint8Array {
  const values = tensor.dataSync();
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/**
 * Writes named tensors, float32, atomically.
 * @throws FedError DISK_FULL
 */
export async function saveTensors(
  path: string,
  tensors: Iterable<readonly [string, tf.Tensor]>,
  metadata: Record<string, string> = {},
): Promise<void> {
  const entries = [...tensors].map(([name, tensor]) => ({
    name,
    dtype: 'F32' as const,
    shape: tensor.shape,
    data: bytesOf(tensor),
  }));
  await writeSafetensors(path, entries, metadata);
}

/** All tensors of some networks. */
export function* tensorsOf(sets: readonly ParameterSet[]): Generator<readonly [string, tf.Variable]> {
  for (const set of sets) for (const [name, { variable }] of set.entries()) yield [name, variable];
}

/**
 * Assigns the file's tensors to variables of the same names.
 * @throws FedError FILE_CORRUPT when one is missing or of another shape, NOT_FOUND without the file
 */
export async function loadTensors(path: string, variables: Iterable<readonly [string, tf.Variable]>): Promise<void> {
  const file = await openSafetensors(path);
  try {
    for (const [name, variable] of variables) await assignFrom(file, name, variable);
  } finally {
    await file.close();
  }
}

/** Assigns one variable from an open file. */
export async function assignFrom(file: SafetensorsFile, name: string, variable: tf.Variable): Promise<void> {
  const entry = file.entries.get(name);
  if (entry === undefined) {
    throw new FedError('FILE_CORRUPT', `the weights hold no tensor ${name}`, 'use weights of this architecture');
  }
  if (entry.dtype !== 'F32' || entry.shape.join() !== variable.shape.join()) {
    throw new FedError(
      'FILE_CORRUPT',
      `tensor ${name} is ${entry.dtype} [${entry.shape}]; expected F32 [${variable.shape}]`,
      'use weights of this architecture',
    );
  }
  const bytes = await file.read(name);
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  tf.tidy(() => variable.assign(tf.tensor(values, variable.shape)));
}
