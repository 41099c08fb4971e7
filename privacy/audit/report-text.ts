/** How report texts are compared: lower case, one blank between words, and the words themselves. */

/** Reports are cut here: nothing longer was seen in real collections, and a generator must not slow the audit down. */
const MAX_CHARS = 8_192;

/** Compared form of a report; empty for what holds no letter or digit. */
export function normaliseReport(text: string): string {
  const flat = text.slice(0, MAX_CHARS).normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();
  return /[\p{L}\p{N}]/u.test(flat) ? flat : '';
}

/** Words of a normalised report, punctuation left out. */
export const wordsOf = (text: string): string[] => text.match(/[\p{L}\p{N}_]+/gu) ?? [];

/** The distinct runs of `n` words. */
export function wordGrams(words: readonly string[], n: number): Set<string> {
  const grams = new Set<string>();
  for (let i = 0; i + n <= words.length; i++) grams.add(words.slice(i, i + n).join(' '));
  return grams;
}
