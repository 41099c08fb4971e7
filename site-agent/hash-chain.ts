/**
 * An append-only file of JSON lines, each with the hash of the one before: a line that is changed, taken out or put in
 * later breaks the chain. It shows tampering by anyone who cannot rewrite the whole rest of the file.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { canonicalJson } from '#model/federated.ts';
import { FedError } from '#proto/errors.ts';
import { privateFolders } from './state.ts';

export const GENESIS = '0'.repeat(64);

export interface ChainEntry {
  readonly seq: number;
  readonly atMs: number;
  readonly record: Readonly<Record<string, unknown>>;
  readonly previous: string;
  readonly hash: string;
}

export interface ChainCheck {
  readonly valid: boolean;
  readonly entries: number;
  /** Hash of the last valid entry: written down elsewhere, it also shows a chain cut off at its end. */
  readonly head: string;
  readonly problem?: string;
}

const hashOf = (entry: Omit<ChainEntry, 'hash'>): string =>
  createHash('sha256').update(canonicalJson(entry)).digest('hex');

/** Entries in order. @throws FedError FILE_CORRUPT at the first that does not follow from the one before */
export async function* readChain(path: string): AsyncGenerator<ChainEntry> {
  let previous = GENESIS;
  let seq = 0;
  const input = createReadStream(path, 'utf8');
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      const entry = entryOf(line);
      if (
        entry === undefined ||
        entry.seq !== seq ||
        entry.previous !== previous ||
        entry.hash !== hashOf(bare(entry))
      ) {
        throw new FedError(
          'FILE_CORRUPT',
          `expected line ${seq + 1} to follow from the one before; it was changed, or lines are missing`,
          'keep the file as it is and find out who could write it',
        );
      }
      yield entry;
      previous = entry.hash;
      seq++;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  } finally {
    input.destroy();
  }
}

export async function checkChain(path: string): Promise<ChainCheck> {
  let entries = 0;
  let head = GENESIS;
  try {
    for await (const entry of readChain(path)) {
      entries++;
      head = entry.hash;
    }
    return { valid: true, entries, head };
  } catch (error) {
    if (!(error instanceof FedError)) throw error;
    return { valid: false, entries, head, problem: error.message };
  }
}

/** The writing end. One process at a time (the agent's lock sees to that). */
export class HashChain {
  readonly #file: FileHandle;
  #seq: number;
  #previous: string;
  /** Bytes of the file's whole lines. */
  #size: number;
  #torn = false;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(file: FileHandle, size: number, seq: number, previous: string) {
    this.#file = file;
    this.#size = size;
    this.#seq = seq;
    this.#previous = previous;
  }

  /** Opens or creates; half a line that a crash left at the end is cut off. @throws FedError FILE_CORRUPT */
  static async open(path: string): Promise<HashChain> {
    await privateFolders(dirname(path));
    await cutTornLine(path);
    let last: ChainEntry | undefined;
    for await (const entry of readChain(path)) last = entry;
    const file = await open(path, 'a', 0o600);
    const { size } = await file.stat();
    return new HashChain(file, size, last === undefined ? 0 : last.seq + 1, last?.hash ?? GENESIS);
  }

  /** Written when the promise resolves; with `durable` also on the disk. Entries keep the order of the calls. */
  append(record: Readonly<Record<string, unknown>>, atMs: number, durable = false): Promise<ChainEntry> {
    const next = this.#queue.then(async () => {
      const base = { seq: this.#seq, atMs, record, previous: this.#previous };
      const entry: ChainEntry = { ...base, hash: hashOf(base) };
      const line = Buffer.from(`${JSON.stringify(entry)}\n`);
      // A full disk may have taken half of the line before: the next one would stand behind it, and break the chain.
      if (this.#torn) await this.#file.truncate(this.#size);
      this.#torn = true;
      await this.#file.appendFile(line);
      this.#torn = false;
      this.#size += line.length;
      this.#seq++;
      this.#previous = entry.hash;
      if (durable) await this.#file.datasync();
      return entry;
    });
    this.#queue = next.catch(() => undefined);
    return next;
  }

  async close(): Promise<void> {
    await this.#queue;
    await this.#file.close();
  }
}

const bare = ({ hash: _hash, ...rest }: ChainEntry): Omit<ChainEntry, 'hash'> => rest;

function entryOf(line: string): ChainEntry | undefined {
  try {
    const value = JSON.parse(line) as Partial<ChainEntry> | null;
    const whole = typeof value?.seq === 'number' && typeof value.hash === 'string' && typeof value.record === 'object';
    return whole ? (value as ChainEntry) : undefined;
  } catch {
    return undefined;
  }
}

/** A line is complete when its newline is there. */
async function cutTornLine(path: string): Promise<void> {
  const file = await open(path, 'a+', 0o600);
  const window = Buffer.alloc(1 << 16);
  try {
    const { size } = await file.stat();
    for (let end = size; end > 0; end -= window.length) {
      const start = Math.max(0, end - window.length);
      const { bytesRead } = await file.read(window, 0, end - start, start);
      const newline = window.subarray(0, bytesRead).lastIndexOf(0x0a);
      if (newline >= 0 || start === 0) {
        const keep = newline < 0 ? 0 : start + newline + 1;
        if (keep < size) await truncate(path, keep);
        return;
      }
    }
  } finally {
    await file.close();
  }
}
