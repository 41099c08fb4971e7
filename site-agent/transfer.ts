/** Weights up and down as content-addressed chunks: only what the other end lacks travels, and a cut loses nothing. */
import { rm } from 'node:fs/promises';
import { writeSafetensors } from '#model/checkpoint/safetensors.ts';
import { sha256 } from '#proto/chunks.ts';
import { FedError } from '#proto/errors.ts';
import type { Chunk, Manifest, TensorEntry } from '#proto/gen/fed/v1/tensors.ts';
import { chunkAddresses, chunkLength, dtypeOf, encodeManifest, validateManifest } from '#proto/manifest.ts';
import { ChunkFolder } from './chunk-folder.ts';
import { LocalChunks, manifestPathOf, readManifestOf } from './local-chunks.ts';
import type { Outgoing } from './outgoing.ts';
import { writePrivateFile } from './state.ts';

export interface TransferCount {
  /** Chunks and bytes that travelled. */
  readonly chunks: number;
  readonly bytes: number;
}

export interface UploadPort {
  missingChunks(outgoing: Outgoing, signal: AbortSignal): Promise<string[]>;
  pushChunks(outgoing: Outgoing, addresses: readonly string[], signal: AbortSignal): Promise<void>;
}

/** Pushes what the coordinator lacks. Call it again after a cut: it asks again, and goes on where it was. */
export async function upload(egress: UploadPort, outgoing: Outgoing, signal: AbortSignal): Promise<{ chunks: number }> {
  const missing = await egress.missingChunks(outgoing, signal);
  await egress.pushChunks(outgoing, missing, signal);
  return { chunks: missing.length };
}

export interface DownloadOptions {
  readonly egress: {
    pullChunks(runId: string, addresses: readonly string[], signal: AbortSignal): AsyncIterable<Chunk>;
  };
  readonly runId: string;
  readonly manifest: Manifest;
  /** Where the safetensors file goes; its manifest is kept beside it. */
  readonly path: string;
  /** Files of earlier downloads whose chunks need not travel again; may include `path` itself. */
  readonly reuse: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * Fetches a manifest's tensors into a safetensors file, which appears whole or not at all. Chunks that arrived before a
 * cut, or are in `reuse`, are not fetched again; every chunk is checked against its address once more when assembled.
 * @throws FedError MESSAGE_INVALID | LIMIT_EXCEEDED on a manifest or chunk out of bounds, UNREACHABLE on a cut
 */
export async function download(options: DownloadOptions): Promise<TransferCount> {
  try {
    return await downloadOnce(options);
  } catch (error) {
    if (!(error instanceof FedError) || error.code !== 'FILE_CORRUPT') throw error;
    // What lay here was damaged: everything travels anew, rather than failing for ever on the same bad sector.
    for (const path of options.reuse) await rm(manifestPathOf(path), { force: true });
    return await downloadOnce({ ...options, reuse: [] });
  }
}

async function downloadOnce(options: DownloadOptions): Promise<TransferCount> {
  const manifest = validateManifest(options.manifest);
  const encoded = encodeManifest(manifest);
  const there = await readManifestOf(options.path);
  if (there !== undefined && encodeManifest(there).equals(encoded)) return { chunks: 0, bytes: 0 };
  const local = await LocalChunks.open(options.reuse);
  try {
    const arrived = await ChunkFolder.open(`${options.path}.chunks`);
    const wanted = chunkAddresses(manifest).filter(address => !local.has(address));
    const count = await fetchInto(arrived, wanted, options);
    const read = async (tensor: TensorEntry, index: number): Promise<Buffer> => {
      const hash = tensor.chunkSha256[index] ?? Buffer.alloc(0);
      const address = hash.toString('hex');
      const data = (await local.read(address)) ?? (await arrived.read(address));
      if (data.length !== chunkLength(tensor, index, manifest.chunkBytes) || !sha256(data).equals(hash)) {
        throw new FedError('FILE_CORRUPT', `chunk ${index} of tensor ${tensor.name} is not what it was`, 'try again');
      }
      return data;
    };
    await assemble(manifest, options.path, read);
    await writePrivateFile(manifestPathOf(options.path), encoded);
    await arrived.remove();
    return count;
  } finally {
    await local.close();
  }
}

async function fetchInto(
  folder: ChunkFolder,
  wanted: readonly string[],
  { egress, runId, signal }: DownloadOptions,
): Promise<TransferCount> {
  const missing = new Set(wanted.filter(address => !folder.has(address)));
  let chunks = 0;
  let bytes = 0;
  for await (const chunk of egress.pullChunks(runId, [...missing], signal)) {
    const address = chunk.sha256.toString('hex');
    if (!missing.delete(address)) {
      throw new FedError('MESSAGE_INVALID', `expected chunks that were asked for; ${address} was not`);
    }
    await folder.write(address, chunk.data);
    chunks++;
    bytes += chunk.data.length;
  }
  if (missing.size > 0) {
    throw new FedError('UNREACHABLE', `expected ${wanted.length} chunks; ${missing.size} did not come`, 'try again');
  }
  return { chunks, bytes };
}

async function assemble(
  manifest: Manifest,
  path: string,
  read: (tensor: TensorEntry, index: number) => Promise<Buffer>,
): Promise<void> {
  async function* bytesOf(tensor: TensorEntry): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < tensor.chunkSha256.length; index++) yield await read(tensor, index);
  }
  // The old manifest goes first: a crash in between must not leave it beside a new file.
  await rm(manifestPathOf(path), { force: true });
  await writeSafetensors(
    path,
    manifest.tensors.map(tensor => ({
      name: tensor.name,
      dtype: dtypeOf(tensor.dtype),
      shape: tensor.shape,
      data: bytesOf(tensor),
    })),
  );
}
