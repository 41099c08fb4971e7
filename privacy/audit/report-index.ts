/** The training reports of a site, prepared for the questions the audit asks about a generated report. */
import type { Random } from '../random.ts';
import { EditPattern } from './report-edit.ts';
import { MinHashIndex } from './report-minhash.ts';
import { wordGrams, wordsOf } from './report-text.ts';

/** Words a gram whose document frequency measures how much two reports share. */
const GRAM_WORDS = 4;

export interface NearReports {
  /** Training studies whose report is the same or, by edit similarity, nearly so. */
  readonly studies: ReadonlySet<string>;
  readonly exact: boolean;
  /** The most information shared with one of those reports, in bits of inverse document frequency. */
  readonly sharedBits: number;
}

const NONE: NearReports = { studies: new Set(), exact: false, sharedBits: 0 };

export class ReportIndex {
  readonly #texts: string[] = [];
  readonly #studiesOf = new Map<string, Set<string>>();
  readonly #documentFrequency = new Map<string, number>();
  readonly #studies: number;
  readonly #minHash: MinHashIndex;
  readonly #editSimilarity: number;
  readonly #answers = new Map<string, NearReports>();

  /** @param reports normalised text of every training study that has one */
  constructor(reports: ReadonlyMap<string, string>, editSimilarity: number, random: Random) {
    this.#editSimilarity = editSimilarity;
    this.#minHash = new MinHashIndex(random);
    this.#studies = reports.size;
    for (const [study, text] of reports) {
      for (const gram of wordGrams(wordsOf(text), GRAM_WORDS)) {
        this.#documentFrequency.set(gram, (this.#documentFrequency.get(gram) ?? 0) + 1);
      }
      const known = this.#studiesOf.get(text);
      if (known !== undefined) known.add(study);
      else {
        this.#studiesOf.set(text, new Set([study]));
        this.#minHash.add(this.#texts.length, text);
        this.#texts.push(text);
      }
    }
  }

  /** Training reports near a normalised text; templated reports repeat, so answers are kept. */
  near(text: string): NearReports {
    if (text === '') return NONE;
    const known = this.#answers.get(text);
    if (known !== undefined) return known;
    const studies = new Set<string>();
    let sharedBits = 0;
    const grams = wordGrams(wordsOf(text), GRAM_WORDS);
    const pattern = new EditPattern(text);
    for (const id of this.#minHash.candidates(text)) {
      const other = this.#texts[id] ?? '';
      if (!pattern.similarAbove(other, this.#editSimilarity)) continue;
      for (const study of this.#studiesOf.get(other) ?? []) studies.add(study);
      sharedBits = Math.max(sharedBits, this.#bits(grams, other));
    }
    const answer: NearReports = { studies, exact: this.#studiesOf.has(text), sharedBits };
    this.#answers.set(text, answer);
    return answer;
  }

  /** Bits of inverse document frequency of the grams that occur in both. */
  #bits(grams: ReadonlySet<string>, other: string): number {
    let bits = 0;
    for (const gram of wordGrams(wordsOf(other), GRAM_WORDS)) {
      if (grams.has(gram)) bits += Math.log2(this.#studies / (this.#documentFrequency.get(gram) ?? this.#studies));
    }
    return bits;
  }
}

/** To exactly one training study: what many studies share is a template, not a patient. */
export const isRareHit = (near: NearReports): boolean => near.studies.size === 1;

export const isDistinctiveHit = (near: NearReports, distinctiveBits: number): boolean =>
  near.sharedBits >= distinctiveBits;
