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

/** All tensors of some networks, or those that `keep` names. */
export function* tensorsOf(
  sets: readonly ParameterSet[],
  keep: (name: string) => boolean = () => true,
): Generator<readonly [string, tf.Tensor]> {
  for (const set of sets) for (const [name, { variable }] of set.entries()) if (keep(name)) yield [name, variable];
}

/** Assigns every tensor of the file that `sets` know; `required` names those that must be there. */
export async function loadNetworks(
  path: string,
  sets: readonly ParameterSet[],
  required: (name: string) => boolean,
): Promise<void> {
  const file = await openSafetensors(path);
  try {
    for (const set of sets) {
      for (const [name, { variable }] of set.entries()) await assignFrom(file, name, variable, required(name));
    }
  } finally {
    await file.close();
  }
}

/** Assigns one variable from an open file. */
export async function assignFrom(
  file: SafetensorsFile,
  name: string,
  variable: tf.Variable,
  required: boolean,
): Promise<void> {
  const entry = file.entries.get(name);
  if (entry === undefined) {
    if (!required) return;
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
