/**
 * How far a generation has come: a line for each pair that is on the disk, in the folder itself. With it an interrupted
 * generation goes on, and the tables and the manifest are written at the end without holding a pair in memory.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { appendFile, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { FedError } from '#proto/errors.ts';
import type { LabelMask } from './label-mask.ts';
import { placeOf } from './pair-layout.ts';

const JOURNAL = '.generating.jsonl';

/** What makes two generations the same. */
export interface GenerationIdentity {
  readonly model: string;
  readonly seed: number;
  readonly count: number;
  readonly batch: number;
  readonly labels: string;
}

export interface WrittenPair {
  readonly labels: LabelMask;
  /** Hex SHA-256 of the files. */
  readonly image: string;
  readonly report: string;
}

export class GenerationJournal {
  readonly #path: string;
  /** Pairs that are already there, a multiple of the batch or all. */
  readonly done: number;

  private constructor(path: string, done: number) {
    this.#path = path;
    this.done = done;
  }

  /**
   * Begins in an empty folder, or goes on in one that the same generation was interrupted in.
   * @throws FedError USAGE when the folder holds anything else
   */
  static async open(out: string, identity: GenerationIdentity): Promise<GenerationJournal> {
    const path = join(out, JOURNAL);
    const names = await readdir(out);
    if (!names.includes(JOURNAL)) {
      if (names.length > 0) throw occupied(out, names.includes('manifest.json') ? 'a finished set' : 'other files');
      await appendFile(path, `${JSON.stringify(identity)}\n`, { flush: true });
      return new GenerationJournal(path, 0);
    }
    const first = `${JSON.stringify(identity)}\n`;
    const { size } = await stat(path);
    let kept = { bytes: Buffer.byteLength(first), done: 0 };
    let { bytes, done } = kept;
    let isHeader = true;
    for await (const line of readLines(path)) {
      if (isHeader && `${line}\n` !== first) throw occupied(out, 'the beginning of another generation');
      if (isHeader) {
        isHeader = false;
        continue;
      }
      bytes += Buffer.byteLength(line) + 1;
      // The last line may have been cut, its end or all of it.
      if (bytes > size || !(await isOnDisk(out, line, identity.seed, done))) break;
      done++;
      if (done % identity.batch === 0 || done === identity.count) kept = { bytes, done };
    }
    // Interrupted before its first line was there.
    if (isHeader) await writeFile(path, first, { flush: true });
    else await truncate(path, kept.bytes);
    return new GenerationJournal(path, kept.done);
  }

  /** A batch whose files are on the disk. */
  async append(pairs: readonly WrittenPair[]): Promise<void> {
    await appendFile(this.#path, pairs.map(pair => `${JSON.stringify(pair)}\n`).join(''));
  }

  /** All pairs in order, from the file. */
  async *pairs(): AsyncGenerator<WrittenPair, void, undefined> {
    const lines = readLines(this.#path);
    await lines.next();
    for await (const line of lines) yield JSON.parse(line) as WrittenPair;
  }

  /** The generation is complete. */
  remove(): Promise<void> {
    return rm(this.#path);
  }
}

async function* readLines(path: string): AsyncGenerator<string, void, undefined> {
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    yield line;
  }
}

/** After a power failure the journal may know more than the disk. */
async function isOnDisk(out: string, line: string, seed: number, index: number): Promise<boolean> {
  try {
    const { image, report } = JSON.parse(line) as WrittenPair;
    const { imageFile, reportFile } = placeOf(seed, index);
    return (await sha256Of(join(out, imageFile))) === image && (await sha256Of(join(out, reportFile))) === report;
  } catch {
    return false;
  }
}

const sha256Of = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

const occupied = (out: string, what: string): FedError =>
  new FedError(
    'USAGE',
    `expected an empty folder, or one in which the same generation was interrupted; ${out} holds ${what}`,
    'choose another folder for --out',
  );
