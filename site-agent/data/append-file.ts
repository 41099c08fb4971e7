/** A new file written in large pieces, hashed on the way. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

const FLUSH_BYTES = 2 ** 20;

export class AppendFile {
  readonly #handle: FileHandle;
  readonly #hash = createHash('sha256');
  #parts: Uint8Array[] = [];
  #bytes = 0;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Creates `path` (mode 0600), which must not exist. */
  static async create(path: string): Promise<AppendFile> {
    return new AppendFile(await open(path, 'wx', 0o600));
  }

  /** Appends bytes, which must not change until `finish`. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes >= FLUSH_BYTES) await this.#flush();
  }

  /** Everything on the disk; @returns the SHA-256 of the whole file as hex */
  async finish(): Promise<string> {
    await this.#flush();
    await this.#handle.sync();
    await this.#handle.close();
    return this.#hash.digest('hex');
  }

  /** Closes without writing what is left; harmless after `finish`. */
  async abandon(): Promise<void> {
    await this.#handle.close().catch(() => {});
  }

  async #flush(): Promise<void> {
    const whole = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    this.#hash.update(whole);
    await this.#handle.writeFile(whole);
  }
}
