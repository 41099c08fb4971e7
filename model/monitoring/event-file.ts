/** TensorBoard event files: Event messages in TFRecord framing (tensorflow/core/lib/io/record_writer.cc). */
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { maskedCrc32c } from './crc32c.ts';
import { type EventContent, restartEvent, summaryEvent, versionEvent } from './event-proto.ts';

/** uint64 length, its masked CRC, the data, their masked CRC; all little-endian. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(16 + data.length);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return record;
}

/**
 * Appends to one event file. `add` never waits: what it is given is written in the background, in order, and a failure is
 * thrown by the next `add`, or by `close`.
 */
export class EventFile {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #nowMs: () => number;
  #pending: Uint8Array[] = [];
  #writing: Promise<void> = Promise.resolve();
  #failure: unknown;

  private constructor(path: string, file: FileHandle, nowMs: () => number) {
    this.path = path;
    this.#file = file;
    this.#nowMs = nowMs;
  }

  /**
   * A new file in `folder`, which may hold those of earlier starts.
   * @param restartAt the step that training goes on from, when it does
   * @throws whatever the file system says, e.g. ENOSPC
   */
  static async create(folder: string, nowMs: () => number, restartAt?: number): Promise<EventFile> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { path, file } = await openNew(folder, Math.floor(nowMs() / 1000));
    const made = new EventFile(path, file, nowMs);
    made.#append(versionEvent(made.#wallSeconds));
    if (restartAt !== undefined) made.#append(restartEvent(made.#wallSeconds, restartAt));
    await made.#writing;
    made.#throwFailure();
    return made;
  }

  /** @throws what an earlier write failed with */
  add(step: number, content: EventContent): void {
    this.#throwFailure();
    this.#append(summaryEvent(this.#wallSeconds, step, content));
  }

  /** @throws what an earlier write failed with */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  get #wallSeconds(): number {
    return this.#nowMs() / 1000;
  }

  #append(event: Uint8Array): void {
    this.#pending.push(tfRecord(event));
    if (this.#pending.length === 1) {
      this.#writing = this.#writing
        .then(() => this.#write())
        .catch(cause => {
          this.#failure ??= cause;
        });
    }
  }

  async #write(): Promise<void> {
    const records = this.#pending;
    this.#pending = [];
    await this.#file.writeFile(Buffer.concat(records));
  }
}

/** TensorBoard reads the files of a folder in the order of their names: a later start must not sort before an earlier. */
async function openNew(folder: string, seconds: number): Promise<{ path: string; file: FileHandle }> {
  for (let n = 0; ; n++) {
    const path = join(
      folder,
      `events.out.tfevents.${String(seconds).padStart(10, '0')}.${String(n).padStart(3, '0')}.emixer`,
    );
    try {
      return { path, file: await open(path, 'ax', 0o600) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
