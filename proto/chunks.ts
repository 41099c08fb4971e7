/** Content-addressed chunks: how tensor bytes are cut, named and checked. */
import { createHash } from 'node:crypto';
import { FedError } from './errors.ts';
import type { Chunk } from './gen/fed/v1/tensors.ts';

/** Default bytes of a chunk. */
export const CHUNK_BYTES = 1024 * 1024;
/** No chunk of any manifest is larger. */
export const MAX_CHUNK_BYTES = 4 * 1024 * 1024;
export const SHA256_BYTES = 32;

export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** The chunk that holds `data`, named by its hash. */
export const chunkOf = (data: Buffer): Chunk => ({ sha256: sha256(data), data });

/**
 * A chunk as it came from the other end, checked: present, bounded, and what its name says.
 * @throws FedError MESSAGE_INVALID | LIMIT_EXCEEDED
 */
export function verifiedChunk(chunk: Chunk | undefined): Chunk {
  if (chunk === undefined || chunk.sha256.length !== SHA256_BYTES || chunk.data.length === 0) {
    throw new FedError('MESSAGE_INVALID', 'expected a chunk with its SHA-256 and its bytes; one is missing');
  }
  if (chunk.data.length > MAX_CHUNK_BYTES) {
    throw new FedError('LIMIT_EXCEEDED', `a chunk has at most ${MAX_CHUNK_BYTES} bytes; ${chunk.data.length} came`);
  }
  if (!sha256(chunk.data).equals(chunk.sha256)) {
    throw new FedError(
      'MESSAGE_INVALID',
      `expected the bytes of chunk ${chunk.sha256.toString('hex')}; others came`,
      'send it again',
    );
  }
  return chunk;
}

/**
 * Cuts a stream of byte pieces of any size into chunks of `chunkBytes`; only the last may be shorter. An empty stream
 * has no chunk. Holds one chunk in memory.
 */
export async function* splitChunks(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  chunkBytes = CHUNK_BYTES,
): AsyncGenerator<Buffer, void, undefined> {
  let pending = Buffer.allocUnsafe(chunkBytes);
  let filled = 0;
  for await (const piece of pieces) {
    for (let offset = 0; offset < piece.length; ) {
      const taken = piece.subarray(offset, offset + chunkBytes - filled);
      pending.set(taken, filled);
      filled += taken.length;
      offset += taken.length;
      if (filled === chunkBytes) {
        yield pending;
        pending = Buffer.allocUnsafe(chunkBytes);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield pending.subarray(0, filled);
}
