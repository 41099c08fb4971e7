/**
 * Longest run of words that a report shares with any training report, by a suffix automaton over words (Blumer et al.
 * 1985). Reported, never deciding: most reports are templates, and shorter than any usable cut-off.
 */
import { wordsOf } from './report-text.ts';

export class SharedRuns {
  readonly #wordIds = new Map<string, number>();
  readonly #length: number[] = [0];
  readonly #link: number[] = [-1];
  /** Target state by word, one map a state; states number at most twice the words of the training reports. */
  readonly #next: Map<number, number>[] = [new Map()];

  /** @param texts normalised training reports; each begins at the initial state, so no run spans two of them */
  constructor(texts: Iterable<string>) {
    for (const text of new Set(texts)) {
      let last = 0;
      for (const word of wordsOf(text)) {
        const id = this.#wordIds.get(word) ?? this.#wordIds.size;
        this.#wordIds.set(word, id);
        last = this.#extend(last, id);
      }
    }
  }

  /** Characters of the longest run of words, blanks between them counted. */
  longest(text: string): number {
    let state = 0;
    let run: string[] = [];
    let best = 0;
    for (const word of wordsOf(text)) {
      const id = this.#wordIds.get(word) ?? -1;
      while (state !== 0 && !this.#next[state]?.has(id)) state = this.#link[state] as number;
      const target = this.#next[state]?.get(id);
      const kept = Math.min(run.length, this.#length[state] as number);
      run = target === undefined ? [] : [...run.slice(run.length - kept), word];
      state = target ?? 0;
      best = Math.max(best, run.join(' ').length);
    }
    return best;
  }

  /** Appends `word` after `last` (generalised: the state may exist already from an earlier report). */
  #extend(last: number, word: number): number {
    const existing = this.#next[last]?.get(word);
    if (existing !== undefined) {
      if (this.#length[existing] === (this.#length[last] as number) + 1) return existing;
      return this.#clone(last, word, existing);
    }
    const state = this.#add((this.#length[last] as number) + 1, new Map());
    let p = last;
    while (p !== -1 && !this.#next[p]?.has(word)) {
      this.#next[p]?.set(word, state);
      p = this.#link[p] as number;
    }
    if (p === -1) this.#link[state] = 0;
    else {
      const q = this.#next[p]?.get(word) as number;
      this.#link[state] = this.#length[q] === (this.#length[p] as number) + 1 ? q : this.#clone(p, word, q);
    }
    return state;
  }

  #clone(p: number, word: number, q: number): number {
    const copy = this.#add((this.#length[p] as number) + 1, new Map(this.#next[q]));
    this.#link[copy] = this.#link[q] as number;
    this.#link[q] = copy;
    for (let r = p; r !== -1 && this.#next[r]?.get(word) === q; r = this.#link[r] as number) {
      this.#next[r]?.set(word, copy);
    }
    return copy;
  }

  #add(length: number, next: Map<number, number>): number {
    this.#length.push(length);
    this.#link.push(0);
    this.#next.push(next);
    return this.#length.length - 1;
  }
}
