/** Chunks of a download in progress, a file each: they survive a cut, and a restart of the agent. */
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#proto/chunks.ts';
import { privateFolders } from './state.ts';

export class ChunkFolder {
  readonly #folder: string;
  readonly #addresses: Set<string>;

  private constructor(folder: string, addresses: Set<string>) {
    this.#folder = folder;
    this.#addresses = addresses;
  }

  /** Takes over what an earlier attempt left; whatever is not what its name says is deleted. */
  static async open(folder: string): Promise<ChunkFolder> {
    await privateFolders(folder);
    const addresses = new Set<string>();
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (sha256(await readFile(path)).toString('hex') === name) addresses.add(name);
      else await rm(path, { force: true });
    }
    return new ChunkFolder(folder, addresses);
  }

  has(address: string): boolean {
    return this.#addresses.has(address);
  }

  read(address: string): Promise<Buffer> {
    return readFile(join(this.#folder, address));
  }

  async write(address: string, data: Uint8Array): Promise<void> {
    const path = join(this.#folder, address);
    await writeFile(`${path}.partial`, data, { mode: 0o600 });
    await rename(`${path}.partial`, path);
    this.#addresses.add(address);
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
