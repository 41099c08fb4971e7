/** Bytes on disk under their SHA-256: written whole and synced or not at all, checked when read. */
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#proto/chunks.ts';
import { FedError, toFedError } from '#proto/errors.ts';

const ADDRESS = /^[0-9a-f]{64}$/;

/** One folder of blobs. Addresses are lower-case hexadecimal. */
export class BlobFolder {
  readonly #folder: string;
  #writes = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Stores `bytes`; they are on the disk when it resolves, their name is after `sync`. Storing the same bytes again does nothing.
   * @returns the address
   * @throws FedError DISK_FULL; then nothing of it is left
   */
  async put(bytes: Uint8Array, address = sha256(bytes).toString('hex')): Promise<string> {
    if (await this.has(address)) return address;
    const temporary = join(this.#folder, `.${process.pid}-${this.#writes++}.partial`);
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.#path(address));
    } catch (thrown) {
      await rm(temporary, { force: true });
      throw toFedError(thrown);
    }
    return address;
  }

  async has(address: string): Promise<boolean> {
    return (await this.size(address)) !== undefined;
  }

  /** Bytes of a blob; undefined where there is none. */
  async size(address: string): Promise<number | undefined> {
    try {
      return (await stat(this.#path(address))).size;
    } catch (thrown) {
      if (isMissing(thrown)) return undefined;
      throw thrown;
    }
  }

  /** @throws FedError NOT_FOUND; FILE_CORRUPT when the bytes are no longer those of the address */
  async get(address: string): Promise<Buffer> {
    const bytes = await this.#read(address);
    if (sha256(bytes).toString('hex') !== address) {
      throw new FedError('FILE_CORRUPT', `expected the bytes of blob ${address}; others are stored`, 'check the disk');
    }
    return bytes;
  }

  /** Makes blobs of `source` blobs of this folder too, without copying. @throws FedError NOT_FOUND */
  async adopt(source: BlobFolder, addresses: Iterable<string>): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const address of addresses) {
      try {
        await link(source.#path(address), this.#path(address));
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') continue;
        if (isMissing(thrown)) throw missing(address);
        throw toFedError(thrown);
      }
    }
    await this.sync();
  }

  /** Makes the names of blobs durable; `put` has made their bytes so. */
  async sync(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const folder = await open(this.#folder, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  /** Bytes of all blobs together. */
  async totalBytes(): Promise<number> {
    let bytes = 0;
    for (const name of await this.#names()) bytes += (await this.size(name)) ?? 0;
    return bytes;
  }

  /** Deletes every blob that `keep` does not name, and what a crash in the middle of a write has left. */
  async retain(keep: ReadonlySet<string>): Promise<void> {
    for (const name of await this.#names(false)) {
      if (!keep.has(name)) await rm(join(this.#folder, name), { force: true });
    }
  }

  async #names(blobsOnly = true): Promise<string[]> {
    try {
      const names = await readdir(this.#folder);
      return blobsOnly ? names.filter(name => ADDRESS.test(name)) : names;
    } catch (thrown) {
      if (isMissing(thrown)) return [];
      throw thrown;
    }
  }

  async #read(address: string): Promise<Buffer> {
    try {
      return await readFile(this.#path(address));
    } catch (thrown) {
      if (isMissing(thrown)) throw missing(address);
      throw thrown;
    }
  }

  #path(address: string): string {
    if (!ADDRESS.test(address)) throw new FedError('MESSAGE_INVALID', 'expected a SHA-256 in hexadecimal');
    return join(this.#folder, address);
  }
}

const isMissing = (thrown: unknown): boolean => (thrown as NodeJS.ErrnoException).code === 'ENOENT';

const missing = (address: string): FedError =>
  new FedError('NOT_FOUND', `expected blob ${address}; there is none`, 'upload it again');
