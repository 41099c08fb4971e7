/**
 * A checkpoint on disk: tensors of a training at one moment, with what they belong to and a hash over everything. The
 * moment is taken at once; hashing and writing it do not hold up the steps that follow.
 */
import { createHash, type Hash, subtle } from 'node:crypto';
import type * as tf from '@tensorflow/tfjs-core';
import { FedError } from '#proto/errors.ts';
import { bytesOf } from '../checkpoint/network-file.ts';
import {
  openSafetensors,
  type SafetensorsFile,
  type TensorToWrite,
  writeSafetensors,
} from '../checkpoint/safetensors.ts';
import { canonicalJson } from '../federated.ts';

const HASH_KEY = 'sha256';
/** Tensors are F32; a hash over pieces reads the file once, in order. */
const PIECE_BYTES = 4 * 1024 * 1024;

export interface Snapshot {
  /** Replaces `path` atomically. @throws FedError DISK_FULL through toFedError */
  write(path: string): Promise<void>;
}

/** Copies the tensors' values: what happens to them afterwards does not change what is written. */
export function takeSnapshot(
  tensors: Iterable<readonly [string, tf.Tensor]>,
  metadata: Readonly<Record<string, string>>,
): Snapshot {
  const named = [...tensors].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const all = new Uint8Array(named.reduce((sum, [, tensor]) => sum + 4 * tensor.size, 0));
  let end = 0;
  const entries = named.map(([name, tensor]): TensorToWrite & { data: Uint8Array } => {
    const start = end;
    end += 4 * tensor.size;
    all.set(bytesOf(tensor), start);
    return { name, dtype: 'F32', shape: tensor.shape, data: all.subarray(start, end) };
  });
  return {
    async write(path) {
      // Web Crypto hashes in a thread of its own.
      const data = Buffer.from(await subtle.digest('SHA-256', all)).toString('hex');
      const sha256 = hashOf(metadata, entries, data);
      await writeSafetensors(path, entries, { ...metadata, [HASH_KEY]: sha256 });
    },
  };
}

/**
 * Opens a checkpoint and reads all of it once to check its hash. The caller closes it.
 * @throws FedError NOT_FOUND without the file; FILE_CORRUPT when it is truncated, tampered with, or carries no hash
 */
export async function openSnapshot(path: string): Promise<SafetensorsFile> {
  const file = await openSafetensors(path);
  try {
    const { [HASH_KEY]: expected, ...metadata } = file.metadata;
    const hash = createHash('sha256');
    for (const name of file.entries.keys()) await feed(hash, file, name);
    const found = hashOf(metadata, [...file.entries.values()], hash.digest('hex'));
    if (expected === found) return file;
    throw new FedError(
      'FILE_CORRUPT',
      expected === undefined
        ? `expected a checkpoint with its SHA-256 at ${path}; it carries none`
        : `expected content of SHA-256 ${expected.slice(0, 64)} in the checkpoint ${path}; it has ${found}`,
      'it was changed or damaged after it was written: restore it from a backup, or delete it to begin again',
    );
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

async function feed(hash: Hash, file: SafetensorsFile, name: string): Promise<void> {
  for await (const piece of file.stream(name, PIECE_BYTES)) hash.update(piece);
}

/** Over what the tensors are called, what shape they have and what was said about them, too. */
function hashOf(
  metadata: Readonly<Record<string, string>>,
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
  data: string,
): string {
  const described = { metadata, tensors: tensors.map(({ name, shape }) => [name, shape]), data };
  return createHash('sha256').update(canonicalJson(described)).digest('hex');
}
