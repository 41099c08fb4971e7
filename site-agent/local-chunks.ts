/** Chunks that lie in files of earlier downloads: tensors that did not change since are not fetched again. */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { FedError } from '#proto/errors.ts';
import { Manifest } from '#proto/gen/fed/v1/tensors.ts';
import { chunkLength, validateManifest } from '#proto/manifest.ts';

export const manifestPathOf = (path: string): string => `${path}.manifest`;

/** The manifest of a downloaded file, or undefined where there is none that can be trusted. */
export async function readManifestOf(path: string): Promise<Manifest | undefined> {
  try {
    return validateManifest(Manifest.decode(await readFile(manifestPathOf(path))));
  } catch {
    return undefined;
  }
}

interface Place {
  readonly file: FileHandle;
  readonly position: number;
  readonly length: number;
}

export class LocalChunks {
  readonly #places = new Map<string, Place>();
  readonly #files: FileHandle[] = [];

  private constructor() {}

  static async open(paths: readonly string[]): Promise<LocalChunks> {
    const local = new LocalChunks();
    for (const path of paths) await local.#add(path);
    return local;
  }

  async #add(path: string): Promise<void> {
    const manifest = await readManifestOf(path);
    if (manifest === undefined) return;
    try {
      const { entries, close } = await openSafetensors(path);
      await close();
      const file = await open(path, 'r');
      this.#files.push(file);
      for (const tensor of manifest.tensors) {
        const start = entries.get(tensor.name)?.byteOffset;
        if (start === undefined) continue;
        tensor.chunkSha256.forEach((hash, index) => {
          const position = start + index * manifest.chunkBytes;
          const length = chunkLength(tensor, index, manifest.chunkBytes);
          this.#places.set(hash.toString('hex'), { file, position, length });
        });
      }
    } catch (error) {
      // A damaged file of an earlier download only means that its chunks travel again.
      if (!(error instanceof FedError)) throw error;
    }
  }

  has(address: string): boolean {
    return this.#places.has(address);
  }

  /** The bytes at an address, unverified; undefined where it is not local. */
  async read(address: string): Promise<Buffer | undefined> {
    const place = this.#places.get(address);
    if (place === undefined) return undefined;
    const data = Buffer.alloc(place.length);
    await place.file.read(data, 0, place.length, place.position);
    return data;
  }

  async close(): Promise<void> {
    for (const file of this.#files) await file.close();
  }
}
