/**
 * How the processes of one machine that train one model tell each other their numbers: files in a folder that is theirs
 * alone, on a RAM disk where there is one. Files, because a training process may open neither a socket nor a process.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { FedError } from '#proto/errors.ts';

export interface ReplicaFilesOptions {
  /** Empty at the start of the training, readable and writable for its owner alone. */
  readonly folder: string;
  /** 0 .. replicas - 1. */
  readonly rank: number;
  readonly replicas: number;
  /** Longest wait for another replica. */
  readonly timeoutMs: number;
  /** Its reason is thrown by whoever waits. */
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

const HASH_BYTES = 32;
/** An update takes tens of milliseconds at least: one between two looks costs nothing that is noticed. */
const LOOK_MS = 1;

export class ReplicaFiles {
  readonly rank: number;
  readonly replicas: number;
  readonly #options: ReplicaFilesOptions;
  #round = 0;

  constructor(options: ReplicaFilesOptions) {
    this.rank = options.rank;
    this.replicas = options.replicas;
    this.#options = options;
  }

  /**
   * Every replica's bytes in order of rank, once all have given theirs. All must give as many, under the same tag.
   * @throws FedError WORKER_DIED when one has not given its own in time; FILE_CORRUPT when what it gave has another length,
   *   tag or content than it should, before any of it is used; DISK_FULL through toFedError; the signal's reason
   */
  async gathered(own: Uint8Array, tag: string): Promise<Uint8Array[]> {
    const round = this.#round++;
    await this.#write(round, own, tag);
    const deadlineMs = this.#options.nowMs() + this.#options.timeoutMs;
    const all: Uint8Array[] = [];
    for (let rank = 0; rank < this.replicas; rank++) {
      all.push(rank === this.rank ? own : await this.#read(round, rank, own.byteLength, tag, deadlineMs));
    }
    // Whoever gave something in this round had read everything of the one before.
    await rm(this.#path(round - 1, this.rank), { force: true });
    return all;
  }

  async #write(round: number, bytes: Uint8Array, tag: string): Promise<void> {
    const path = this.#path(round, this.rank);
    const file = await open(`${path}.part`, 'wx', 0o600);
    try {
      await writeAll(file, hashOf(bytes, round, this.rank, tag));
      await writeAll(file, bytes);
    } finally {
      await file.close();
    }
    await rename(`${path}.part`, path);
  }

  async #read(round: number, rank: number, byteLength: number, tag: string, deadlineMs: number): Promise<Uint8Array> {
    const path = this.#path(round, rank);
    const file = await this.#opened(path, rank, tag, deadlineMs);
    try {
      const stat = await file.stat();
      const expected = HASH_BYTES + byteLength;
      if (!stat.isFile() || stat.size !== expected) {
        throw corrupt(path, `a file of ${expected} bytes`, stat.isFile() ? `${stat.size} bytes` : 'no file');
      }
      const hash = await readAll(file, HASH_BYTES, 0, path);
      const bytes = await readAll(file, byteLength, HASH_BYTES, path);
      if (timingSafeEqual(hash, hashOf(bytes, round, rank, tag))) return bytes;
      throw corrupt(path, `the numbers of "${tag}" with their SHA-256`, 'another tag or other content');
    } finally {
      await file.close();
    }
  }

  async #opened(path: string, rank: number, tag: string, deadlineMs: number): Promise<FileHandle> {
    const { nowMs, signal, timeoutMs } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      try {
        // Never through a link, and never waiting for the other end of a pipe.
        return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code === 'ELOOP') throw corrupt(path, 'a file', 'a link');
        if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
      }
      if (nowMs() >= deadlineMs) {
        throw new FedError(
          'WORKER_DIED',
          `expected replica ${rank} to give its share of "${tag}" within ${timeoutMs} ms; nothing came`,
          'the same command goes on from the checkpoint; see that every replica has a GPU, or cores, of its own',
        );
      }
      await setTimeout(LOOK_MS);
    }
  }

  #path(round: number, rank: number): string {
    return join(this.#options.folder, `${round}-${rank}`);
  }
}

function hashOf(bytes: Uint8Array, ...what: readonly (string | number)[]): Buffer {
  return createHash('sha256').update(JSON.stringify(what)).update(bytes).digest();
}

/** Linux moves at most 2 GiB in one call. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) done += (await file.write(bytes, done)).bytesWritten;
}

async function readAll(file: FileHandle, byteLength: number, start: number, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(byteLength);
  for (let done = 0; done < byteLength; ) {
    const { bytesRead } = await file.read(bytes, done, byteLength - done, start + done);
    if (bytesRead === 0) throw corrupt(path, `${start + byteLength} bytes`, `${start + done}`);
    done += bytesRead;
  }
  return bytes;
}

const corrupt = (path: string, expected: string, came: string): FedError =>
  new FedError(
    'FILE_CORRUPT',
    `expected ${expected} of a replica in ${path}; found ${came}`,
    'the same command goes on from the checkpoint; let nothing else write into that folder',
  );
