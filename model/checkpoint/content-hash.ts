/**
 * One hash over everything that a file of weights says: its metadata and its tensors, these by the chunks in which they
 * travel. So the coordinator knows it from a manifest before it has written a byte, and a reader checks it in one pass.
 */
import { createHash } from 'node:crypto';
import { CHUNK_BYTES, MAX_CHUNK_BYTES, sha256, splitChunks } from '#proto/chunks.ts';
import { FedError } from '#proto/errors.ts';
import type { TensorDtype } from '#proto/manifest.ts';
import type { SafetensorsFile } from './safetensors.ts';

/** The key of the metadata that holds it, in hex. */
export const CONTENT_SHA256 = 'content_sha256';
/** Where the chunks are not of CHUNK_BYTES. */
const CHUNK_KEY = 'chunk_bytes';

export interface HashedTensor {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** Hex SHA-256 of its chunks, in order. */
  readonly chunks: readonly string[];
}

/**
 * The metadata with the hash of itself and of the tensors in it.
 * @param chunkBytes of the tensors' chunks; the last of a tensor may be shorter
 */
export function withContentHash(
  metadata: Readonly<Record<string, string>>,
  tensors: readonly HashedTensor[],
  chunkBytes = CHUNK_BYTES,
): Record<string, string> {
  const described = { ...metadata, [CHUNK_KEY]: String(chunkBytes) };
  return { ...described, [CONTENT_SHA256]: contentSha256(described, tensors) };
}

/** @param metadata of the file; a hash that is already in it is left out */
export function contentSha256(metadata: Readonly<Record<string, string>>, tensors: readonly HashedTensor[]): string {
  const described = Object.entries(metadata)
    .filter(([key]) => key !== CONTENT_SHA256)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const listed = [...tensors]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, dtype, shape, chunks }) => [name, dtype, shape, chunks]);
  return createHash('sha256')
    .update(JSON.stringify([described, listed]))
    .digest('hex');
}

/**
 * Reads the whole file, a chunk at a time.
 * @returns its tensors
 * @throws FedError FILE_CORRUPT when it is not what was written, or does not say what was
 */
export async function requireContent(file: SafetensorsFile, path: string): Promise<HashedTensor[]> {
  const { [CONTENT_SHA256]: expected, [CHUNK_KEY]: chunkText = CHUNK_BYTES } = file.metadata;
  const chunkBytes = Number(chunkText);
  const remedy = 'take the file from its source again';
  if (expected === undefined || !(Number.isInteger(chunkBytes) && chunkBytes >= 1 && chunkBytes <= MAX_CHUNK_BYTES)) {
    const message = `expected a ${CONTENT_SHA256} in the metadata of ${path}; it carries none that can be checked`;
    throw new FedError('FILE_CORRUPT', message, remedy);
  }
  const tensors: HashedTensor[] = [];
  for (const { name, dtype, shape } of file.entries.values()) {
    const chunks: string[] = [];
    for await (const chunk of splitChunks(file.stream(name), chunkBytes)) chunks.push(sha256(chunk).toString('hex'));
    tensors.push({ name, dtype, shape, chunks });
  }
  const came = contentSha256(file.metadata, tensors);
  if (came !== expected) {
    const message = `expected content of SHA-256 ${expected} in ${path}; it is ${came}: the file was changed`;
    throw new FedError('FILE_CORRUPT', message, remedy);
  }
  return tensors;
}
