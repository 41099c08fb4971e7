/** metrics.jsonl: one line a step, for whoever draws curves without TensorBoard. */
import { type FileHandle, open, readFile, rename, writeFile } from 'node:fs/promises';

export interface MetricsLine {
  readonly globalStep: number;
  readonly [key: string]: unknown;
}

export class MetricsFile {
  readonly #file: FileHandle;
  #writing: Promise<void> = Promise.resolve();
  #failure: unknown;
  #pending = '';

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /**
   * Opens the file to append to it. Lines of steps after `fromStep` go: a training that was killed takes these steps again
   * from its checkpoint.
   */
  static async open(path: string, fromStep: number): Promise<MetricsFile> {
    const text = await readFile(path, 'utf8').catch(() => '');
    const kept = text.split('\n').filter(line => stepOf(line) <= fromStep);
    await writeFile(`${path}.partial`, kept.map(line => `${line}\n`).join(''), { mode: 0o600 });
    await rename(`${path}.partial`, path);
    return new MetricsFile(await open(path, 'a', 0o600));
  }

  /** Never waits. @throws what an earlier write failed with */
  add(line: MetricsLine): void {
    this.#throwFailure();
    const first = this.#pending === '';
    this.#pending += `${JSON.stringify(line)}\n`;
    if (!first) return;
    this.#writing = this.#writing
      .then(() => {
        const text = this.#pending;
        this.#pending = '';
        return this.#file.writeFile(text);
      })
      .catch(cause => {
        this.#failure ??= cause;
      });
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
}

/** Infinity for what is no line of metrics, e.g. one that a crash cut off. */
function stepOf(line: string): number {
  try {
    const { globalStep } = JSON.parse(line) as Partial<MetricsLine>;
    return typeof globalStep === 'number' ? globalStep : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
