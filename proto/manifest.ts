/** Manifests: what tensors a set of weights holds and where their bytes are; checked before anything is allocated. */
import { CHUNK_BYTES, MAX_CHUNK_BYTES, SHA256_BYTES, sha256, splitChunks } from './chunks.ts';
import { FedError } from './errors.ts';
import { Manifest, type TensorEntry, TensorType } from './gen/fed/v1/tensors.ts';

export const MAX_TENSORS = 20_000;
export const MAX_NAME_LENGTH = 200;
export const MAX_RANK = 6;
/** Default bound of all tensors together: twice the largest EMIXER of the paper with room to spare. */
export const MAX_TOTAL_BYTES = 2 * 1024 ** 3;
const NAME_PATTERN = /^[A-Za-z0-9_][A-Za-z0-9_.\-/]*$/;

export type TensorDtype = 'F32' | 'I32' | 'U8';

const dtypes: Record<TensorDtype, { readonly type: TensorType; readonly bytes: number }> = {
  F32: { type: TensorType.F32, bytes: 4 },
  I32: { type: TensorType.I32, bytes: 4 },
  U8: { type: TensorType.U8, bytes: 1 },
};

export const tensorTypeOf = (dtype: TensorDtype): TensorType => dtypes[dtype].type;

/** @throws FedError MESSAGE_INVALID on an unknown element type */
export function dtypeOf(type: TensorType): TensorDtype {
  for (const dtype of Object.keys(dtypes) as TensorDtype[]) if (dtypes[dtype].type === type) return dtype;
  throw invalid(`expected element type F32, I32 or U8; ${type} came`);
}

/** Bytes of one element. */
export const elementBytes = (dtype: TensorDtype): number => dtypes[dtype].bytes;

/** Elements of a shape; a scalar ([]) has one. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

/** Bytes of a tensor; exact up to 2^53. */
export const tensorBytes = (tensor: Pick<TensorEntry, 'dtype' | 'shape'>): number =>
  elementCount(tensor.shape) * elementBytes(dtypeOf(tensor.dtype));

export const manifestBytes = (manifest: Manifest): number =>
  manifest.tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);

export interface ManifestLimits {
  readonly maxTotalBytes?: number;
}

/**
 * A manifest as it came from the other end, checked: bounds, names, order, and chunk counts that follow from shapes.
 * @throws FedError MESSAGE_INVALID | LIMIT_EXCEEDED naming the tensor
 */
export function validateManifest(manifest: Manifest | undefined, limits: ManifestLimits = {}): Manifest {
  if (manifest === undefined) throw invalid('expected a manifest; none came');
  const { chunkBytes, tensors } = manifest;
  if (!Number.isInteger(chunkBytes) || chunkBytes < 1 || chunkBytes > MAX_CHUNK_BYTES) {
    throw invalid(`expected chunks of 1 to ${MAX_CHUNK_BYTES} bytes; ${chunkBytes} came`);
  }
  if (tensors.length > MAX_TENSORS) throw tooLarge(`at most ${MAX_TENSORS} tensors; ${tensors.length} came`);
  const maxTotalBytes = limits.maxTotalBytes ?? MAX_TOTAL_BYTES;
  let totalBytes = 0;
  let previous = '';
  for (const tensor of tensors) {
    validateName(tensor.name);
    if (previous !== '' && tensor.name <= previous) {
      throw invalid(`expected tensors sorted by name, each once; "${tensor.name}" comes after "${previous}"`);
    }
    previous = tensor.name;
    totalBytes += validateSize(tensor);
    if (totalBytes > maxTotalBytes) throw tooLarge(`at most ${maxTotalBytes} bytes of tensors; more came`);
    const expected = Math.ceil(tensorBytes(tensor) / chunkBytes);
    if (tensor.chunkSha256.length !== expected) {
      throw invalid(`tensor ${tensor.name}: expected ${expected} chunks; ${tensor.chunkSha256.length} came`);
    }
    const wrong = tensor.chunkSha256.find(hash => hash.length !== SHA256_BYTES);
    if (wrong !== undefined) throw invalid(`tensor ${tensor.name}: expected hashes of 32 bytes; ${wrong.length} came`);
  }
  return manifest;
}

/** @throws FedError MESSAGE_INVALID when no tensor may be called this */
export function validateName(name: string): void {
  if (name.length > MAX_NAME_LENGTH || !NAME_PATTERN.test(name)) {
    throw invalid(
      `expected a tensor name of 1 to ${MAX_NAME_LENGTH} of A-Z a-z 0-9 _ . - /; "${printable(name)}" came`,
    );
  }
}

/** @returns the tensor's bytes */
function validateSize(tensor: TensorEntry): number {
  if (tensor.shape.length > MAX_RANK) {
    throw tooLarge(`tensor ${tensor.name}: at most ${MAX_RANK} dimensions; ${tensor.shape.length} came`);
  }
  // Zero dimensions are legal (no bytes, no chunks); beyond 2^53 the product would no longer be exact.
  const bytes = tensorBytes(tensor);
  if (!Number.isSafeInteger(bytes)) throw tooLarge(`tensor ${tensor.name}: shape ${tensor.shape} is too large`);
  return bytes;
}

/** The same tensors in the one order that is encoded: by name, code unit by code unit. */
export function canonicalManifest(manifest: Manifest): Manifest {
  return {
    chunkBytes: manifest.chunkBytes,
    tensors: [...manifest.tensors].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
  };
}

/** ts-proto writes fields in tag order, so the canonical order of tensors makes the bytes canonical too. */
export const encodeManifest = (manifest: Manifest): Buffer =>
  Buffer.from(Manifest.encode(canonicalManifest(manifest)).finish());

/** Two manifests with the same hash hold the same weights. */
export const manifestSha256 = (manifest: Manifest): Buffer => sha256(encodeManifest(manifest));

/** The chunks of a manifest, each address once, in first-use order, as lower-case hexadecimal. */
export function chunkAddresses(manifest: Manifest): string[] {
  const seen = new Set<string>();
  for (const tensor of manifest.tensors) for (const hash of tensor.chunkSha256) seen.add(hash.toString('hex'));
  return [...seen];
}

/** The bytes that chunk `index` of a tensor must have. */
export function chunkLength(tensor: TensorEntry, index: number, chunkBytes: number): number {
  return Math.min(chunkBytes, tensorBytes(tensor) - index * chunkBytes);
}

export interface TensorSource {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** Raw little-endian bytes in pieces of any size. */
  readonly bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/**
 * Cuts tensors into chunks, hands each to `onChunk` (store or index it) and returns the canonical manifest.
 * Holds one chunk in memory.
 * @throws FedError MESSAGE_INVALID when a tensor has more or fewer bytes than its shape says
 */
export async function buildManifest(
  tensors: AsyncIterable<TensorSource> | Iterable<TensorSource>,
  onChunk: (sha256: Buffer, data: Buffer, tensor: string) => Promise<void> | void,
  chunkBytes = CHUNK_BYTES,
): Promise<Manifest> {
  const entries: TensorEntry[] = [];
  for await (const { name, dtype, shape, bytes } of tensors) {
    const entry: TensorEntry = { name, dtype: tensorTypeOf(dtype), shape: [...shape], chunkSha256: [] };
    let length = 0;
    for await (const data of splitChunks(bytes, chunkBytes)) {
      const hash = sha256(data);
      await onChunk(hash, data, name);
      entry.chunkSha256.push(hash);
      length += data.length;
    }
    if (length !== tensorBytes(entry)) {
      throw invalid(`tensor ${name}: expected ${tensorBytes(entry)} bytes for ${dtype} [${shape}]; ${length} came`);
    }
    entries.push(entry);
  }
  return canonicalManifest({ chunkBytes, tensors: entries });
}

const printable = (text: string): string => text.slice(0, 80).replace(/[^\x20-\x7e]/g, '?');
const invalid = (message: string): FedError =>
  new FedError('MESSAGE_INVALID', message, 'install the same version at both ends');
const tooLarge = (message: string): FedError =>
  new FedError('LIMIT_EXCEEDED', message, 'use a smaller model, or raise the limit at the receiving end');
