/**
 * Seeded randomness of training and sampling (privacy noise and keys come from privacy/random.ts instead).
 * A stream is named by its keys, e.g. (run seed, site, stage, round, step): a resumed step draws what it would have
 * drawn, with no generator state to store.
 */
import { createHash } from 'node:crypto';

/** xoshiro128** (Blackman & Vigna 2018), seeded by SHA-256 of the stream's keys. */
export class Random {
  #s0: number;
  #s1: number;
  #s2: number;
  #s3: number;
  #spare: number | undefined;

  constructor(...keys: readonly (string | number)[]) {
    const digest = createHash('sha256').update(JSON.stringify(keys)).digest();
    this.#s0 = digest.readUInt32LE(0);
    this.#s1 = digest.readUInt32LE(4);
    this.#s2 = digest.readUInt32LE(8);
    this.#s3 = digest.readUInt32LE(12) | 1;
  }

  /** Uniform over the 32-bit unsigned integers. */
  uint32(): number {
    const product = Math.imul(this.#s1, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = this.#s1 << 9;
    this.#s2 ^= this.#s0;
    this.#s3 ^= this.#s1;
    this.#s1 ^= this.#s2;
    this.#s0 ^= this.#s3;
    this.#s2 ^= t;
    this.#s3 = (this.#s3 << 11) | (this.#s3 >>> 21);
    return result;
  }

  /** Uniform in [0, 1) with 53 bits. */
  uniform(): number {
    return (this.uint32() * 2 ** 21 + (this.uint32() >>> 11)) / 2 ** 53;
  }

  /** Uniform integer in [0, bound), without modulo bias. */
  integer(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }

  /** Standard normal by Box-Muller. */
  normal(): number {
    if (this.#spare !== undefined) {
      const value = this.#spare;
      this.#spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** `length` standard normals. */
  normals(length: number): Float32Array {
    // Not `from` with a function, which takes several times as long: a large model starts with some ten million.
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = this.normal();
    return values;
  }

  /** Fisher-Yates on a copy. */
  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const kept = result[i] as T;
      result[i] = result[j] as T;
      result[j] = kept;
    }
    return result;
  }

  /** A seed pair for TensorFlow's stateless kernels. */
  seedPair(): [number, number] {
    return [this.uint32() >> 1, this.uint32() >> 1];
  }
}
