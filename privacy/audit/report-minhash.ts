/**
 * Candidates for near-duplicates: MinHash signatures over character 5-grams, banded (Broder 1997; Leskovec et al.,
 * Mining of Massive Datasets, chapter 3). Character grams, since word 5-grams lose two thirds of the near-duplicates.
 */
import type { Random } from '../random.ts';

const GRAM = 5;
/** 42 bands of 3 rows: a pair whose gram sets overlap by .4 is a candidate with probability .94, by .5 with .996. */
const BANDS = 42;
const ROWS = 3;

export class MinHashIndex {
  readonly #seeds: Int32Array;
  readonly #factors: Int32Array;
  readonly #buckets: Map<number, number[]>[] = Array.from({ length: BANDS }, () => new Map());

  constructor(random: Random) {
    const word = () => Math.floor(random.uniform() * 2 ** 32) | 0;
    this.#seeds = Int32Array.from({ length: BANDS * ROWS }, word);
    this.#factors = Int32Array.from({ length: BANDS * ROWS }, () => word() | 1);
  }

  add(id: number, text: string): void {
    for (const [band, key] of this.#bandKeys(text).entries()) {
      const bucket = this.#buckets[band]?.get(key);
      if (bucket === undefined) this.#buckets[band]?.set(key, [id]);
      else bucket.push(id);
    }
  }

  /** Ids of the texts that share a band with `text`. */
  candidates(text: string): Set<number> {
    const found = new Set<number>();
    for (const [band, key] of this.#bandKeys(text).entries()) {
      for (const id of this.#buckets[band]?.get(key) ?? []) found.add(id);
    }
    return found;
  }

  /** One key a band: the three minima hashed together. */
  #bandKeys(text: string): number[] {
    const minima = new Uint32Array(BANDS * ROWS).fill(0xffffffff);
    for (const gram of gramHashes(text)) {
      for (let i = 0; i < minima.length; i++) {
        const mixed = Math.imul(gram ^ (this.#seeds[i] as number), this.#factors[i] as number);
        const value = (mixed ^ (mixed >>> 15)) >>> 0;
        if (value < (minima[i] as number)) minima[i] = value;
      }
    }
    return Array.from({ length: BANDS }, (_, band) => {
      let key = 0;
      for (let row = 0; row < ROWS; row++) {
        key = Math.imul(key ^ (minima[band * ROWS + row] as number), 0x9e3779b1);
        key ^= key >>> 16;
      }
      return key;
    });
  }
}

/** Distinct 32-bit hashes of the 5-grams of characters (FNV-1a); a shorter text is its own gram. */
function gramHashes(text: string): Set<number> {
  const hashes = new Set<number>();
  for (let i = 0; i <= Math.max(0, text.length - GRAM); i++) {
    let hash = 0x811c9dc5;
    for (let k = i; k < Math.min(text.length, i + GRAM); k++) hash = Math.imul(hash ^ text.charCodeAt(k), 0x01000193);
    hashes.add(hash ^ (hash >>> 13));
  }
  return hashes;
}
