/**
 * A checkpoint on disk: tensors of a training at one moment, with what they belong to and a hash over everything. The
 * moment is taken at once; hashing and writing it do not hold up the steps that follow.
 */
import { subtle } from 'node:crypto';
import type * as tf from '@tensorflow/tfjs-core';
import { CHUNK_BYTES } from '#proto/chunks.ts';
import { CONTENT_SHA256, contentSha256, type HashedTensor, requireContent } from '../checkpoint/content-hash.ts';
import { bytesOf } from '../checkpoint/network-file.ts';
import {
  openSafetensors,
  type SafetensorsFile,
  type TensorToWrite,
  writeSafetensors,
} from '../checkpoint/safetensors.ts';

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
  const entries = named.map(([name, tensor]): Entry => {
    const start = end;
    end += 4 * tensor.size;
    all.set(bytesOf(tensor), start);
    return { name, dtype: 'F32', shape: tensor.shape, data: all.subarray(start, end) };
  });
  return {
    async write(path) {
      const hashed = await Promise.all(entries.map(hashedTensor));
      await writeSafetensors(path, entries, { ...metadata, [CONTENT_SHA256]: contentSha256(metadata, hashed) });
    },
  };
}

type Entry = TensorToWrite & { readonly data: Uint8Array<ArrayBuffer> };

/** Web Crypto hashes in a thread of its own. */
async function hashedTensor({ name, dtype, shape, data }: Entry): Promise<HashedTensor> {
  const starts = Array.from({ length: Math.ceil(data.byteLength / CHUNK_BYTES) }, (_, i) => i * CHUNK_BYTES);
  const chunks = await Promise.all(
    starts.map(start => subtle.digest('SHA-256', data.subarray(start, start + CHUNK_BYTES))),
  );
  return { name, dtype, shape, chunks: chunks.map(chunk => Buffer.from(chunk).toString('hex')) };
}

/**
 * Opens a checkpoint and reads all of it once to check its hash. The caller closes it.
 * @throws FedError NOT_FOUND without the file; FILE_CORRUPT when it is truncated, changed, or carries no hash
 */
export async function openSnapshot(path: string): Promise<SafetensorsFile> {
  const file = await openSafetensors(path);
  try {
    await requireContent(file, path);
    return file;
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}
