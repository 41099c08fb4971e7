/** Tokens <-> ids, and reports <-> the fixed grids of ids that F is trained on. */
import { FedError } from '#proto/errors.ts';

export const PAD = 0;
export const END = 1;
export const START = 2;
export const UNKNOWN = 3;
/** Ids below this are not words. */
export const FIRST_WORD = 4;

/**
 * Reports as ids [B, S, T], row-major. A sentence is its words, then END where it is shorter than T, then PAD; sentences
 * that a report does not have are PAD throughout. Held outside TensorFlow: what follows from it (masks, lengths, which
 * rows to compute at all) is index arithmetic.
 */
export interface ReportGrid {
  readonly ids: Int32Array;
  readonly reports: number;
  /** S */
  readonly sentences: number;
  /** T */
  readonly words: number;
}

export class Vocabulary {
  /** The words in the order of their ids, which begin at FIRST_WORD. */
  readonly tokens: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;

  /** @throws FedError DATA_INVALID on a token that comes twice */
  constructor(tokens: readonly string[]) {
    this.tokens = tokens;
    this.#ids = new Map(tokens.map((token, index) => [token, index + FIRST_WORD]));
    if (this.#ids.size !== tokens.length) {
      throw new FedError('DATA_INVALID', 'a vocabulary names a token twice; expected each once', 'make it again');
    }
  }

  /** Number of ids, the four that are not words included: the width of F's softmax. */
  get size(): number {
    return this.tokens.length + FIRST_WORD;
  }

  /** UNKNOWN for a token outside the vocabulary. */
  id(token: string): number {
    return this.#ids.get(token) ?? UNKNOWN;
  }

  /** Cut at S sentences and T words; reports may be empty. */
  encode(reports: readonly (readonly (readonly string[])[])[], sentences: number, words: number): ReportGrid {
    const ids = new Int32Array(reports.length * sentences * words);
    for (const [b, report] of reports.entries()) {
      const kept = report.filter(sentence => sentence.length > 0).slice(0, sentences);
      for (const [s, sentence] of kept.entries()) {
        const at = (b * sentences + s) * words;
        for (const [t, token] of sentence.slice(0, words).entries()) ids[at + t] = this.id(token);
        if (sentence.length < words) ids[at + sentence.length] = END;
      }
    }
    return { ids, reports: reports.length, sentences, words };
  }

  /**
   * The reports of a grid. What has no word (PAD, START, UNKNOWN) is left out; sentences without a word are dropped.
   * @throws FedError DATA_INVALID on an id outside the vocabulary
   */
  decode(grid: ReportGrid): string[][][] {
    return Array.from({ length: grid.reports }, (_, b) =>
      Array.from({ length: grid.sentences }, (_, s) => {
        const at = (b * grid.sentences + s) * grid.words;
        return this.#sentence(grid.ids.subarray(at, at + grid.words));
      }).filter(sentence => sentence.length > 0),
    );
  }

  #sentence(ids: Int32Array): string[] {
    const end = ids.indexOf(END);
    return [...(end < 0 ? ids : ids.subarray(0, end))]
      .filter(id => id !== PAD && id !== START && id !== UNKNOWN)
      .map(id => {
        const token = this.tokens[id - FIRST_WORD];
        if (token === undefined) {
          throw new FedError(
            'DATA_INVALID',
            `a report holds the id ${id}; the vocabulary has ${this.size}`,
            'use the vocabulary that the model was trained with',
          );
        }
        return token;
      });
  }
}
