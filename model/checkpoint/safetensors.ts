/**
 * The safetensors format (huggingface/safetensors, format description in its README): 8 bytes little-endian header
 * length, a JSON header of name -> {dtype, shape, data_offsets}, then the raw tensors. Nothing in it is ever evaluated.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FedError } from '#proto/errors.ts';
import { elementBytes, elementCount, type TensorDtype } from '#proto/manifest.ts';
import { type ForeignEntry, parseHeader, type SafetensorsEntry, type SafetensorsHeader } from './safetensors-header.ts';

export type { SafetensorsEntry };

/** Ours; the format allows 100 MB. 20,000 tensors need 4 MB. */
export const MAX_HEADER_BYTES = 16 * 1024 * 1024;
const STREAM_BYTES = 1024 * 1024;
const GATHERED_BYTES = 8 * 1024 * 1024;

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** Raw little-endian bytes, whole or in pieces of any size; exactly as many as dtype and shape say. */
  readonly data: Uint8Array | AsyncIterable<Uint8Array>;
}

/** An open file. Reads are positioned, so several may run at once. */
export interface SafetensorsFile {
  /** By name, in the order of names. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors of types that cannot be read, where `acceptForeign` let them pass. */
  readonly foreign: readonly ForeignEntry[];
  /** @throws FedError NOT_FOUND without such a tensor, FILE_CORRUPT when the file has shrunk */
  read(name: string): Promise<Uint8Array>;
  /** The tensor's bytes in pieces of at most `chunkBytes`. @throws as read */
  stream(name: string, chunkBytes?: number): AsyncGenerator<Uint8Array, void, undefined>;
  close(): Promise<void>;
}

/**
 * Writes tensors sorted by name, streaming; the file appears whole, synced to disk, or not at all.
 * @throws FedError CONFIG_INVALID on a repeated name or data of another size, DISK_FULL through toFedError
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const header = encodeHeader(sorted, metadata);
  const temporary = `${path}.${process.pid}.partial`;
  try {
    const file = await open(temporary, 'w');
    try {
      const out = new GatheredWrites(file);
      await out.write(header);
      for (const tensor of sorted) await writeTensor(out, tensor);
      await out.flush();
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  // The rename is durable only once the folder is.
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function encodeHeader(sorted: readonly TensorToWrite[], metadata: Readonly<Record<string, string>>): Buffer {
  // A list of pairs into fromEntries, not assignment: a tensor named "__proto__" must stay a plain key.
  const pairs: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let offset = 0;
  let previous: string | undefined;
  for (const { name, dtype, shape } of sorted) {
    if (name === previous || name === '__metadata__') {
      throw new FedError('CONFIG_INVALID', `expected each tensor name once; "${name}" is taken`, 'rename the tensor');
    }
    previous = name;
    const end = offset + elementCount(shape) * elementBytes(dtype);
    pairs.push([name, { dtype, shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(pairs)));
  // Spaces at the end of the header align the first tensor to 8 bytes.
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded]);
}

/**
 * Small pieces go to the disk together: a network has hundreds of small tensors, and each write of a program that computes
 * in between waits for a turn of the event loop.
 */
class GatheredWrites {
  readonly #file: FileHandle;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(piece: Uint8Array): Promise<void> {
    this.#pieces.push(piece);
    this.#bytes += piece.byteLength;
    if (this.#bytes >= GATHERED_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    // Not writev: it may write less than it was given.
    await this.#file.writeFile(pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces));
  }
}

async function writeTensor(out: GatheredWrites, { name, dtype, shape, data }: TensorToWrite): Promise<void> {
  const expected = elementCount(shape) * elementBytes(dtype);
  let written = 0;
  for await (const piece of data instanceof Uint8Array ? [data] : data) {
    written += piece.byteLength;
    if (written > expected) break;
    await out.write(piece);
  }
  if (written !== expected) {
    const came = written > expected ? 'more' : String(written);
    throw new FedError(
      'CONFIG_INVALID',
      `tensor ${name}: expected ${expected} bytes for ${dtype} [${shape}]; ${came} came`,
    );
  }
}

/**
 * Opens and checks a file; the header is bounded before it is read.
 * @param options.acceptForeign for files of other software: tensors of types that are not read here are listed in `foreign`
 * @throws FedError NOT_FOUND without the file, FILE_CORRUPT on anything that is not a well-formed safetensors file
 */
export async function openSafetensors(
  path: string,
  options: { readonly acceptForeign?: boolean } = {},
): Promise<SafetensorsFile> {
  const file = await openForReading(path);
  try {
    const { size } = await file.stat();
    const lengthBytes = await readExactly(file, 0, 8, path);
    const headerBytes = lengthBytes.readBigUInt64LE();
    if (headerBytes > BigInt(MAX_HEADER_BYTES) || 8n + headerBytes > BigInt(size)) {
      throw corrupt(path, `its header claims ${headerBytes} bytes in a file of ${size}`);
    }
    const dataStart = 8 + Number(headerBytes);
    const header = await readExactly(file, 8, Number(headerBytes), path);
    const refuse = (reason: string) => corrupt(path, reason);
    return openedFile(file, path, parseHeader(header, dataStart, size, refuse, options.acceptForeign));
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

function openedFile(
  file: FileHandle,
  path: string,
  { entries: sorted, foreign, metadata }: SafetensorsHeader,
): SafetensorsFile {
  const entries = new Map(sorted.map(entry => [entry.name, entry]));
  const find = (name: string): SafetensorsEntry => {
    const entry = entries.get(name);
    if (entry === undefined) {
      throw new FedError('NOT_FOUND', `expected tensor ${name} in ${path}; it has none`, 'check which model this is');
    }
    return entry;
  };
  return {
    entries,
    foreign,
    metadata,
    async read(name) {
      const { byteOffset, byteLength } = find(name);
      return readExactly(file, byteOffset, byteLength, path);
    },
    async *stream(name, chunkBytes = STREAM_BYTES) {
      const { byteOffset, byteLength } = find(name);
      for (let done = 0; done < byteLength; done += chunkBytes) {
        yield await readExactly(file, byteOffset + done, Math.min(chunkBytes, byteLength - done), path);
      }
    },
    close: () => file.close(),
  };
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code !== 'ENOENT') throw cause;
    throw new FedError('NOT_FOUND', `expected a safetensors file at ${path}; there is none`, 'check the path', {
      cause,
    });
  }
}

/** A read of a handle may return less than was asked for. The buffer is its own, so that it may be viewed as floats. */
async function readExactly(file: FileHandle, position: number, length: number, path: string): Promise<Buffer> {
  const buffer = Buffer.from(new ArrayBuffer(length));
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done);
    if (bytesRead === 0) throw corrupt(path, `it ends at byte ${position + done}, before ${position + length}`);
    done += bytesRead;
  }
  return buffer;
}

const corrupt = (path: string, reason: string): FedError =>
  new FedError('FILE_CORRUPT', `expected a safetensors file at ${path}; ${reason}`, 'restore the file from its source');
