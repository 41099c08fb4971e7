/**
 * Random streams of the audits from node:crypto: AES-256 in counter mode keyed by a hash of seed and purpose (the
 * CTR_DRBG idea of NIST SP 800-90A without reseeding), so that an audit is repeated bit by bit from its seed.
 */
import { createCipheriv, createHash } from 'node:crypto';

const BLOCK_BYTES = 4096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

export interface Random {
  /** Uniform on [0, 1) with 53 bits. */
  uniform(): number;
  /** Standard normal. */
  gaussian(): number;
  /** `k` distinct integers below `n` in random order (all of them when k >= n). */
  sample(n: number, k: number): number[];
}

/** The stream named by a seed and a purpose; streams of different purposes are independent. */
export function seededRandom(seed: number, purpose: string): Random {
  const key = createHash('sha256').update(`${seed}\n${purpose}`).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  let block = Buffer.alloc(0);
  let offset = 0;

  function uniform(): number {
    if (offset + 8 > block.length) {
      block = cipher.update(ZEROS);
      offset = 0;
    }
    const high = block.readUInt32LE(offset) >>> 5;
    const low = block.readUInt32LE(offset + 4) >>> 6;
    offset += 8;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  return {
    uniform,
    // Box-Muller; 1 - u keeps the logarithm finite.
    gaussian: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    sample(n, k) {
      const pool = Array.from({ length: n }, (_, i) => i);
      const wanted = Math.min(n, k);
      for (let i = 0; i < wanted; i++) {
        const j = i + Math.floor(uniform() * (n - i));
        const swapped = pool[j] ?? 0;
        pool[j] = pool[i] ?? 0;
        pool[i] = swapped;
      }
      return pool.slice(0, wanted);
    },
  };
}
