/**
 * Edit similarity of two reports: 1 - Levenshtein distance / length of the longer, in characters. The distance by
 * bit-vectors, 32 cells of a column at once (Myers, JACM 1999, in the global form of Hyyrö 2003).
 */

const WORD_BITS = 32;

/** A report prepared for comparison with many others. */
export class EditPattern {
  readonly #text: string;
  readonly #blocks: number;
  /** Where each character occurs, one bit a position. */
  readonly #occurrences = new Map<number, Int32Array>();
  readonly #nowhere: Int32Array;

  constructor(text: string) {
    this.#text = text;
    this.#blocks = Math.ceil(text.length / WORD_BITS);
    this.#nowhere = new Int32Array(this.#blocks);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      const bits = this.#occurrences.get(code) ?? new Int32Array(this.#blocks);
      bits[i >> 5] = (bits[i >> 5] as number) | (1 << (i & 31));
      this.#occurrences.set(code, bits);
    }
  }

  /** Whether the edit similarity with `other` is above `threshold`. */
  similarAbove(other: string, threshold: number): boolean {
    const longest = Math.max(this.#text.length, other.length);
    if (this.#text === other) return longest > 0;
    const most = Math.ceil((1 - threshold) * longest - 1e-9) - 1;
    return this.distance(other, most) <= most;
  }

  /** Levenshtein distance to `other`; any number above `most` when it is larger than that. */
  distance(other: string, most: number): number {
    const [m, n] = [this.#text.length, other.length];
    if (Math.abs(m - n) > most) return Math.abs(m - n);
    if (m === 0) return n;
    const last = this.#blocks - 1;
    const lastBit = 1 << ((m - 1) & 31);
    const up = new Int32Array(this.#blocks).fill(-1);
    const down = new Int32Array(this.#blocks);
    let score = m;
    for (let j = 0; j < n; j++) {
      const occurrences = this.#occurrences.get(other.charCodeAt(j)) ?? this.#nowhere;
      // Horizontal difference entering the block from above: the table's first row grows by one a column.
      let carry = 1;
      for (let block = 0; block <= last; block++) {
        const pv = up[block] as number;
        const mv = down[block] as number;
        let equal = occurrences[block] as number;
        const xv = equal | mv;
        if (carry < 0) equal |= 1;
        const xh = ((((equal & pv) + pv) | 0) ^ pv) | equal;
        let ph = mv | ~(xh | pv);
        let mh = pv & xh;
        const bottom = block === last ? lastBit : 1 << 31;
        const leaving = (ph & bottom) !== 0 ? 1 : (mh & bottom) !== 0 ? -1 : 0;
        ph = (ph << 1) | (carry > 0 ? 1 : 0);
        mh = (mh << 1) | (carry < 0 ? 1 : 0);
        up[block] = mh | ~(xv | ph);
        down[block] = ph & xv;
        carry = leaving;
      }
      score += carry;
      // Every remaining column lowers the distance by one at most.
      if (score - (n - 1 - j) > most) return most + 1;
    }
    return score;
  }
}
