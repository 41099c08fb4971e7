/** Endless shuffled mini-batches whose content depends on the step alone, read ahead of the step that needs them. */
import { Random } from '#model/random.ts';
import type { TrainingData, TrainingRecord } from './dataset.ts';

export interface Batch {
  readonly records: readonly TrainingRecord[];
  /** [B, H, W, C], 0..255. */
  readonly pixels: Uint8Array;
}

/**
 * Epoch e visits the records in the permutation of stream (...keys, e); batch n holds positions n*B .. n*B + B - 1 of
 * the endless sequence. So batch n is the same before and after a restart.
 */
export class BatchStream {
  readonly #data: TrainingData;
  readonly #records: readonly TrainingRecord[];
  readonly #batchSize: number;
  readonly #keys: readonly (string | number)[];
  readonly #permutations = new Map<number, TrainingRecord[]>();
  #ahead: { readonly batchIndex: number; readonly batch: Promise<Batch> } | undefined;

  /** @param records not empty; the part of `data.records` to draw from */
  constructor(data: TrainingData, records: readonly TrainingRecord[], batchSize: number, ...keys: (string | number)[]) {
    if (records.length === 0) throw new RangeError('a batch stream needs at least one record');
    this.#data = data;
    this.#records = records;
    this.#batchSize = batchSize;
    this.#keys = keys;
  }

  /** Batch number `batchIndex`; starts reading the next one before it returns. */
  async batch(batchIndex: number): Promise<Batch> {
    const ready = this.#ahead?.batchIndex === batchIndex ? this.#ahead.batch : this.#read(batchIndex);
    const batch = await ready;
    const next = this.#read(batchIndex + 1);
    // A failed read-ahead is reported by the step that asks for it, not as an unhandled rejection.
    next.catch(() => undefined);
    this.#ahead = { batchIndex: batchIndex + 1, batch: next };
    const positions = batch.records.map(record => record.index);
    this.#data.onBatch?.({ stream: String(this.#keys.at(-1)), batchIndex, positions });
    return batch;
  }

  async #read(batchIndex: number): Promise<Batch> {
    const records = Array.from({ length: this.#batchSize }, (_, i) => this.#at(batchIndex * this.#batchSize + i));
    return { records, pixels: await this.#data.readImages(records.map(record => record.index)) };
  }

  #at(position: number): TrainingRecord {
    const epoch = Math.floor(position / this.#records.length);
    let permutation = this.#permutations.get(epoch);
    if (permutation === undefined) {
      permutation = new Random(...this.#keys, 'epoch', epoch).shuffled(this.#records);
      this.#permutations.delete(epoch - 2);
      this.#permutations.set(epoch, permutation);
    }
    return permutation[position % this.#records.length] as TrainingRecord;
  }
}
